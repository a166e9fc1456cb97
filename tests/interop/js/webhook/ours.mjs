// Our event handler, in a program of its own: see tests/interop/webhook/driver.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { KEY } from "./cases.mjs";
import { EVENTS } from "./official.mjs";

/** Our handler. It learns the key and the answers, says its port, and at the end what its handlers saw. */
export async function startOurs(driver) {
  const child = spawn(driver, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) {
      throw new Error("our driver ended early");
    }
    return JSON.parse(value);
  };
  child.stdin.write(`${JSON.stringify({ key: KEY, events: EVENTS })}\n`);
  const { port } = await next();
  return {
    port,
    async end() {
      child.stdin.end();
      return new Map(Object.entries(await next()));
    },
  };
}
