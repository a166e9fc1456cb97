// The programs under test, and a wire between them that can be cut.

import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
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

/** A program that somebody types into and that prints lines of JSON. */
export class Terminal {
  lines = [];
  stderr = "";
  #child;
  #ended;
  #printed = new EventEmitter();

  constructor(binary, args) {
    this.#child = spawn(binary, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => { this.stderr += text; });
    this.#ended = once(this.#child, "close");
    readline.createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.lines.push(JSON.parse(line));
      this.#printed.emit("line");
    });
    this.#child.on("close", () => this.#printed.emit("line"));
  }

  /** Resolves to the first line of all for which `find` is true, as soon as there is one. */
  async until(find) {
    for (;;) {
      const found = this.lines.find(find);
      if (found) return found;
      if (this.#child.exitCode !== null) throw new Error(`it ended before ${find}: ${this.stderr}`);
      await once(this.#printed, "line", { signal: AbortSignal.timeout(15_000) });
    }
  }

  say(text) {
    this.#child.stdin.write(`${text}\n`);
  }

  /** Ends its input and resolves to the exit code. */
  async end() {
    this.#child.stdin.end();
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }
}

/**
 * A TCP proxy on a port of its own. `kill()` resets every socket, `cut()` also refuses new ones,
 * `stall()` keeps those it has but moves nothing in either direction. `restore()` takes new sockets
 * again and gives the stalled ones up.
 */
export class Wire {
  #server;
  #target;
  #pairs = new Set();
  #stalled = new Set();
  #port = 0;
  #refusing = false;
  #refused = new EventEmitter();

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

  kill() {
    this.#reset(this.#pairs);
  }

  cut() {
    this.#refusing = true;
    this.kill();
  }

  restore() {
    this.#refusing = false;
    this.#reset(this.#stalled);
  }

  /** Resolves after that many more refusals. */
  async refusals(count) {
    for (let seen = 0; seen < count; seen += 1) await once(this.#refused, "refusal");
  }

  stall() {
    for (const pair of this.#pairs) {
      const [near, far] = pair;
      near.unpipe(far).pause();
      far.unpipe(near).pause();
      this.#stalled.add(pair);
    }
  }

  async close() {
    this.kill();
    this.#server.close();
    await once(this.#server, "close");
  }

  #reset(pairs) {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  async #listen() {
    this.#server = net.createServer((near) => {
      if (this.#refusing) {
        near.on("error", () => {}).resetAndDestroy();
        this.#refused.emit("refusal");
        return;
      }
      const far = net.connect(this.#target, "127.0.0.1");
      const pair = [near, far];
      this.#pairs.add(pair);
      near.pipe(far).pipe(near);
      for (const socket of pair) {
        socket.on("error", () => {}).on("close", () => {
          this.#pairs.delete(pair);
          this.#stalled.delete(pair);
          near.destroy();
          far.destroy();
        });
      }
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }
}
