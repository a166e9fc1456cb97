// The script of the npm package, with a program that is a script as well, and without any.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("webpubsub-emulator", import.meta.url));
const POSIX = process.platform === "win32" && "the program is a script";

/** Installs the package, beside a program if there is one, and returns the script. */
async function install(test, program) {
  const folder = await mkdtemp(path.join(os.tmpdir(), "launcher-"));
  test.after(() => rm(folder, { recursive: true }));
  const modules = path.join(folder, "node_modules");
  await cp(PACKAGE, path.join(modules, "webpubsub-emulator"), { recursive: true });
  if (program !== undefined) {
    const bin = path.join(modules, `@webpubsub-emulator/${process.platform}-${process.arch}/bin`);
    await mkdir(bin, { recursive: true });
    const file = path.join(bin, "webpubsub-emulator");
    await writeFile(file, `#!${process.execPath}\n${program}\n`);
    await chmod(file, 0o755);
  }
  return path.join(modules, "webpubsub-emulator/bin/webpubsub-emulator.js");
}

/** Starts the script in a process group of its own. */
function start(nodeArguments) {
  const child = spawn(process.execPath, nodeArguments, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const printed = { stderr: "" };
  child.stderr.on("data", (text) => (printed.stderr += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => (await lines.next()).value;
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...printed }));
  return { child, line, ended };
}

test("arguments and the exit code are passed on", { skip: POSIX }, async (t) => {
  const script = await install(t, "console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;");
  const { line, ended } = start([script, "--port", "0", "two words", ""]);
  assert.deepEqual(JSON.parse(await line()), ["--port", "0", "two words", ""]);
  assert.equal((await ended).code, 7);
});

for (const [signal, last] of [["SIGINT", "SIGTERM"], ["SIGTERM", "SIGINT"], ["SIGHUP", "SIGTERM"]]) {
  test(`${signal} to the whole process group arrives once`, { skip: POSIX }, async (t) => {
    const script = await install(t, `
      let seen = 0;
      process.on("${signal}", () => console.log("seen", ++seen));
      process.on("${last}", () => process.exit(40 + seen));
      setInterval(() => {}, 1000);
      console.log("ready");`);
    const { child, line, ended } = start([script]);
    assert.equal(await line(), "ready");
    // What a terminal does, and what npm does besides.
    process.kill(-child.pid, signal);
    process.kill(child.pid, signal);
    assert.equal(await line(), "seen 1");
    process.kill(child.pid, last);
    assert.equal((await ended).code, 41);
  });
}

test("a program that is killed is reported as by a shell", { skip: POSIX }, async (t) => {
  const script = await install(t, "process.kill(process.pid, 'SIGKILL');");
  assert.equal((await start([script]).ended).code, 128 + 9);
});

test("a missing platform package is named", async (t) => {
  const { code, stderr } = await start([await install(t)]).ended;
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`@webpubsub-emulator/${process.platform}-${process.arch} is not installed`));
});

test("a platform without a program is named with what to do", async (t) => {
  const script = await install(t);
  const other = "Object.defineProperty(process, 'platform', { value: 'sunos' });";
  const { code, stderr } = await start(["--import", `data:text/javascript,${encodeURIComponent(other)}`, script]).ended;
  assert.equal(code, 1);
  assert.match(stderr, /there is no program for sunos-.*cargo install webpubsub-emulator/);
});
