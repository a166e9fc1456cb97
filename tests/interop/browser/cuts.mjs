// The network fails: what the page shows, what it recovers, and what it does when nothing is left.

import assert from "node:assert/strict";

import { check } from "./checks.mjs";
import { options } from "./options.mjs";
import { NARROW, WIDE, connected, cutOff, enter, fitsWithoutSidewaysScroll, heading, isAccessible, log, message, open, say } from "./page.mjs";
import { Wire, start } from "./processes.mjs";
import { rest } from "./service.mjs";

/** The page's limits, in milliseconds. */
const RECOVERY_WINDOW = 30_000;
const PING_EVERY = 20_000;
const ANSWER_WITHIN = 10_000;
const PROBE_WITHIN = 4_000;

const state = (page, name) => page.locator(`#status[data-state=${name}]`).waitFor();
const status = (page, text) => page.locator("#status-text").getByText(text).waitFor();
const sent = (page, text) => message(page, text).and(page.locator("[data-status=sent]")).waitFor();
const heard = (page) => log(page).locator("li.message:not(.mine) .text").allInnerTexts();
const numbered = (count, words) => Array.from({ length: count }, (_, n) => `${words} ${n}`);

/** Waits until the page has the connection that it had before. */
async function recovered(page, sockets) {
  await status(page, /^Reconnected$/);
  const ids = page.traffic.connectionIds;
  assert.ok(ids.length >= sockets, `${sockets} sockets were greeted`);
  assert.equal(new Set(ids).size, 1, "one connection id");
  assert.equal(await log(page).getByText("new session").count(), 0);
}

/**
 * Two servers of one chat: the sockets of pages from `wired` go through the wire, those of pages
 * from `direct` do not, so that one side talks while the other one is cut off.
 */
export async function cuts() {
  const wire = await Wire.open();
  const emulator = await start(options["emulator-bin"], ["--port", "0", "--public-endpoint", wire.url]);
  wire.connectTo(emulator.ready.endpoint);
  const { connectionString } = emulator.ready;
  const through = connectionString.replace(/Endpoint=[^;]*/, `Endpoint=${wire.url}`);
  const wired = await start(options["chat-bin"], ["--port", "0"], { WebPubSubConnectionString: through });
  const direct = await start(options["chat-bin"], ["--port", "0"], { WebPubSubConnectionString: connectionString });
  const ben = await open(direct.ready.url);
  await enter(ben, "Ben");

  /** Somebody on the far side of the wire, in the room with Ben. */
  async function far(name, settings) {
    const page = await open(wired.ready.url, settings);
    await enter(page, name);
    await log(page).getByText("You joined").waitFor(); // the last frame on its way
    return page;
  }

  await check("a cut shows without moving anything, and what is typed meanwhile waits", async () => {
    const ana = await far("Ana");
    const place = () => ana.locator("#logs").boundingBox();
    const places = [await place()];
    await ana.setViewportSize(NARROW);
    places.push(await place());
    await ana.screenshot({ path: `${options.artifacts}/connected-360.png` });

    wire.cut();
    await state(ana, "recovering");
    await status(ana, /^Reconnecting in \d+ s$/);
    assert.deepEqual(await place(), places[1]);
    await say(ana, "typed while cut off");
    await message(ana, "typed while cut off").getByText("Waiting for the connection").waitFor();
    await say(ana, "and another line");
    await fitsWithoutSidewaysScroll(ana);
    await ana.screenshot({ path: `${options.artifacts}/recovering-360.png` });
    await ana.setViewportSize(WIDE);
    assert.deepEqual(await place(), places[0]);
    await isAccessible(ana);
    await ana.screenshot({ path: `${options.artifacts}/recovering.png` });

    await ana.context().setOffline(true);
    await status(ana, /^Offline, retry in \d+ s$/);
    await ana.setViewportSize(NARROW);
    await fitsWithoutSidewaysScroll(ana);
    assert.deepEqual(await place(), places[1]);
    const [text, button] = [await ana.locator("#status-text").boundingBox(), await ana.locator("#reconnect").boundingBox()];
    assert.ok(text.x + text.width < button.x, "the state and the button stand side by side");
    await ana.screenshot({ path: `${options.artifacts}/offline-360.png` });
    await ana.context().setOffline(false);

    wire.restore();
    await recovered(ana, 2);
    assert.deepEqual(await place(), places[1]);
    await sent(ana, "and another line");
    await say(ana, "after the cut");
    await message(ben, "after the cut").waitFor();
    assert.deepEqual(await heard(ben), ["typed while cut off", "and another line", "after the cut"]);
    await ana.screenshot({ path: `${options.artifacts}/recovered-360.png` });
    assert.deepEqual(ana.complaints.filter((text) => !/WebSocket|ERR_/.test(text)), []);
    await ana.context().close();
  });

  await check("50 messages around a cut arrive once and in order, on the same connection", async () => {
    const ana = await far("Ana");
    const texts = numbered(50, "message");
    for (const [n, text] of texts.entries()) {
      if (n === 10) wire.cut();
      if (n === 40) wire.restore();
      await say(ben, text);
    }
    await sent(ben, texts.at(-1));
    await message(ana, texts.at(-1)).waitFor();
    await recovered(ana, 2);
    assert.deepEqual(await heard(ana), texts);
    await ana.context().close();
  });

  await check("sockets killed again and again lose nothing in either direction", async () => {
    const ana = await far("Ana");
    const [hers, his] = [numbered(40, "hers"), numbered(40, "his")];
    const before = (await heard(ben)).length;
    for (let n = 0; n < hers.length; n += 1) {
      if (n % 10 === 5) {
        wire.kill();
        await cutOff(ana);
      }
      await say(ana, hers[n]);
      await say(ben, his[n]);
      if (n % 10 === 9) await connected(ana);
    }
    await sent(ana, hers.at(-1));
    await sent(ben, his.at(-1));
    await message(ben, hers.at(-1)).waitFor();
    await message(ana, his.at(-1)).waitFor();
    await recovered(ana, 5);
    assert.deepEqual(await heard(ana), his);
    assert.deepEqual((await heard(ben)).slice(before), hers);
    await ana.context().close();
  });

  await check("redials that are refused for seconds need neither patience nor the chat's server", async () => {
    const ana = await far("Ana");
    await ana.route("**/negotiate", (route) => route.abort());
    const refusals = wire.refusals(3);
    wire.cut();
    await say(ben, "into the void");
    await refusals;
    wire.restore();
    await recovered(ana, 2);
    await message(ana, "into the void").waitFor();
    await ana.context().close();
  });

  await check("a socket that is open but dead is noticed and replaced", async () => {
    const ana = await far("Emil", { clock: true });
    wire.stall();
    await say(ben, "into the silence");
    await ana.clock.fastForward(PING_EVERY); // the ping goes out
    await ana.clock.fastForward(ANSWER_WITHIN); // and no answer comes
    await recovered(ana, 2);
    wire.restore();
    await message(ana, "into the silence").waitFor();
    assert.equal(await message(ana, "into the silence").count(), 1);
    await ana.context().close();
  });

  for (const hint of ["offline", "online", "visibilitychange"]) {
    await check(`${hint}: a dead socket is looked for at once, and a dial is not waited for`, async () => {
      const ana = await far("Ida", { clock: true });
      const give = () => ana.evaluate((hint) => (hint === "visibilitychange" ? document : window).dispatchEvent(new Event(hint)), hint);
      wire.stall();
      await give();
      await ana.clock.fastForward(PROBE_WITHIN);
      await recovered(ana, 2);
      wire.restore();

      await ana.clock.pauseAt(await ana.evaluate(() => Date.now() + 100));
      wire.kill();
      await status(ana, /^Reconnecting in \d+ s$/); // for ever, as its clock stands still
      await give();
      await recovered(ana, 3);
      await ana.context().close();
    });
  }

  await check("received messages are acknowledged within a second, or every 300", async () => {
    const ana = await far("Ana", { clock: true });
    const received = () => ana.traffic.received.filter(({ type }) => type === "message");
    const acknowledged = () => ana.traffic.sent.filter(({ type }) => type === "sequenceAck").map(({ sequenceId }) => sequenceId);
    await ana.clock.runFor(1_000);
    const first = received().at(-1).sequenceId;
    await ana.traffic.until(() => acknowledged().at(-1) === first);

    await ana.clock.pauseAt(await ana.evaluate(() => Date.now() + 1_500));
    for (let n = 0; n < 650; n += 1) await rest(connectionString, "POST", "/groups/room.lobby/:send", "crowd");
    await ana.traffic.until(() => received().length === first + 650);
    assert.deepEqual(acknowledged().filter((id) => id > first), [first + 300, first + 600]);
    await ana.clock.runFor(999);
    assert.equal(acknowledged().at(-1), first + 600);
    await ana.clock.runFor(1);
    await ana.traffic.until(() => acknowledged().at(-1) === first + 650);
    await ana.context().close();
  });

  await check("a message whose acknowledgement was lost comes again and is shown once", async () => {
    const ana = await far("Ana", { clock: true });
    await ana.clock.pauseAt(await ana.evaluate(() => Date.now() + 1_500)); // what came before is acknowledged
    const eve = await open(direct.ready.url);
    await enter(eve, "Eve");
    await log(ana).getByText(/^Eve #\w{6} joined/).waitFor();
    wire.kill();
    await cutOff(ana);
    await ana.evaluate(() => dispatchEvent(new Event("online")));
    await recovered(ana, 2);
    await say(eve, "I joined once");
    await message(ana, "I joined once").waitFor();
    const ids = ana.traffic.received.filter(({ type }) => type === "message").map(({ sequenceId }) => sequenceId);
    assert.equal(ids.length, new Set(ids).size + 1, "the announcement came twice");
    assert.equal(await log(ana).getByText(/^Eve #\w{6} joined/).count(), 1);
    await ana.context().close();
    await eve.context().close();
  });

  await check("an outage beyond the window ends in a new session, which says what may be missing and works", async () => {
    const ana = await far("Ana", { clock: true });
    const before = (await heard(ben)).length;
    wire.cut();
    await cutOff(ana);
    await say(ana, "typed long ago");
    await say(ben, "nobody will bring this");
    await sent(ben, "nobody will bring this");
    await ana.clock.fastForward(RECOVERY_WINDOW);
    wire.restore();
    await status(ana, /^New session$/);
    await log(ana).getByText("Messages sent in the meantime may be missing").waitFor();
    assert.equal(new Set(ana.traffic.connectionIds).size, 2);
    await sent(ana, "typed long ago");
    await say(ben, "welcome back");
    await message(ana, "welcome back").waitFor();
    assert.deepEqual((await heard(ben)).slice(before), ["typed long ago"]);
    await isAccessible(ana);
    await ana.screenshot({ path: `${options.artifacts}/new-session.png` });
    await ana.context().close();
  });

  await check("a recovery that the service refuses leads to a new session", async () => {
    const ana = await far("Ana");
    const [id] = ana.traffic.connectionIds;
    wire.cut();
    await cutOff(ana);
    await rest(connectionString, "DELETE", `/connections/${id}`);
    await say(ana, "typed before the refusal");
    wire.restore();
    await status(ana, /^New session$/);
    await message(ben, "typed before the refusal").waitFor();
    assert.equal(await message(ben, "typed before the refusal").count(), 1);
    assert.notEqual(ana.traffic.connectionIds.at(-1), id);
    await ana.context().close();
  });

  await check("a close by the chat's server is final, and says why", async () => {
    const ana = await far("Ana", { clock: true });
    const [id] = ana.traffic.connectionIds;
    await rest(connectionString, "DELETE", `/connections/${id}?reason=Be+kind`);
    await status(ana, /^Disconnected$/);
    await log(ana).getByText("Application server closed the connection. Reason: Be kind").waitFor();
    await isAccessible(ana);
    await ana.screenshot({ path: `${options.artifacts}/closed.png` });
    await ana.clock.runFor(2 * RECOVERY_WINDOW);
    assert.deepEqual(ana.traffic.connectionIds, [id]);
    await status(ana, /^Disconnected$/);
    await ana.getByRole("button", { name: "Reconnect now" }).click();
    await connected(ana);
    assert.notEqual(ana.traffic.connectionIds.at(-1), id);
    await ana.context().close();
  });

  await check("every room recovers a connection of its own", async () => {
    const ana = await far("Ana");
    await ana.getByRole("textbox", { name: "Join a room" }).fill("side");
    await ana.keyboard.press("Enter");
    await heading(ana, "side");
    await connected(ana);
    const rooms = new Set(ana.traffic.connectionIds);
    wire.kill();
    await ana.traffic.until(({ connectionIds }) => connectionIds.length === 4);
    assert.equal(rooms.size, 2);
    assert.deepEqual(new Set(ana.traffic.connectionIds.slice(2)), rooms);
    await ana.context().close();
  });

  await check("the delay grows while nothing answers, and need not be waited for", async () => {
    const ana = await far("Ana", { clock: true });
    let refused = () => {};
    await ana.route("**/negotiate", async (route) => {
      await route.abort();
      refused();
    });
    wire.cut();
    for (let failures = 0; failures < 6; failures += 1) {
      const refusal = new Promise((resolve) => { refused = resolve; });
      await cutOff(ana);
      await ana.clock.fastForward(31_000); // longer than the longest delay, and than the window
      await refusal;
    }
    await status(ana, /^Reconnecting in (1[4-9]|2\d|30) s$/);
    wire.restore();
    await ana.unroute("**/negotiate");
    await ana.getByRole("button", { name: "Reconnect now" }).click();
    await status(ana, /^New session$/);
    await ana.context().close();
  });

  assert.deepEqual(ben.complaints, []);
  await ben.context().close();
  const successor = await start(options["emulator-bin"], ["--port", "0", "--public-endpoint", wire.url]);
  await check("a service that restarts is joined anew", async () => {
    const ana = await far("Ana");
    wire.connectTo(successor.ready.endpoint);
    assert.equal(await emulator.stop(), 0);
    await status(ana, /^New session$/);
    await say(ana, "anybody here?");
    await sent(ana, "anybody here?");
    assert.equal(new Set(ana.traffic.connectionIds).size, 2);
    await ana.context().close();
  });

  await check("chat and emulator end cleanly, and their logs hold no secret", async () => {
    for (const program of [wired, direct, emulator, successor]) {
      assert.equal(await program.stop(), 0);
      assert.doesNotMatch(program.stderr(), /panicked|access_token=ey|eyJ/);
    }
  });
  await wire.close();
}
