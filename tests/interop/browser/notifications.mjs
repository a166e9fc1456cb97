// The page of examples/notifications: jobs, their progress, and a connection that comes back.

import assert from "node:assert/strict";

import { check } from "./checks.mjs";
import { options } from "./options.mjs";
import { fitsWithoutSidewaysScroll, isAccessible, NARROW, open } from "./page.mjs";
import { Wire, start } from "./processes.mjs";

const job = (page, below) => page.locator("#jobs li").filter({ has: page.getByRole("heading", { name: `Primes below ${below}`, exact: true }) });
const connected = (page) => page.locator("#status[data-state=connected]").waitFor();

async function count(page, below) {
  await page.getByLabel("Count the primes below").fill(below);
  await page.getByRole("button", { name: "Start" }).click();
}

/** The page's sockets go through a wire, its HTTP calls do not. */
export async function notifications() {
  const wire = await Wire.open();
  const emulator = await start(options["emulator-bin"], ["--port", "0"]);
  const { connectionString, endpoint } = emulator.ready;
  wire.connectTo(endpoint);
  const through = connectionString.replace(/Endpoint=[^;]*/, `Endpoint=${wire.url}`);
  const server = await start(options["notifications-bin"], ["--port", "0"], { WebPubSubConnectionString: through });
  const ana = await open(server.ready.url);
  const ben = await open(server.ready.url);
  await connected(ana);
  await connected(ben);

  await check("a job runs to its end in sight of its user", async () => {
    await count(ana, "3,000,000");
    await job(ana, "3,000,000").getByText("Finished: 216,816 primes").waitFor();
    assert.equal(await job(ana, "3,000,000").locator("progress").evaluate((bar) => bar.value / bar.max), 1);
    assert.equal(await job(ana, "3,000,000").getByRole("button").count(), 0);
  });

  await check("every window of the user hears of it, and nobody else's", async () => {
    const second = await ana.context().newPage();
    await second.goto(server.ready.url);
    await connected(second);
    await count(ana, "1000");
    await job(second, "1,000").getByText("Finished: 168 primes").waitFor();
    await count(ben, "100");
    await job(ben, "100").getByText("Finished: 25 primes").waitFor();
    assert.equal(await ben.locator("#jobs li").count(), 1);
    await second.close();
  });

  await check("a job is cancelled", async () => {
    await count(ana, "2000000000");
    await job(ana, "2,000,000,000").getByRole("button", { name: "Cancel" }).click();
    await job(ana, "2,000,000,000").getByText(/^Cancelled at/).waitFor();
  });

  await check("what was missed while the connection was lost is there once it is back", async () => {
    wire.cut();
    await ana.locator("#status[data-state=waiting]").waitFor();
    await count(ana, "2000");
    await job(ana, "2,000").waitFor();
    await wire.refusals(1);
    wire.restore();
    await connected(ana);
    await job(ana, "2,000").getByText("Finished: 303 primes").waitFor();
  });

  await check("mistakes are named beside the field", async () => {
    await count(ana, "many");
    await ana.getByText("Please type a whole number.").waitFor();
    await count(ana, "1");
    await ana.getByText("Choose a number from 2 to 2000000000.").waitFor();
    assert.equal(await ana.evaluate(() => document.activeElement.id), "below");
  });

  await check("small windows and assistive technology", async () => {
    await ana.setViewportSize(NARROW);
    await fitsWithoutSidewaysScroll(ana);
    await isAccessible(ana);
  });

  await check("the pages have nothing to complain about", async () => {
    const failedSockets = /WebSocket connection to|ERR_CONNECTION|400 \(Bad Request\)/;
    assert.deepEqual([...ana.complaints, ...ben.complaints].filter((line) => !failedSockets.test(line)), []);
  });

  assert.equal(await server.stop(), 0);
  assert.equal(await emulator.stop(), 0);
  await wire.close();
}
