// What happened in one run of a script, as lines of text in named parts, so that two runs can be
// compared line by line.

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Names messages and events that only mark how far a client has come. */
export const MARK = "mark";

export class Record {
  #results = new Map();
  #events = [];
  #counts = new Map();
  #streams = new Map();
  #credentials = 0;
  #stuck;

  /** How many marks the client has read. */
  marks = 0;

  result(id, outcome) {
    this.#results.set(id, outcome);
  }

  hasResult(id) {
    return this.#results.has(id);
  }

  /** An event of the application: life of the connection, messages. */
  event(kind, event) {
    if (kind === "group-state") {
      // The official client has no such event.
      return;
    }
    if (kind === "server-message" && event.data === MARK) {
      this.marks += 1;
      return;
    }
    this.#counts.set(kind, this.count(kind) + 1);
    this.#events.push(line(event));
  }

  count(kind) {
    return this.#counts.get(kind) ?? 0;
  }

  /** News of a stream that comes in. */
  stream(name, what) {
    this.#streams.set(name, [...(this.#streams.get(name) ?? []), line(what)]);
    this.#counts.set("stream", this.count("stream") + 1);
  }

  /** The credential was asked for a URL; counts from 1. */
  credential() {
    this.#credentials += 1;
    return this.#credentials;
  }

  stuck(where) {
    this.#stuck = where;
  }

  /** The parts as `{ name: [line, ...] }`. */
  parts({ dials }, calls) {
    const parts = {
      script: this.#stuck === undefined ? [] : [this.#stuck],
      dials: dials.map(({ dial, refused }) => (refused === undefined ? dial : `${dial} ${refused}`)),
      results: calls.map((id) => `${id}: ${line(this.#results.get(id) ?? "pending")}`),
      events: [...this.#events],
    };
    for (const [name, lines] of this.#streams) {
      parts[`stream ${name}`] = lines;
    }
    dials.filter(({ socket }) => socket !== undefined).forEach((dial, index) => {
      const number = index + 1;
      parts[`frames ${number}`] = dial.frames.map((frame) => frame.replace(UUID, "{uuid}"));
      parts[`pings ${number}`] = [...new Set(dial.pings)];
      if (dial.showsAcks || !dial.isReliable) {
        parts[`acked ${number}`] = dial.acks.slice(-1).map(String);
      }
      if (dial.showsClose) {
        parts[`close ${number}`] = [String(dial.closed)];
      }
    });
    return parts;
  }
}

/** Plain data as text; members in the order of their names, without those that say nothing. */
function line(value) {
  return JSON.stringify(value, (key, item) => {
    if (key === "data" && item !== undefined) {
      // A payload is told as it is.
      return typeof item === "string" ? item : JSON.stringify(item);
    }
    if (item === null || typeof item !== "object" || Array.isArray(item)) {
      return typeof item === "string" ? item.replace(UUID, "{uuid}") : item;
    }
    const says = ([name, member]) => member !== undefined && (member !== null || name === "data");
    return Object.fromEntries(Object.entries(item).filter(says).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
