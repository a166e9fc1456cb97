// One room's connection to Azure Web PubSub: `json.webpubsub.azure.v1` on a plain WebSocket.
//
// The subprotocol in short: the service greets with a `system`/`connected` frame, every frame that
// carries an `ackId` is answered by an `ack`, and group messages name their sender in `fromUserId`,
// which the service fills in, so nobody can speak in another's name.
//
// A token opens exactly one room (its roles name one group), hence one connection per room. After a
// cut the connection is new: a new token, a new join, and everything unacknowledged is sent again.
// The service cannot tell such a message from a new one, because ack ids are remembered per
// connection; each message therefore carries an id of its own, by which receivers drop repeats.

const SUBPROTOCOL = "json.webpubsub.azure.v1";

const OPEN_WITHIN = 10_000; // negotiate, handshake and join together
const PING_EVERY = 15_000;
const ANSWER_WITHIN = 10_000; // silence after a ping that means the socket is dead
const PROBE_WITHIN = 4_000; // the same when something hints at a cut
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 30_000;
const OUTBOX_LIMIT = 100;
const SEEN_LIMIT = 1_000;

/** Thrown by `negotiate` when asking again cannot help. */
export class Refused extends Error {}

/**
 * Joins one group and stays in it until `stop()`.
 *
 * `negotiate(signal)` resolves to `{ url, group, userId }` and throws `Refused` when the answer is
 * final. Handlers: `state({ name, ... })` with name `connecting`, `connected` (`userId`, `again`),
 * `waiting` (`retryAt`) or `stopped` (`reason`); `message({ from, data })` with `from` null for what
 * the chat's server said; `delivery(message)` when a message's `status` changes (`waiting`, `sending`, `sent`, `failed`).
 */
export class RoomConnection {
  #negotiate;
  #handlers;
  #attempt = null; // the only attempt whose callbacks count
  #failures = 0;
  #everConnected = false;
  #retryTimer = null;
  #outbox = [];
  #seen = new Set();

  constructor({ negotiate, ...handlers }) {
    this.#negotiate = negotiate;
    this.#handlers = handlers;
  }

  start() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    const attempt = { abort: new AbortController(), socket: null, group: null, acks: new Map(), lastAckId: 0, timers: new Set() };
    this.#attempt = attempt;
    this.#handlers.state({ name: "connecting" });
    attempt.deadline = this.#after(attempt, OPEN_WITHIN, () => this.#lost(attempt));
    this.#open(attempt);
  }

  stop(reason = "") {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#discard();
    this.#handlers.state({ name: "stopped", reason });
  }

  /** Acts on a hint that the network changed: dials now when waiting, else asks for a sign of life. */
  wake() {
    if (this.#retryTimer !== null) this.start();
    else if (this.#attempt?.joined) this.#probe(this.#attempt, PROBE_WITHIN);
  }

  /** Queues `{ id, text }` and sends it as soon as the room is joined; false when the queue is full. */
  send(message) {
    if (this.#outbox.length >= OUTBOX_LIMIT) return false;
    this.#outbox.push(message);
    this.#deliver(message, "waiting");
    this.#flush();
    return true;
  }

  async #open(attempt) {
    let grant;
    try {
      grant = await this.#negotiate(attempt.abort.signal);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof Refused) this.stop(error.message);
      else this.#lost(attempt);
      return;
    }
    if (attempt !== this.#attempt) return;
    attempt.group = grant.group;
    attempt.userId = grant.userId;
    const socket = new WebSocket(grant.url, SUBPROTOCOL);
    attempt.socket = socket;
    socket.onmessage = (event) => this.#receive(attempt, event.data);
    socket.onclose = () => this.#lost(attempt);
  }

  #receive(attempt, text) {
    if (attempt !== this.#attempt) return;
    attempt.heard = performance.now();
    const frame = parse(text);
    switch (frame?.type) {
      case "system":
        if (frame.event === "connected") {
          attempt.userId = frame.userId ?? attempt.userId;
          this.#request(attempt, { type: "joinGroup", group: attempt.group }, (ack) =>
            succeeded(ack) ? this.#joined(attempt) : this.#lost(attempt));
        }
        break;
      case "ack":
        attempt.acks.get(frame.ackId)?.(frame);
        attempt.acks.delete(frame.ackId);
        break;
      case "message":
        this.#message(attempt, frame);
        break;
    }
  }

  #joined(attempt) {
    attempt.joined = true;
    clearTimeout(attempt.deadline);
    this.#failures = 0;
    const again = this.#everConnected;
    this.#everConnected = true;
    this.#handlers.state({ name: "connected", userId: attempt.userId, again });
    this.#flush();
    const beat = () => {
      this.#probe(attempt, ANSWER_WITHIN);
      this.#after(attempt, PING_EVERY, beat);
    };
    this.#after(attempt, PING_EVERY, beat);
  }

  #message(attempt, frame) {
    if (frame.from !== "group" || frame.group !== attempt.group) return;
    const from = typeof frame.fromUserId === "string" ? frame.fromUserId : null;
    const id = frame.data?.id;
    if (id !== undefined && !(isMessageId(id) && this.#firstTime(`${from}\n${id}`))) return;
    this.#handlers.message({ from, data: frame.data });
  }

  #firstTime(key) {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#seen.size > SEEN_LIMIT) this.#seen.delete(this.#seen.values().next().value);
    return true;
  }

  #flush() {
    const attempt = this.#attempt;
    if (!attempt?.joined) return;
    for (const message of this.#outbox) {
      if (message.status !== "waiting") continue;
      this.#deliver(message, "sending");
      const { id, text } = message;
      const frame = { type: "sendToGroup", group: attempt.group, noEcho: true, dataType: "json", data: { id, text } };
      this.#request(attempt, frame, (ack) => {
        this.#outbox.splice(this.#outbox.indexOf(message), 1);
        this.#deliver(message, succeeded(ack) ? "sent" : "failed");
      });
    }
  }

  /** A half-open socket accepts everything and answers nothing: only an answer proves it alive. */
  #probe(attempt, within) {
    const asked = performance.now();
    this.#write(attempt, { type: "ping" });
    this.#after(attempt, within, () => {
      if (!(attempt.heard > asked)) this.#lost(attempt);
    });
  }

  #lost(attempt) {
    if (attempt !== this.#attempt) return;
    this.#discard();
    // Exponential with jitter, so that the clients of a restarted service do not return all at once.
    const ceiling = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    const delay = ceiling / 2 + Math.random() * (ceiling / 2);
    this.#retryTimer = setTimeout(() => this.start(), delay);
    this.#handlers.state({ name: "waiting", retryAt: Date.now() + delay });
  }

  #discard() {
    const attempt = this.#attempt;
    this.#attempt = null;
    if (!attempt) return;
    attempt.abort.abort();
    for (const timer of attempt.timers) clearTimeout(timer);
    attempt.socket?.close();
    for (const message of this.#outbox) {
      if (message.status === "sending") this.#deliver(message, "waiting");
    }
  }

  #deliver(message, status) {
    message.status = status;
    this.#handlers.delivery(message);
  }

  #request(attempt, frame, answered) {
    const ackId = ++attempt.lastAckId;
    attempt.acks.set(ackId, answered);
    this.#write(attempt, { ...frame, ackId });
  }

  #write(attempt, frame) {
    // A socket that is closing drops what it is given; `onclose` then requeues it.
    attempt.socket.send(JSON.stringify(frame));
  }

  #after(attempt, delay, then) {
    const timer = setTimeout(() => {
      attempt.timers.delete(timer);
      if (attempt === this.#attempt) then();
    }, delay);
    attempt.timers.add(timer);
    return timer;
  }
}

/** `Duplicate` says that the service had executed the frame before: that is a success. */
function succeeded(ack) {
  return ack.success === true || ack.error?.name === "Duplicate";
}

/** Ids come from other people's browsers and are remembered here, so they have to be short. */
function isMessageId(id) {
  return typeof id === "string" && id.length > 0 && id.length <= 64;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not a frame of this subprotocol: nothing a chat could do with it
  }
}
