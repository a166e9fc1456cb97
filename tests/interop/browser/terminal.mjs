// `chat join` and the page in one room: the Rust client and the browser understand each other.

import assert from "node:assert/strict";

import { check } from "./checks.mjs";
import { options } from "./options.mjs";
import { connected, enter, log, message, open, say } from "./page.mjs";
import { Terminal, Wire, start } from "./processes.mjs";

/** The page's sockets go straight to the service, those of the terminal through the wire. */
export async function terminal() {
  const wire = await Wire.open();
  const emulator = await start(options["emulator-bin"], ["--port", "0"]);
  const { connectionString, endpoint } = emulator.ready;
  wire.connectTo(endpoint);
  const through = connectionString.replace(/Endpoint=[^;]*/, `Endpoint=${wire.url}`);
  const direct = await start(options["chat-bin"], ["--port", "0"], { WebPubSubConnectionString: connectionString });
  const wired = await start(options["chat-bin"], ["--port", "0"], { WebPubSubConnectionString: through });
  const ana = await open(direct.ready.url);
  await enter(ana, "Ana");
  await log(ana).getByText("You joined").waitFor();
  const rust = new Terminal(options["chat-bin"], ["join", "Lobby", "--server", wired.ready.url, "--name", "Rust", "--json"]);

  await check("page and terminal see each other arrive, under the same user ids", async () => {
    const { userId } = await rust.until(({ event }) => event === "connected");
    assert.match(userId, /^Rust#\w{6}$/);
    await rust.until(({ event, user }) => event === "arrival" && user === userId);
    await log(ana).getByText(`${userId.replace("#", " #")} joined`).waitFor();
  });

  await check("a message each way", async () => {
    rust.say("hello from the terminal");
    await message(ana, "hello from the terminal").waitFor();
    assert.match(await message(ana, "hello from the terminal").locator(".meta").innerText(), /^Rust\s+#\w{6}/);
    await say(ana, "hello from the page");
    const { from } = await rust.until(({ event, text }) => event === "message" && text === "hello from the page");
    assert.equal(from.replace("#", " #"), (await ana.locator("#me").textContent()).trim());
  });

  await check("while the terminal is cut off both go on talking, and each hears all of it once", async () => {
    wire.cut();
    await rust.until(({ event }) => event === "recovering");
    for (const text of ["one", "two", "three"]) {
      rust.say(`terminal ${text}`);
      await say(ana, `page ${text}`);
      await message(ana, `page ${text}`).and(ana.locator("[data-status=sent]")).waitFor();
    }
    await wire.refusals(2);
    wire.restore();
    const { replayed } = await rust.until(({ event }) => event === "recovered");
    assert.equal(replayed, 3);
    await message(ana, "terminal three").waitFor();
    assert.deepEqual(
      await log(ana).locator("li.message:not(.mine) .text").allInnerTexts(),
      ["hello from the terminal", "terminal one", "terminal two", "terminal three"],
    );
  });

  await check("the terminal ends with its input, and has printed what happened and nothing else", async () => {
    assert.equal(await rust.end(), 0);
    const states = rust.lines.filter((line) => line.connectionId || line.reason || line.attempt);
    assert.deepEqual(states.map(({ event }) => event), ["connecting", "connected", "recovering", "recovered", "disconnected", "stopped"]);
    assert.equal(new Set(states.map(({ connectionId }) => connectionId).filter(Boolean)).size, 1);
    assert.deepEqual(
      rust.lines.filter(({ event }) => event === "message").map(({ text }) => text),
      ["hello from the page", "page one", "page two", "page three"],
    );
    assert.equal(rust.stderr, "");
  });

  await connected(ana);
  assert.deepEqual(ana.complaints, []);
  await ana.context().close();
  for (const program of [wired, direct, emulator]) assert.equal(await program.stop(), 0);
  await wire.close();
}
