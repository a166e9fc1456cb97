// Clients of the `webpubsub-client` crate: they live in one driver process, which is told what to do
// by a line of JSON and reports what happened by another.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Starts the driver. */
export function startOurs(program) {
  return new Ours(program);
}

class Ours {
  #child;
  #clients = new Map();
  #exited;

  constructor(program) {
    this.#child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
    this.#exited = once(this.#child, "close");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { client, ...report } = JSON.parse(line, reviveDocument);
      this.#clients.get(client).hear(report);
    });
    this.#exited.then(([code, signal]) => {
      for (const client of this.#clients.values()) {
        client.signal.break(`the driver ended with ${signal ?? code}`);
      }
    });
  }

  client(name, settings, record, signal) {
    const client = new Client(name, record, signal, (order) => this.#tell({ client: name, ...order }));
    this.#clients.set(name, client);
    client.tell({ create: settings });
    return client;
  }

  /** Ends the driver; whether it ended well. */
  async end() {
    this.#child.stdin.end();
    const [code] = await this.#exited;
    return code === 0;
  }

  #tell(order) {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }
}

class Client {
  #record;
  #idle = 0;

  constructor(name, record, signal, tell) {
    this.#record = record;
    this.signal = signal;
    this.tell = tell;
  }

  call(id, operation) {
    this.tell({ call: { id, ...operation } });
  }

  cancel(id) {
    this.tell({ cancel: id });
  }

  /** Completes when the client has done all that follows from what it has heard. */
  async idle() {
    const target = this.#idle + 1;
    this.tell({ sync: target });
    await this.signal.until(() => this.#idle >= target || undefined, "answer of the driver");
  }

  dispose() {
    this.tell({ dispose: true });
  }

  hear({ result, event, stream, synced }) {
    if (result !== undefined) {
      this.#record.result(result.id, result.outcome);
    } else if (event !== undefined) {
      this.#record.event(event.kind, event);
    } else if (stream !== undefined) {
      this.#record.stream(stream.name, stream.what);
    } else {
      this.#idle = synced;
    }
    this.signal.notify();
  }
}

/** JSON payloads come as text, so that only this side decides what their numbers are. */
function reviveDocument(key, value) {
  return key === "data" && value?.document !== undefined ? JSON.parse(value.document) : value;
}
