// One room's connection to Azure Web PubSub: `json.reliable.webpubsub.azure.v1`, without a DOM.
//
// The subprotocol in short: the service greets with a `system`/`connected` frame, every frame that
// carries an `ackId` is answered by an `ack`, and group messages name their sender in `fromUserId`,
// which the service fills in, so nobody can speak in another's name. Each message has a sequence id
// and is acknowledged.
//
// A token opens exactly one room (its roles name one group), hence one connection per room. It
// survives its socket: for 30 seconds the next socket takes it over, with its id, its group and what
// was said meanwhile. Frames without an ack are sent again under the same ack id; the service
// answers those it knows with `Duplicate`. When that time is over, or the service has ended the
// connection, a new one is negotiated. Ack ids end with the old one, so messages carry an id of
// their own, by which receivers drop repeats.
//
// In handler mode nobody sends to the group but the chat's server: what is said goes to it as the
// event `say`, and comes back from the group without a sender, and `data.from` says who it was.

import { Link } from "./link.js";
import { Sequence } from "./sequence.js";

const RECOVER_WITHIN = 30_000; // how long the service keeps a connection without a socket
const OPEN_WITHIN = 10_000; // negotiate, handshake and join together
const PROBE_WITHIN = 4_000; // for an answer when something hints at a cut
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 30_000;
const LONGEST_RECOVERY_DELAY = 5_000; // several tries have to fit into the 30 seconds
const OUTBOX_LIMIT = 100;
const SEEN_LIMIT = 1_000;

const JOIN_ACK = 1;
const NORMAL = 1000; // nobody but the application's server closes so
const POLICY_VIOLATION = 1008; // the recovery is refused, or too much was unacknowledged

/** Thrown by `negotiate` when asking again cannot help. */
export class Refused extends Error {}

/**
 * Joins one group and stays in it until `stop()`, or until the chat's server closes the connection.
 *
 * `negotiate(signal)` resolves to `{ url, group, userId, mode }` and throws `Refused` when the answer is
 * final. Handlers: `state({ name, ... })`, see below; `message({ from, data })` with `from` null for
 * what the chat's server said; `delivery(message)` when a message's `status` changes (`waiting`,
 * `sending`, `sent`, `failed`).
 *
 * | state        | meaning                                                                            |
 * |--------------|------------------------------------------------------------------------------------|
 * | `connecting` | a new connection is being opened; `again` after an earlier one                     |
 * | `connected`  | `how`: `first`, `recovered` (nothing is missing) or `renewed` (messages may be)     |
 * | `recovering` | the socket is lost, the connection is not; `retryAt` until the next try begins      |
 * | `waiting`    | the connection is lost; `retryAt`                                                  |
 * | `stopped`    | it stays closed; `reason`                                                          |
 */
export class RoomConnection {
  #negotiate;
  #handlers;
  #session = null; // the connection that a lost socket leaves behind
  #link = null;
  #negotiation = null;
  #deadline = null;
  #retry = null;
  #failures = 0;
  #everConnected = false;
  #outbox = [];
  #seen = new Set();

  constructor({ negotiate, ...handlers }) {
    this.#negotiate = negotiate;
    this.#handlers = handlers;
  }

  start() {
    this.#hangUp();
    this.#deadline = setTimeout(() => this.#lost(), OPEN_WITHIN);
    if (this.#session && performance.now() - this.#session.lostAt < RECOVER_WITHIN) this.#recover();
    else this.#open();
  }

  stop(reason = "") {
    this.#hangUp(NORMAL);
    this.#forget();
    this.#handlers.state({ name: "stopped", reason });
  }

  /** Acts on a hint that the network changed: dials now when waiting, else asks for a sign of life. */
  wake() {
    if (this.#retry !== null) this.start();
    else if (this.#up) this.#link.probe(PROBE_WITHIN);
  }

  /** Queues `{ id, text }` and sends it as soon as the room is joined; false when the queue is full. */
  send(message) {
    if (this.#outbox.length >= OUTBOX_LIMIT) return false;
    message.ackId = null;
    this.#outbox.push(message);
    this.#deliver(message, "waiting");
    this.#flush();
    return true;
  }

  get #up() {
    return this.#link !== null && this.#session.joined && this.#session.lostAt === null;
  }

  // ---- sockets come

  async #open() {
    this.#forget();
    this.#handlers.state({ name: "connecting", again: this.#everConnected });
    const negotiation = new AbortController();
    this.#negotiation = negotiation;
    let grant;
    try {
      grant = await this.#negotiate(negotiation.signal);
    } catch (error) {
      if (negotiation.signal.aborted) return;
      if (error instanceof Refused) this.stop(error.message);
      else this.#lost();
      return;
    }
    if (negotiation.signal.aborted) return;
    this.#session = {
      url: grant.url,
      group: grant.group,
      mode: grant.mode,
      id: null,
      token: null,
      joined: false,
      lastAckId: JOIN_ACK,
      sequence: new Sequence((frame) => this.#link?.send(frame)),
      farewell: null,
      lostAt: null,
    };
    this.#connect(grant.url, () => {});
  }

  #recover() {
    this.#handlers.state({ name: "recovering" });
    const url = new URL(this.#session.url);
    url.searchParams.set("awps_connection_id", this.#session.id);
    url.searchParams.set("awps_reconnection_token", this.#session.token);
    // A refused recovery opens as well. A frame tells them apart, and a ping is sure to bring one.
    this.#connect(url.href, () => this.#link.send({ type: "ping" }));
  }

  #connect(url, open) {
    let first = true;
    this.#link = new Link(url, {
      open,
      frame: (frame) => {
        if (frame.type === "system" && frame.event === "connected") {
          this.#session.id = frame.connectionId;
          this.#session.token = frame.reconnectionToken;
        }
        if (first && this.#session.joined) this.#ready("recovered");
        else if (first) this.#link.send({ type: "joinGroup", group: this.#session.group, ackId: JOIN_ACK });
        first = false;
        this.#receive(frame);
      },
      closed: (code) => this.#closed(code),
    });
  }

  #ready(how) {
    clearTimeout(this.#deadline);
    this.#session.joined = true;
    this.#session.lostAt = null;
    this.#failures = 0;
    this.#everConnected = true;
    this.#handlers.state({ name: "connected", how });
    this.#flush();
  }

  // ---- frames

  #receive(frame) {
    if (frame.type === "ack") this.#acknowledged(frame);
    else if (frame.type === "message" && this.#session.sequence.receive(frame.sequenceId)) this.#message(frame);
    else if (frame.type === "system" && frame.event === "disconnected") this.#session.farewell = frame.message ?? "";
  }

  #acknowledged(ack) {
    // `Duplicate` says that the service had executed the frame before: that is a success.
    const succeeded = ack.success === true || ack.error?.name === "Duplicate";
    if (ack.ackId !== JOIN_ACK) {
      const at = this.#outbox.findIndex((message) => message.ackId === ack.ackId);
      if (at < 0) return;
      const [message] = this.#outbox.splice(at, 1);
      this.#deliver(message, succeeded ? "sent" : "failed");
    } else if (!succeeded) {
      this.#hangUp(NORMAL);
      this.#forget();
      this.#lost();
    } else if (!this.#session.joined) {
      this.#ready(this.#everConnected ? "renewed" : "first");
    }
  }

  #message(frame) {
    // Answers of the chat's server to this connection alone.
    if (frame.from === "server") return this.#handlers.message({ from: null, data: frame.data });
    if (frame.from !== "group" || frame.group !== this.#session.group) return;
    const from = typeof frame.fromUserId === "string" ? frame.fromUserId : null;
    const id = frame.data?.id;
    if (id !== undefined && !(isMessageId(id) && this.#firstTime(`${from ?? frame.data.from}\n${id}`))) return;
    this.#handlers.message({ from, data: frame.data });
  }

  #firstTime(key) {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#seen.size > SEEN_LIMIT) this.#seen.delete(this.#seen.values().next().value);
    return true;
  }

  #flush() {
    if (!this.#up) return;
    for (const message of this.#outbox) {
      if (message.status !== "waiting") continue;
      message.ackId ??= ++this.#session.lastAckId;
      this.#deliver(message, "sending");
      const { ackId, id, text } = message;
      const content = { ackId, dataType: "json", data: { id, text } };
      if (this.#session.mode === "handler") this.#link.send({ type: "event", event: "say", ...content });
      else this.#link.send({ type: "sendToGroup", group: this.#session.group, noEcho: true, ...content });
    }
  }

  #deliver(message, status) {
    message.status = status;
    this.#handlers.delivery(message);
  }

  // ---- sockets go

  #closed(code) {
    const { farewell } = this.#session;
    if (code === NORMAL) return this.stop(farewell || "The chat's server closed the connection.");
    if (code === POLICY_VIOLATION) this.#failures = 0; // the service is there
    if (code === POLICY_VIOLATION || farewell !== null) this.#forget();
    this.#lost();
  }

  #lost() {
    this.#hangUp();
    const session = this.#session;
    if (session?.id === null) this.#forget(); // it was never greeted
    else if (session) session.lostAt ??= performance.now();
    // Exponential with jitter, so that the clients of a restarted service do not return all at once.
    const longest = this.#session ? LONGEST_RECOVERY_DELAY : LONGEST_DELAY;
    const ceiling = Math.min(longest, FIRST_DELAY * 2 ** this.#failures++);
    const delay = ceiling / 2 + Math.random() * (ceiling / 2);
    this.#retry = setTimeout(() => this.start(), delay);
    this.#handlers.state({ name: this.#session ? "recovering" : "waiting", retryAt: Date.now() + delay });
  }

  /** Ends every attempt; `code` as in `Link.close`. */
  #hangUp(code) {
    clearTimeout(this.#retry);
    this.#retry = null;
    clearTimeout(this.#deadline);
    this.#negotiation?.abort();
    this.#negotiation = null;
    this.#link?.close(code);
    this.#link = null;
    for (const message of this.#outbox) {
      if (message.status === "sending") this.#deliver(message, "waiting");
    }
  }

  /** From here on only a new connection helps; it has ack ids of its own. */
  #forget() {
    this.#session?.sequence.stop();
    this.#session = null;
    for (const message of this.#outbox) message.ackId = null;
  }
}

/** Ids come from other people's browsers and are remembered here, so they have to be short. */
function isMessageId(id) {
  return typeof id === "string" && id.length > 0 && id.length <= 64;
}
