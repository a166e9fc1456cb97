// The programs under test, and a wire between them that can be cut.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import readline from "node:readline";

/** Starts a program that prints one line of JSON when it is ready. */
export async function start(binary, args, env = {}) {
  const inherited = { ...process.env };
  for (const name of ["PORT", "WebPubSubConnectionString", "WEBPUBSUB_CONNECTION_STRING"]) delete inherited[name];
  const child = spawn(binary, [...args, "--json"], { env: { ...inherited, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => { stderr += text; });
  const exited = once(child, "exit");
  const ready = once(readline.createInterface({ input: child.stdout }), "line").then(([line]) => JSON.parse(line));
  const failed = exited.then(([code]) => { throw new Error(`${binary} ended with ${code} before it was ready: ${stderr}`); });
  const announcement = await Promise.race([ready, failed, once(child, "error").then(([error]) => { throw error; })]);
  failed.catch(() => {});
  return {
    ready: announcement,
    stderr: () => stderr,
    /** Sends Ctrl-C and resolves to the exit code. */
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGINT");
      const [code, signal] = await exited;
      return code ?? signal;
    },
  };
}

/** A TCP proxy on a port of its own: `cut()` severs and refuses, `stall()` keeps sockets but moves nothing. */
export class Wire {
  #server;
  #target;
  #pairs = new Set();
  #port = 0;

  static async open() {
    const wire = new Wire();
    await wire.#listen();
    return wire;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  connectTo(url) {
    this.#target = Number(new URL(url).port);
  }

  async cut() {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await closed;
  }

  stall() {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  async restore() {
    await this.#listen();
  }

  async close() {
    if (this.#server.listening) await this.cut();
  }

  async #listen() {
    this.#server = net.createServer((near) => {
      const far = net.connect(this.#target, "127.0.0.1");
      const pair = [near, far];
      this.#pairs.add(pair);
      near.pipe(far).pipe(near);
      for (const socket of pair) {
        socket.on("error", () => {}).on("close", () => {
          this.#pairs.delete(pair);
          near.destroy();
          far.destroy();
        });
      }
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }
}
