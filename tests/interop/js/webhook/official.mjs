// The official event handler under express, set up as the driver of ours is: the same hubs, the same
// handlers, and a log of what they saw.

import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";

/** Starts it on a free port. `end()` answers with what the handlers saw, by the id of the event. */
export async function startOfficial() {
  const seen = new Map();
  const app = express();
  for (const options of HUBS) {
    app.use(handler(options, seen).getMiddleware());
  }
  // What is passed on, and what fails, must be seen from outside.
  app.use((_, response) => response.status(404).set("x-passed-on", "1").end());
  app.use((error, request, response, next) => {
    if (response.headersSent) {
      return response.destroy();
    }
    return response.status(500).set("x-failed", "1").end();
  });
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: server.address().port,
    async end() {
      await new Promise((resolve) => server.close(resolve));
      return seen;
    },
  };
}

const HUBS = [
  { hub: "chat", full: true },
  { hub: "bare" },
  { hub: "allowed", full: true, allowedEndpoints: ["https://A.webpubsub.azure.com", "http://localhost:8080/path", "https://b.example:443"] },
  { hub: "nobody", full: true, allowedEndpoints: [] },
  { hub: "custom", full: true, path: "/Custom/EventHandler" },
];

function handler({ hub, full, ...options }, seen) {
  if (!full) {
    return new WebPubSubEventHandler(hub, options);
  }
  const note = (request) => {
    const { context, data, dataType, queries, ...rest } = request;
    const { signature, ...shown } = context;
    const entry = { context: shown, ...rest };
    if (dataType !== undefined) {
      Object.assign(entry, { dataType, data: dataType === "binary" ? Buffer.from(data).toString("base64") : data });
    }
    seen.set(context.connectionId, [...(seen.get(context.connectionId) ?? []), JSON.parse(JSON.stringify(entry))]);
  };
  return new WebPubSubEventHandler(hub, {
    ...options,
    handleConnect(request, response) {
      note(request);
      answerConnect(request.query?.do?.[0], response);
    },
    handleUserEvent(request, response) {
      note(request);
      answerEvent(request.context.eventName, response);
    },
    onConnected: note,
    onDisconnected: note,
    onGroupJoined: note,
    onGroupLeft: note,
  });
}

/** What a client asks for in its query decides the answer: a JSON array of steps. */
function answerConnect(text, response) {
  for (const [step, ...values] of JSON.parse(text ?? "[[\"success\"]]")) {
    ({
      state: () => response.setState(values[0], values[1]),
      success: () => response.success(values[0]),
      fail: () => response.fail(values[0], values[1]),
      failWith: () => response.failWith(values[0]),
    })[step]();
  }
}

/** The name of an event decides the answer: the steps of `EVENTS` under it. */
function answerEvent(name, response) {
  for (const [step, ...values] of EVENTS[name] ?? [["success"]]) {
    ({
      state: () => response.setState(values[0], values[1]),
      success: () => response.success(values[1] === "binary" ? Buffer.from(values[0], "base64") : values[0], values[1]),
      fail: () => response.fail(values[0], values[1]),
    })[step]();
  }
}

/** Answers to user events, by the name of the event. */
export const EVENTS = {
  "empty": [["success"]],
  "text": [["success", "hi", "text"]],
  "message": [["success", "heard", "text"]],
  "text-empty": [["success", "", "text"]],
  "text-unicode": [["success", "héllo 👋", "text"]],
  "json": [["success", "{\"a\":1}", "json"]],
  "json-text": [["success", "\"x\"", "json"]],
  "binary": [["success", "AAH/", "binary"]],
  "binary-empty": [["success", "", "binary"]],
  "fail-400": [["fail", 400, "bad"]],
  "fail-401": [["fail", 401, "who?"]],
  "fail-500": [["fail", 500, "broken"]],
  "fail-403": [["fail", 403, "no"]],
  "fail-429": [["fail", 429, "later"]],
  "fail-bare": [["fail", 400]],
  "fail-unicode": [["fail", 400, "verböten"]],
  "state": [["state", "n", 2], ["success"]],
  "state-text": [["state", "s", "x"], ["success", "hi", "text"]],
  "state-object": [["state", "o", { b: [1, null, true], a: "é" }], ["success", "{}", "json"]],
  "state-twice": [["state", "n", 1], ["state", "n", 2], ["state", "m", null], ["success"]],
  "state-fail": [["state", "n", 2], ["fail", 400, "bad"]],
};
