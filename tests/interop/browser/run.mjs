// The chat page in a real browser, against the built programs.
//
//   node run.mjs [--chat-bin PATH] [--emulator-bin PATH] [--artifacts FOLDER]
//
// The same by environment: CHAT_BIN, EMULATOR_BIN, ARTIFACTS; CHROMIUM names the browser. Prints a
// line per check and `N passed, M failed`; the exit code is 1 when a check failed.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import axe from "axe-core";
import { chromium } from "playwright-core";

import { Wire, start } from "./processes.mjs";

const root = new URL("../../../", import.meta.url);
const inRepository = (path) => fileURLToPath(new URL(path, root));
const { values: options } = parseArgs({
  options: {
    "chat-bin": { type: "string", default: process.env.CHAT_BIN ?? inRepository("target/debug/chat") },
    "emulator-bin": { type: "string", default: process.env.EMULATOR_BIN ?? inRepository("target/debug/webpubsub-emulator") },
    artifacts: { type: "string", default: process.env.ARTIFACTS ?? inRepository("artifacts/browser") },
  },
});

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 720 };
const LONG_WORD = "w".repeat(300);
const LONG_ANSWER = "m".repeat(300);
const HOSTILE = `<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"><b>&amp;</b>`;

let passed = 0;
let failed = 0;

async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error?.stack ?? error).replaceAll("\n", "\n      ")}`);
  }
}

/** Runs checks that build on each other; what breaks between them fails as one more. */
async function section(name, run) {
  try {
    await run();
  } catch (error) {
    await check(name, () => { throw error; });
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
await mkdir(options.artifacts, { recursive: true });

/** Opens a window of its own: nothing is shared with the others but the server. */
async function open(url, settings = {}) {
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce", ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("dialog", (dialog) => page.complaints.push(`dialog: ${dialog.message()}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.complaints.push(message.text());
  });
  if (settings.clock) await page.clock.install();
  await page.goto(url);
  return page;
}

async function enter(page, name, room = "lobby") {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("textbox", { name: "Room", exact: true }).fill(room);
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await connected(page);
}

const connected = (page) => page.locator("#status[data-state=connected]").waitFor();
const cutOff = (page) => page.locator("#status:not([data-state=connected])").waitFor();
const log = (page) => page.getByRole("log");
const heading = (page, room) => page.getByRole("heading", { level: 1, name: room, exact: true }).waitFor();
const message = (page, text) => log(page).locator("li.message").filter({ has: page.getByText(text, { exact: true }) });
const me = (page) => page.locator("#me").textContent();

async function say(page, text) {
  await page.getByLabel(/^Message to /).fill(text);
  await page.keyboard.press("Enter");
}

async function fitsWithoutSidewaysScroll(page) {
  const wider = await page.evaluate(() =>
    [document.documentElement, document.body, ...document.querySelectorAll(".log, .sidebar, .welcome, .conversation")]
      .filter((element) => element.scrollWidth > element.clientWidth)
      .map((element) => `${element.className || element.tagName}: ${element.scrollWidth} > ${element.clientWidth}`));
  assert.deepEqual(wider, []);
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll("main *, aside.open *")]
      .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".visually-hidden, .grouped .meta"))
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 || element.getBoundingClientRect().left < -0.5)
      .map((element) => element.outerHTML.slice(0, 80)));
  assert.deepEqual(outside, []);
}

async function isAccessible(page) {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.length > 10, "axe looked at the page");
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
}

/** Speaks the subprotocol by hand with a token of `room`, as a curious person in the console would. */
function ackOf(page, room, frame) {
  return page.evaluate(async ([room, frame]) => {
    const response = await fetch("/negotiate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "Curious", room }),
    });
    const { url } = await response.json();
    const socket = new WebSocket(url, "json.webpubsub.azure.v1");
    return new Promise((resolve, reject) => {
      socket.onclose = (event) => reject(new Error(`closed with ${event.code}`));
      socket.onmessage = ({ data }) => {
        const received = JSON.parse(data);
        if (received.event === "connected") socket.send(JSON.stringify({ ...frame, ackId: 1 }));
        if (received.type !== "ack") return;
        socket.onclose = null;
        socket.close();
        resolve(received);
      };
    });
  }, [room, frame]);
}

async function conversation() {
  const chat = await start(options["chat-bin"], ["--port", "0"]);
  const url = chat.ready.url;
  const ana = await open(url);
  const ben = await open(url, { viewport: NARROW });

  await check("keyboard only: from the name to a sent message", async () => {
    await ana.getByLabel("Your name").waitFor();
    await ana.keyboard.type("Ana");
    await ana.keyboard.press("Tab");
    await ana.keyboard.press("ControlOrMeta+a");
    await ana.keyboard.type("Lobby");
    await ana.keyboard.press("Enter");
    await connected(ana);
    await heading(ana, "lobby");
    await ana.keyboard.type("first words");
    await ana.keyboard.press("Shift+Enter");
    await ana.keyboard.type("second line");
    await ana.keyboard.press("Enter");
    await log(ana).locator("li[data-status=sent]").getByText("first words\nsecond line").waitFor();
    assert.equal(await ana.getByLabel("Message to lobby").inputValue(), "");
  });

  await check("360 px: the welcome page fits", () => fitsWithoutSidewaysScroll(ben));
  await enter(ben, "Ben");

  await check("the server announces who joined, once", async () => {
    await log(ana).getByText(/^Ben #\w{6} joined/).waitFor();
    await log(ben).getByText("You joined").waitFor();
    assert.equal(await log(ana).getByText("Ben").count(), 1);
  });

  await check("a message each way, with sender and time", async () => {
    await say(ana, "hello Ben");
    await message(ben, "hello Ben").waitFor();
    await say(ben, "hello Ana");
    await message(ana, "hello Ana").waitFor();
    assert.match(await message(ben, "hello Ben").locator(".meta").innerText(), /^Ana\s+#\w{6}\s+\d{1,2}:\d{2}/);
    assert.match(await message(ana, "hello Ana").locator(".meta").innerText(), /^Ben\s+#\w{6}\s+\d{1,2}:\d{2}/);
    const age = Date.now() - Date.parse(await message(ana, "hello Ana").locator("time").getAttribute("datetime"));
    assert.ok(age >= 0 && age < 60_000);
    assert.equal(await message(ana, "hello Ben").count(), 1, "no echo of one's own message");
  });

  await check("markup stays text", async () => {
    await say(ana, HOSTILE);
    for (const page of [ana, ben]) {
      await message(page, HOSTILE).waitFor();
      assert.equal(await log(page).locator("script, img, b").count(), 0);
      assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
    }
  });

  await check("360 px: a word of 300 characters wraps", async () => {
    await say(ana, LONG_WORD);
    await message(ben, LONG_WORD).waitFor();
    await say(ben, LONG_ANSWER);
    await message(ana, LONG_ANSWER).waitFor();
    await fitsWithoutSidewaysScroll(ben);
    await ben.screenshot({ path: `${options.artifacts}/chat-360.png` });
    await ben.getByRole("button", { name: /^Rooms/ }).click();
    await ben.getByRole("complementary").waitFor();
    await fitsWithoutSidewaysScroll(ben);
    await ben.keyboard.press("Escape");
    assert.equal(await ben.locator("#rooms-toggle").evaluate((button) => button === document.activeElement), true);
  });

  await check("keyboard only: a second room, unread messages, back again, leave", async () => {
    await ana.getByLabel("Message to lobby").focus();
    await tabTo(ana, "Join a room", { back: true });
    await ana.keyboard.type("Team Kitchen");
    await ana.keyboard.press("Enter");
    await heading(ana, "team-kitchen");
    await connected(ana);
    await say(ben, "are you there?");
    await ana.getByRole("button", { name: /^lobby 1 unread$/ }).waitFor();
    await tabTo(ana, /^lobby/, { back: true });
    await ana.keyboard.press("Enter");
    await heading(ana, "lobby");
    await message(ana, "are you there?").waitFor();
    await ana.getByRole("button", { name: "lobby", exact: true }).waitFor();
    await tabTo(ana, /^team-kitchen/, { back: true });
    await ana.keyboard.press("Enter");
    await heading(ana, "team-kitchen");
    await tabTo(ana, "Leave team-kitchen", { back: true });
    await ana.keyboard.press("Enter");
    await heading(ana, "lobby");
    assert.equal(await ana.getByRole("navigation", { name: "Rooms" }).getByRole("button").count(), 1);
  });

  await check("a bad room is explained, and the focus stays on it", async () => {
    await ana.getByRole("textbox", { name: "Join a room" }).fill("a/b");
    await ana.keyboard.press("Enter");
    await ana.getByRole("alert").getByText("letters a to z").waitFor();
    const field = ana.getByRole("textbox", { name: "Join a room" });
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.equal(await field.evaluate((input) => input === document.activeElement), true);
    await field.fill("");
    ana.complaints = ana.complaints.filter((text) => !text.includes("400")); // the browser logs the refusal
  });

  await check("a reload comes back as the same person and announces nobody", async () => {
    const before = await me(ben);
    await ben.reload();
    await connected(ben);
    await heading(ben, "lobby");
    assert.equal(await me(ben), before);
    await say(ben, "back from a reload");
    await message(ana, "back from a reload").waitFor();
    assert.equal(await log(ana).getByText(/^Ben #\w{6} joined/).count(), 1);
  });

  await check("two people of one name are told apart", async () => {
    const other = await open(url);
    await enter(other, "Ana");
    assert.notEqual(await me(other), await me(ana));
    await other.context().close();
  });

  await check("a token opens its own room only", async () => {
    const curious = await open(url);
    const allowed = await ackOf(curious, "mine", { type: "joinGroup", group: "room.mine" });
    assert.equal(allowed.success, true);
    for (const frame of [
      { type: "joinGroup", group: "room.lobby" },
      { type: "sendToGroup", group: "room.lobby", dataType: "text", data: "x" },
    ]) {
      const refused = await ackOf(curious, "mine", frame);
      assert.deepEqual([refused.success, refused.error?.name], [false, "Forbidden"]);
    }
    await curious.context().close();
  });

  await check("nobody speaks in another's name or in the server's", async () => {
    const spoof = { from: "server", fromUserId: null, id: "spoof-1", kind: "joined", user: "Root#000000", text: "I am Root" };
    const mallory = await open(url);
    await enter(mallory, "Mallory", "lobby");
    const ack = await ackOf(mallory, "lobby", { type: "sendToGroup", group: "room.lobby", dataType: "json", data: spoof });
    assert.equal(ack.success, true);
    await message(ana, "I am Root").waitFor();
    assert.match(await message(ana, "I am Root").locator(".meta").innerText(), /^Curious\s/);
    assert.equal(await log(ana).getByText("Root #000000").count(), 0);
    await mallory.context().close();
  });

  await check("another site's page gets neither token nor announcement", async () => {
    const site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>other</title>"));
    site.listen(0, "127.0.0.1");
    await once(site, "listening");
    const foreign = await open(`http://127.0.0.1:${site.address().port}/`);
    const outcomes = await foreign.evaluate(async (target) => {
      const body = JSON.stringify({ name: "Eve", room: "lobby" });
      const attempt = (init) => fetch(target, { method: "POST", body, ...init }).then((response) => response.type, () => "blocked");
      return [
        await attempt({ headers: { "content-type": "application/json" } }),
        await attempt({}),
        await fetch(target.replace("/negotiate", "/")).then(() => "read", () => "blocked"),
      ];
    }, new URL("/negotiate", url).href);
    assert.deepEqual(outcomes, ["blocked", "blocked", "blocked"]);
    await foreign.context().close();
    site.close();
  });

  await check("a message whose ack was lost is sent again and heard once", async () => {
    const flaky = await open(url);
    const heard = await open(url);
    let severed = 0;
    await betweenPageAndService(flaky, (frame, socket) => {
      if (frame.type !== "ack" || frame.ackId === 1 || severed) return frame;
      severed += 1;
      socket.close();
      return null;
    });
    await flaky.reload();
    await enter(heard, "Gus", "flaky");
    await enter(flaky, "Fay", "flaky");
    await say(flaky, "only once");
    await log(flaky).getByText(/^Back again\./).waitFor();
    await message(flaky, "only once").and(flaky.locator("[data-status=sent]")).waitFor();
    await say(flaky, "the end");
    await message(heard, "the end").waitFor();
    assert.equal(severed, 1);
    assert.deepEqual(await log(heard).locator("li.message .text").allInnerTexts(), ["only once", "the end"]);
    await flaky.context().close();
    await heard.context().close();
  });

  await check("a refused message says so and can be sent again by keyboard", async () => {
    const page = await open(url);
    let refusals = 0;
    await betweenPageAndService(page, (frame) => {
      if (frame.type !== "ack" || frame.ackId === 1 || refusals) return frame;
      refusals += 1;
      return { ...frame, success: false, error: { name: "Forbidden", message: "not now" } };
    });
    await page.reload();
    await enter(page, "Hal", "refused");
    await say(page, "please");
    await message(page, "please").getByText("Not sent").waitFor();
    await isAccessible(page);
    await tabTo(page, "Send again", { back: true });
    await page.keyboard.press("Enter");
    await message(page, "please").and(page.locator("[data-status=sent]")).waitFor();
    assert.equal(await page.getByLabel("Message to refused").evaluate((input) => input === document.activeElement), true);
    await page.context().close();
  });

  for (const colorScheme of ["light", "dark"]) {
    await check(`axe finds nothing serious (${colorScheme})`, async () => {
      const page = await open(url, { colorScheme });
      await isAccessible(page);
      await page.screenshot({ path: `${options.artifacts}/welcome-${colorScheme}.png` });
      await enter(page, "Cleo");
      await say(ben, `look at this in ${colorScheme}`);
      await message(page, `look at this in ${colorScheme}`).waitFor();
      await say(page, "It is calm.");
      await say(page, "And readable.");
      await log(page).locator("li[data-status=sent]").getByText("And readable.").waitFor();
      await page.getByRole("textbox", { name: "Join a room" }).fill("kitchen");
      await page.keyboard.press("Enter");
      await heading(page, "kitchen");
      await connected(page);
      await say(ben, `unread in ${colorScheme}`);
      await page.getByRole("button", { name: /^lobby 1 unread$/ }).waitFor();
      await isAccessible(page);
      await page.getByRole("button", { name: /^lobby/ }).click();
      await heading(page, "lobby");
      await isAccessible(page);
      await page.screenshot({ path: `${options.artifacts}/chat-${colorScheme}.png` });
      await page.setViewportSize(NARROW);
      await page.getByRole("button", { name: /^Rooms/ }).click();
      await page.getByRole("complementary").waitFor();
      await isAccessible(page);
      await page.context().close();
    });
  }

  await check("no page complained", () => assert.deepEqual([...ana.complaints, ...ben.complaints], []));

  await check("Ctrl-C ends the chat while pages are open, and its log holds no secret", async () => {
    assert.equal(await chat.stop(), 0);
    assert.doesNotMatch(chat.stderr(), /panicked|access_token|AccessKey|eyJ/);
    await cutOff(ana);
  });
  await ana.context().close();
  await ben.context().close();
}

/** Passes the service's frames through `change`, which may replace one, drop it (null) or close the socket. */
function betweenPageAndService(page, change) {
  return page.routeWebSocket(/\/client\//, (socket) => {
    socket.connectToServer().onMessage((text) => {
      const frame = change(JSON.parse(text), socket);
      if (frame) socket.send(JSON.stringify(frame));
    });
  });
}

/** Presses Tab until the element with that accessible name has the focus. */
async function tabTo(page, name, { back = false } = {}) {
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press(back ? "Shift+Tab" : "Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute("aria-label") ?? element?.labels?.[0]?.innerText ?? element?.innerText ?? "";
    });
    if (typeof name === "string" ? focused.trim() === name : name.test(focused.trim())) {
      assert.equal(await page.evaluate(() => document.activeElement.matches(":focus-visible")), true, "the focus shows");
      return;
    }
  }
  throw new Error(`the keyboard does not reach ${name}`);
}

async function cuts() {
  const wire = await Wire.open();
  const emulator = await start(options["emulator-bin"], ["--port", "0", "--public-endpoint", wire.url]);
  wire.connectTo(emulator.ready.endpoint);
  const connectionString = emulator.ready.connectionString.replace(/Endpoint=[^;]*/, `Endpoint=${wire.url}`);
  const chat = await start(options["chat-bin"], ["--port", "0"], { WebPubSubConnectionString: connectionString });
  const ana = await open(chat.ready.url);
  const ben = await open(chat.ready.url);
  await enter(ana, "Ana");
  await enter(ben, "Ben");
  await say(ana, "before the cut");
  await message(ben, "before the cut").waitFor();

  await check("a cut shows, and what is typed meanwhile waits", async () => {
    await wire.cut();
    for (const page of [ana, ben]) await cutOff(page);
    await ana.locator("#status-text").getByText(/^Reconnecting in \d+ s$/).waitFor();
    await say(ana, "typed while offline");
    await say(ana, "and another line");
    await message(ana, "typed while offline").getByText("Waiting for the connection").waitFor();
    await ana.screenshot({ path: `${options.artifacts}/cut.png` });
    await isAccessible(ana);
  });

  await check("after the cut the page comes back by itself and sends what waited, once and in order", async () => {
    await wire.restore();
    for (const page of [ana, ben]) await connected(page);
    // Ben may have come back after Ana's messages went out; whoever is back hears the next ones.
    await log(ben).getByText(/^Back again\./).waitFor();
    await message(ana, "and another line").and(ana.locator("[data-status=sent]")).waitFor();
    await say(ana, "after the cut");
    await message(ben, "after the cut").waitFor();
    const heard = await log(ben).locator("li.message .text").allInnerTexts();
    assert.equal(new Set(heard).size, heard.length, "nothing twice");
    await say(ben, "I hear you");
    await message(ana, "I hear you").waitFor();
  });

  await check("messages that waited reach those who were connected", async () => {
    const direct = await open(chat.ready.url);
    await enter(direct, "Dora", "side");
    await ana.getByRole("textbox", { name: "Join a room" }).fill("side");
    await ana.keyboard.press("Enter");
    await heading(ana, "side");
    await connected(ana);
    // Only Ana's socket is replaced: hold her calls to the chat server, so that she stays away.
    await ana.route("**/negotiate", (route) => route.abort());
    await wire.cut();
    for (const page of [ana, direct]) await cutOff(page);
    await say(ana, "one");
    await say(ana, "two");
    await wire.restore();
    await connected(direct);
    await ana.unroute("**/negotiate");
    await connected(ana);
    await message(direct, "two").waitFor();
    assert.deepEqual(await log(direct).locator("li.message .text").allInnerTexts(), ["one", "two"]);
    await direct.context().close();
  });

  await check("the delay grows while nothing answers, and need not be waited for", async () => {
    const page = await open(chat.ready.url, { clock: true });
    await enter(page, "Ida", "patient");
    let refused = () => {};
    await page.route("**/negotiate", async (route) => {
      await route.abort();
      refused();
    });
    await wire.cut();
    for (let failures = 0; failures < 6; failures += 1) {
      const refusal = new Promise((resolve) => { refused = resolve; });
      await cutOff(page);
      await page.clock.fastForward(31_000); // longer than the longest delay
      await refusal;
    }
    await page.locator("#status-text").getByText(/^Reconnecting in (1[4-9]|2\d|30) s$/).waitFor();
    await wire.restore();
    await page.unroute("**/negotiate");
    await page.getByRole("button", { name: "Reconnect now" }).click();
    await connected(page);
    await page.context().close();
  });

  await check("a socket that is open but dead is noticed", async () => {
    const page = await open(chat.ready.url, { clock: true });
    await enter(page, "Emil", "quiet");
    // The last frame on its way: heard after the ping, it would pass for an answer.
    await log(page).getByText("You joined").waitFor();
    wire.stall();
    await page.clock.fastForward(15_000); // the ping goes out
    await page.clock.fastForward(10_000); // and no answer comes
    // The page waits less than a second before it dials, so only what stays can be waited for.
    await log(page).getByText(/^Back again\./).waitFor();
    await connected(page);
    await page.context().close();
  });

  assert.deepEqual(ana.complaints.filter((text) => !/WebSocket|ERR_/.test(text)), []);
  await ana.context().close();
  await ben.context().close();
  await check("chat and emulator end cleanly, and their logs hold no secret", async () => {
    assert.equal(await chat.stop(), 0);
    assert.equal(await emulator.stop(), 0);
    assert.doesNotMatch(chat.stderr() + emulator.stderr(), /panicked|access_token=ey|eyJ/);
  });
  await wire.close();
}

try {
  await section("conversation", conversation);
  await section("cuts", cuts);
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
