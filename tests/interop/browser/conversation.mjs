// People talk: what the page shows, and what nobody can do to it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import { check } from "./checks.mjs";
import { options } from "./options.mjs";
import {
  NARROW, betweenPageAndService, connected, cutOff, enter, fitsWithoutSidewaysScroll, heading, isAccessible, log, me, message, open, say, tabTo,
} from "./page.mjs";
import { start } from "./processes.mjs";

const LONG_WORD = "w".repeat(300);
const LONG_ANSWER = "m".repeat(300);
const HOSTILE = `<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1"><b>&amp;</b>`;

export async function conversation() {
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

  await check("a message whose ack was lost is sent again under its ack id and heard once", async () => {
    const flaky = await open(url);
    const heard = await open(url);
    const sent = [];
    const acks = [];
    await betweenPageAndService(flaky, (frame, socket) => {
      if (frame.type !== "ack" || frame.ackId === 1) return frame;
      acks.push(frame);
      if (acks.length > 1) return frame;
      socket.close();
      return null;
    }, (frame) => {
      if (frame.type === "sendToGroup") sent.push(frame);
    });
    await flaky.reload();
    await enter(heard, "Gus", "flaky");
    await enter(flaky, "Fay", "flaky");
    await say(flaky, "only once");
    await message(flaky, "only once").and(flaky.locator("[data-status=sent]")).waitFor();
    assert.deepEqual(sent[1], sent[0]);
    assert.deepEqual(acks.map(({ ackId, error }) => [ackId, error?.name]), [[2, undefined], [2, "Duplicate"]]);
    await say(flaky, "the end");
    await message(heard, "the end").waitFor();
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
