// One WebSocket of the subprotocol: frames as objects, and a watch over the other end.

const SUBPROTOCOL = "json.reliable.webpubsub.azure.v1";

const PING_EVERY = 20_000;
const ANSWER_WITHIN = 10_000; // silence after a ping that means the socket is dead

export class Link {
  #socket;
  #closed;
  #timers = new Set();
  #heard = 0;

  /** Handlers: `open()`, `frame(frame)`, and once, unless `close` was called, `closed(code)`. */
  constructor(url, { open, frame, closed }) {
    this.#closed = closed;
    this.#socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket.onopen = () => {
      this.#beat();
      open();
    };
    this.#socket.onmessage = ({ data }) => {
      this.#heard = performance.now();
      const received = parse(data);
      if (received) frame(received);
    };
    this.#socket.onclose = ({ code }) => this.#giveUp(code);
  }

  /** Writes a frame, or drops it when the socket is not open. */
  send(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Gives the socket up when nothing comes `within` that time. A half-open one takes everything and answers nothing. */
  probe(within) {
    const asked = performance.now();
    this.send({ type: "ping" });
    this.#after(within, () => {
      if (!(this.#heard > asked)) this.#giveUp(1006);
    });
  }

  /** Without a code the service keeps the connection for a recovery; 1000 ends it. */
  close(code) {
    this.#silence();
    this.#socket.close(code);
  }

  #beat() {
    this.#after(PING_EVERY, () => {
      this.probe(ANSWER_WITHIN);
      this.#beat();
    });
  }

  #giveUp(code) {
    this.close();
    this.#closed(code);
  }

  #silence() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
  }

  #after(delay, then) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, delay);
    this.#timers.add(timer);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not a frame of this subprotocol: nothing a chat could do with it
  }
}
