// The chat page in handler mode: the server checks logins, publishes what is said and knows who is here.

import assert from "node:assert/strict";

import { check } from "./checks.mjs";
import { options } from "./options.mjs";
import { cutOff, enter, fitsWithoutSidewaysScroll, isAccessible, log, message, NARROW, open, say } from "./page.mjs";
import { Terminal, start } from "./processes.mjs";

const people = (page) => page.getByRole("list", { name: "People here" });
const names = async (page) => (await people(page).locator("li bdi").allTextContents()).join(" ");

async function untilHere(page, expected) {
  await page.waitForFunction(
    (expected) => [...document.querySelectorAll(".people:not([hidden]) li bdi")].map((name) => name.textContent).join(" ") === expected,
    expected,
  );
}

export async function handler() {
  const chat = await start(options["chat-bin"], ["--handler", "--port", "0"]);
  const ana = await open(chat.ready.url);
  await enter(ana, "Ana");
  const ben = await open(chat.ready.url);
  await enter(ben, "Ben");

  await check("the page shows who is here, and who comes", async () => {
    await untilHere(ana, "Ana Ben");
    await untilHere(ben, "Ana Ben");
    await log(ana).getByText("You joined").waitFor();
    await log(ana).getByText(/^Ben #\w{6} joined/).waitFor();
  });

  await check("what is said goes through the server, once, with its time", async () => {
    await say(ana, "hello from Ana");
    await message(ben, "hello from Ana").waitFor();
    await message(ana, "hello from Ana").and(ana.locator("[data-status=sent]")).waitFor();
    await say(ben, "hello from Ben");
    await message(ana, "hello from Ben").waitFor();
    assert.equal(await message(ana, "hello from Ana").count(), 1);
    const time = (page) => message(page, "hello from Ana").locator("time").getAttribute("datetime");
    assert.equal(await time(ana), await time(ben));
    const events = ana.traffic.sent.filter(({ type }) => type === "event" || type === "sendToGroup");
    assert.deepEqual(events.map(({ type, event }) => [type, event]), [["event", "say"]]);
  });

  await check("the terminal talks with the page", async () => {
    const rust = new Terminal(options["chat-bin"], ["join", "lobby", "--server", chat.ready.url, "--name", "Rust", "--json"]);
    await untilHere(ana, "Ana Ben Rust");
    rust.say("hello from the terminal");
    await message(ana, "hello from the terminal").waitFor();
    await say(ana, "hello, terminal");
    await rust.until(({ event, text }) => event === "message" && text === "hello, terminal");
    assert.equal(await rust.end(), 0);
    await untilHere(ana, "Ana Ben");
    await log(ana).getByText(/^Rust #\w{6} left/).waitFor();
  });

  await check("who leaves the room is gone from the list", async () => {
    await ben.getByRole("button", { name: "Leave lobby" }).click();
    await untilHere(ana, "Ana");
    assert.equal(await names(ana), "Ana");
  });

  await check("small windows and assistive technology", async () => {
    await ana.setViewportSize(NARROW);
    await fitsWithoutSidewaysScroll(ana);
    await isAccessible(ana);
  });

  await check("the pages have nothing to complain about", () => assert.deepEqual([...ana.complaints, ...ben.complaints], []));
  await check("the program ends well", async () => {
    assert.equal(await chat.stop(), 0);
    await cutOff(ana);
  });
}
