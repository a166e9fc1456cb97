// Plays a script with one client: each step is something that the application or the service does,
// or something that must happen before the script goes on.

import { MARK, Record } from "./record.mjs";
import { Signal, Stuck } from "./signal.mjs";

/** Plays `scenario`; gives what happened as lines in named parts. */
export async function play(scenario, protocol, { side, hub, service, createClient }) {
  const signal = new Signal();
  const record = new Record();
  const seat = service.seat(hub, signal, { pongs: scenario.pongs });
  const settings = {
    url: `ws://${service.address}/client/hubs/${hub}?access_token=token-{n}`,
    protocol,
    options: scenario.options ?? {},
  };
  const client = createClient(settings, record, signal);
  const script = new Script(client, seat, record, signal, protocol);
  const steps = scenario.steps.filter(({ only }) => only === undefined || only === side);
  await script.run(steps);
  const parts = record.parts(seat, script.calls);
  client.dispose();
  seat.leave();
  return parts;
}

class Script {
  #client;
  #seat;
  #record;
  #signal;
  #protocol;
  #seen = new Map();
  #marks = 0;

  /** The calls that were made, by id. */
  calls = [];

  constructor(client, seat, record, signal, protocol) {
    this.#client = client;
    this.#seat = seat;
    this.#record = record;
    this.#signal = signal;
    this.#protocol = protocol;
  }

  async run(steps) {
    for (const step of [...steps, { finish: true }]) {
      try {
        await this.#perform(step);
      } catch (error) {
        if (!(error instanceof Stuck)) {
          throw error;
        }
        this.#record.stuck(`${error.message} at ${JSON.stringify(step)}`);
        return;
      }
    }
  }

  async #perform({ only, ...step }) {
    const [[verb, argument]] = Object.entries(step);
    const perform = STEPS[verb];
    if (perform === undefined) {
      throw new Error(`unknown step ${JSON.stringify(step)}`);
    }
    await perform(this, argument, step);
  }

  call(id, operation) {
    this.calls.push(id);
    this.#client.call(id, operation);
  }

  cancel(id) {
    this.#client.cancel(id);
  }

  async settle(id) {
    await this.#signal.until(() => this.#record.hasResult(id) || undefined, `result of ${id}`);
  }

  /** Waits for the next event of a kind. */
  async event(kind) {
    const target = (this.#seen.get(kind) ?? 0) + 1;
    await this.#signal.until(() => this.#record.count(kind) >= target || undefined, `event ${kind}`);
    this.#seen.set(kind, target);
  }

  async accept({ id = "c1", user, token = "t1", ...how }) {
    await this.#seat.accept(how);
    if (how.silent) {
      return;
    }
    const reconnectionToken = this.#protocol === "reliable" && token !== null ? token : undefined;
    this.serve({ type: "system", event: "connected", userId: user ?? null, connectionId: id, reconnectionToken });
  }

  refuse({ status, headers }) {
    return this.#seat.refuse(status, headers);
  }

  refuseUntilFresh(status) {
    return this.#seat.refuseRecoveries(status);
  }

  receive(count) {
    return this.#seat.receive(count);
  }

  acked({ id, times }) {
    return this.#seat.acked(id, times);
  }

  pinged() {
    return this.#seat.pinged();
  }

  gone() {
    return this.#seat.gone();
  }

  closed() {
    return this.#seat.closed();
  }

  /** A frame as it is, or as data to be written as JSON. */
  serve(frame) {
    this.#seat.serve(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** Answers the last frame that asks for it; with an error unless that is `true`. */
  ack(error) {
    const ackId = this.#seat.current.frames.map((frame) => JSON.parse(frame).ackId).findLast((id) => id !== undefined);
    this.serve(error === true ? { type: "ack", ackId, success: true } : { type: "ack", ackId, success: false, error });
  }

  close(code, reason) {
    this.#seat.close(code, reason);
  }

  drop() {
    this.#seat.drop();
  }

  /** Waits until the client has read everything that was served. */
  async heard() {
    this.serve({ type: "message", from: "server", dataType: "text", data: MARK });
    this.#marks += 1;
    await this.#signal.until(() => this.#record.marks >= this.#marks || undefined, "end of what was served");
    await this.#client.idle();
  }

  /**
   * Waits until the client has heard and done everything: what is sent to it, and by it, keeps its
   * order, so when the last message and the last frame have arrived, so has everything else.
   */
  async finish() {
    const { current } = this.#seat;
    if (current?.socket.readyState === current?.socket.OPEN && current !== undefined) {
      await this.heard();
      this.#client.call(MARK, { do: "sendEvent", event: MARK, data: { text: MARK }, fireAndForget: true });
      const isLast = (frame) => JSON.parse(frame).event === MARK;
      await this.#signal.until(() => current.frames.some(isLast) || undefined, "end of what was sent");
      current.frames = current.frames.filter((frame) => !isLast(frame));
    }
    await this.#client.idle();
  }
}

const STEPS = {
  /** Starts and opens a connection: the first steps of most scripts. */
  connect: async (script, connection) => {
    script.call("start", { do: "start" });
    await script.accept(connection);
    await script.event("connected");
    await script.settle("start");
  },
  call: (script, id, { call, ...operation }) => script.call(id, operation),
  cancel: (script, id) => script.cancel(id),
  settle: (script, id) => script.settle(id),
  event: (script, kind) => script.event(kind),
  accept: (script, connection) => script.accept(connection),
  refuse: (script, status, { headers }) => script.refuse({ status, headers }),
  refuseUntilFresh: (script, status) => script.refuseUntilFresh(status),
  receive: (script, count) => script.receive(count),
  acked: (script, id, { times }) => script.acked({ id, times }),
  pinged: (script) => script.pinged(),
  gone: (script) => script.gone(),
  heard: (script) => script.heard(),
  closed: (script) => script.closed(),
  serve: (script, frame) => script.serve(frame),
  ack: (script, error) => script.ack(error),
  close: (script, code, { reason }) => script.close(code, reason),
  drop: (script) => script.drop(),
  finish: (script) => script.finish(),
};
