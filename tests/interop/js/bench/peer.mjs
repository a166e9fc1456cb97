// `node peer.mjs WORK TARGET COUNT`: what `tests/load/peers` does, with the official packages.

import { once } from "node:events";
import { createInterface } from "node:readline";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";

const FRAMES_IN_FLIGHT = 64;
const CALLS_IN_FLIGHT = 32;
const GROUP = "g";
const HUB = "load";
const TEXT = "x".repeat(100);
const PLAIN = { contentType: "text/plain" };

const [work, target, countText] = process.argv.slice(2);
const count = Number(countText);
const lines = createInterface({ input: process.stdin });
const say = (line) => process.stdout.write(`${line}\n`);

/** Says that it is ready and waits for the start. */
async function ready() {
  say("ready");
  await once(lines, "line");
}

async function connect(protocol = WebPubSubJsonReliableProtocol()) {
  const client = new WebPubSubClient(target, { protocol });
  await client.start();
  return client;
}

/** Calls `one` until it was called `count` times, so many at once. */
async function inFlight(limit, one) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      await one();
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

async function receive(protocol) {
  const client = await connect(protocol);
  const all = new Promise((resolve) => {
    let received = 0;
    client.on("group-message", () => {
      received += 1;
      if (received === count) {
        resolve();
      }
    });
  });
  await ready();
  await all;
}

const WORKS = {
  "receive-json": () => receive(WebPubSubJsonProtocol()),
  "receive-reliable-json": () => receive(WebPubSubJsonReliableProtocol()),

  async acknowledged() {
    const client = await connect();
    await ready();
    await inFlight(FRAMES_IN_FLIGHT, () => client.sendToGroup(GROUP, TEXT, "text"));
  },

  async forget() {
    const client = await connect();
    await ready();
    await inFlight(FRAMES_IN_FLIGHT, () => client.sendToGroup(GROUP, TEXT, "text", { fireAndForget: true }));
  },

  async idle() {
    await ready();
    const clients = [];
    await inFlight(FRAMES_IN_FLIGHT, async () => clients.push(await connect()));
    globalThis.clients = clients;
  },

  async rest() {
    const client = new WebPubSubServiceClient(target, HUB, { allowInsecureConnection: true });
    await client.sendToAll("warm", PLAIN);
    await ready();
    await inFlight(CALLS_IN_FLIGHT, () => client.sendToAll(TEXT, PLAIN));
  },

  async token() {
    const client = new WebPubSubServiceClient(target, HUB, { allowInsecureConnection: true });
    await ready();
    for (let made = 0; made < count; made += 1) {
      await client.getClientAccessToken({ userId: "ana", roles: ["webpubsub.sendToGroup.room"], groups: ["room"] });
    }
  },

  async webhook() {
    const handler = new WebPubSubEventHandler(HUB, {
      handleUserEvent: (request, response) => response.success(request.data, "text"),
    });
    const app = express();
    app.use(handler.getMiddleware());
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    say(`127.0.0.1:${server.address().port}`);
    await once(lines, "close");
  },
};

await WORKS[work]();
say("done");
// What was sent goes out, and clients stay, until the input ends.
await once(lines, "close");
process.exit(0);
