// The sequence ids of one reliable connection: which messages came before, and what to acknowledge.
//
// The service keeps every message until it is acknowledged, and ends a connection for which it would
// have to keep more than 1,000. So the acknowledgement says what was received, not what was shown.

const ACKNOWLEDGE_WITHIN = 1_000;
const ACKNOWLEDGE_EVERY = 300; // without waiting: a hidden page's timers may be a minute late

export class Sequence {
  #send;
  #largest = 0;
  #owed = 0;
  #timer = null;

  /** `send(frame)` may drop a frame: what stays unacknowledged comes again after a recovery. */
  constructor(send) {
    this.#send = send;
  }

  /** Takes note of a message; false when it came before. */
  receive(id) {
    const isNew = id > this.#largest;
    if (isNew) this.#largest = id;
    this.#owed += 1; // a repeat as well: it came because an acknowledgement was lost
    if (this.#owed >= ACKNOWLEDGE_EVERY) this.#acknowledge();
    else this.#timer ??= setTimeout(() => this.#acknowledge(), ACKNOWLEDGE_WITHIN);
    return isNew;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#owed = 0;
  }

  #acknowledge() {
    this.stop();
    this.#send({ type: "sequenceAck", sequenceId: this.#largest });
  }
}
