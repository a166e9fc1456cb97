// The chat page in a real browser: opening it, what it shows, what it says.

import assert from "node:assert/strict";

import axe from "axe-core";
import { chromium } from "playwright-core";

export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 360, height: 720 };
const PATIENCE = 15_000;

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** Opens a window of its own: nothing is shared with the others but the server. Its `traffic` is what it says to the service. */
export async function open(url, settings = {}) {
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce", ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("dialog", (dialog) => page.complaints.push(`dialog: ${dialog.message()}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.complaints.push(message.text());
  });
  page.traffic = new Traffic(page);
  if (settings.clock) await page.clock.install();
  await page.goto(url);
  return page;
}

export async function enter(page, name, room = "lobby") {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("textbox", { name: "Room", exact: true }).fill(room);
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await connected(page);
}

export const connected = (page) => page.locator("#status[data-state=connected]").waitFor();
export const cutOff = (page) => page.locator("#status:not([data-state=connected])").waitFor();
export const log = (page) => page.getByRole("log");
export const heading = (page, room) => page.getByRole("heading", { level: 1, name: room, exact: true }).waitFor();
export const message = (page, text) => log(page).locator("li.message").filter({ has: page.getByText(text, { exact: true }) });
export const me = (page) => page.locator("#me").textContent();

export async function say(page, text) {
  await page.getByLabel(/^Message to /).fill(text);
  await page.keyboard.press("Enter");
}

export async function fitsWithoutSidewaysScroll(page) {
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

export async function isAccessible(page) {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.length > 10, "axe looked at the page");
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
}

/** Presses Tab until the element with that accessible name has the focus. */
export async function tabTo(page, name, { back = false } = {}) {
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

/**
 * Passes the service's frames through `change`, which may replace one, drop it (null) or close the
 * socket. What the page says passes unchanged, after `said` has seen it.
 */
export function betweenPageAndService(page, change, said = () => {}) {
  return page.routeWebSocket(/\/client\//, (socket) => {
    const service = socket.connectToServer();
    service.onMessage((text) => {
      const frame = change(JSON.parse(text), socket);
      if (frame) socket.send(JSON.stringify(frame));
    });
    socket.onMessage((text) => {
      said(JSON.parse(text));
      service.send(text);
    });
  });
}

/** The frames of all of a page's sockets, in the order they went. */
class Traffic {
  sent = [];
  received = [];
  #waiting = new Set();

  constructor(page) {
    page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => this.#add(this.sent, payload));
      socket.on("framereceived", ({ payload }) => this.#add(this.received, payload));
    });
  }

  /** The connection ids that the service gave, one for each socket that it greeted. */
  get connectionIds() {
    return this.received.filter(({ event }) => event === "connected").map(({ connectionId }) => connectionId);
  }

  /** Resolves to what `find(traffic)` returns as soon as that is truthy. */
  until(find) {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        const found = find(this);
        if (!found) return;
        this.#waiting.delete(attempt);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(attempt);
        reject(new Error(`no such traffic: ${find}`));
      }, PATIENCE);
      this.#waiting.add(attempt);
      attempt();
    });
  }

  #add(frames, payload) {
    frames.push(JSON.parse(payload));
    for (const attempt of this.#waiting) attempt();
  }
}
