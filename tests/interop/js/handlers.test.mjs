// The same clients on the emulator, once with the official event handler behind it and once with ours.
// What the clients see and what the handlers saw must be equal, and as written here.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { InvocationError, SendMessageError, WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebSocket } from "ws";

import { within } from "./support.mjs";
import { KEY } from "./webhook/cases.mjs";
import { startOfficial } from "./webhook/official.mjs";
import { startOurs } from "./webhook/ours.mjs";

const DRIVER = process.env.WEBHOOK_DRIVER;
const EMULATOR = process.env.EMULATOR_BIN;
assert.ok(DRIVER && EMULATOR, "set WEBHOOK_DRIVER and EMULATOR_BIN; `cargo xtask interop js` does it for you");

const BACKENDS = [
  { name: "the official handler", start: startOfficial },
  { name: "our handler", start: () => startOurs(DRIVER) },
];
const PROTOCOLS = [WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol];
/** What the handlers saw, by backend, without what differs from run to run. */
const logs = [];

for (const { name, start } of BACKENDS) {
  describe(`clients of ${name}`, () => {
    let handler;
    let emulator;
    let service;
    let folder;
    /** Connection ids of this backend, under names that both have. */
    const names = new Map();

    before(async () => {
      handler = await start();
      folder = await mkdtemp(join(tmpdir(), "handlers-"));
      const file = join(folder, "emulator.toml");
      // One hub by file, which can say more, and one by a flag.
      await writeFile(file, chat(handler.port));
      const flag = `bare=http://127.0.0.1:${handler.port}/api/webpubsub/hubs/{hub}/{event}`;
      emulator = await startEmulator(["--config", file, "--access-key", KEY, "--event-handler", flag]);
      service = serviceOf("chat");
    });

    after(async () => {
      await emulator.stop();
      const seen = await handler.end();
      await rm(folder, { recursive: true });
      logs.push(normalise(seen, names));
      if (logs.length === BACKENDS.length) {
        assert.deepEqual(logs[1], logs[0], "both handlers saw the same");
        spotChecks(logs[0]);
      }
    });

    const serviceOf = (hub) => new WebPubSubServiceClient(emulator.connectionString, hub, { allowInsecureConnection: true });

    /** A URL of a client that asks the connect handler for these steps. */
    async function url(steps, { hub = "chat", ...token } = {}) {
      const { url } = await serviceOf(hub).getClientAccessToken({ userId: "ana", ...token });
      return `${url}&do=${encodeURIComponent(JSON.stringify(steps))}`;
    }

    /** A connected client, called `label` in the logs of both. */
    async function connect(t, label, steps, { protocol = WebPubSubJsonProtocol, ...token } = {}) {
      const address = await url(steps, token);
      const client = new WebPubSubClient({ getClientAccessUrl: () => address }, { protocol: protocol(), autoReconnect: false, keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0, messageRetryOptions: { maxRetries: 0 } });
      const messages = [];
      client.on("server-message", ({ message }) => messages.push(message));
      client.on("group-message", ({ message }) => messages.push(message));
      const connected = new Promise((resolve) => client.on("connected", resolve));
      await within(client.start(), "the start");
      const { connectionId, userId } = await within(connected, "the connected event");
      names.set(connectionId, label);
      const stopped = new Promise((resolve) => client.on("stopped", resolve));
      t.after(async () => {
        client.stop();
        await within(stopped, "the client to stop");
      });
      return { client, messages, connectionId, userId };
    }

    /** The status with which a client is refused. */
    async function refused(steps, options) {
      const socket = new WebSocket(await url(steps, options), ["json.webpubsub.azure.v1"]);
      const [, response] = await within(once(socket, "unexpected-response"), "the refusal");
      response.destroy();
      return response.statusCode;
    }

    async function simple(t, label, steps) {
      const socket = new WebSocket(await url(steps));
      t.after(() => socket.terminate());
      await within(once(socket, "open"), "the socket");
      await nameMember(label);
      return socket;
    }

    /** Such clients do not learn their id; it is the only one in the group of that name. */
    async function nameMember(label) {
      const ids = [];
      for await (const { connectionId } of await service.group(label).listConnections()) ids.push(connectionId);
      assert.equal(ids.length, 1);
      names.set(ids[0], label);
    }

    for (const protocol of PROTOCOLS) {
      const on = protocol().name;

      test(`the token counts when the handler changes nothing (${on})`, async (t) => {
        const { userId } = await connect(t, `plain ${on}`, [["success"]], { protocol });
        assert.equal(userId, "ana");
      });

      test(`the handler chooses user, groups and roles (${on})`, async (t) => {
        const steps = [["success", { userId: "bob", groups: [`g-${on}`], roles: [`webpubsub.sendToGroup.g-${on}`] }]];
        const { client, messages, userId } = await connect(t, `chosen ${on}`, steps, { protocol, roles: ["webpubsub.sendToGroup"] });
        assert.equal(userId, "bob");
        await client.sendToGroup(`g-${on}`, "hi", "text");
        await client.sendEvent("text", "x", "text");
        assert.deepEqual(messages.map(({ group, fromUserId, data }) => [group, fromUserId, data]), [[`g-${on}`, "bob", "hi"], [undefined, undefined, "hi"]]);
        await assert.rejects(client.sendToGroup("other", "hi", "text"), (error) => error instanceof SendMessageError && error.errorDetail.name === "Forbidden");
      });

      test(`answers of every kind come before the ack (${on})`, async (t) => {
        const { client, messages } = await connect(t, `answers ${on}`, [["success"]], { protocol });
        for (const event of ["text", "text-unicode", "json", "json-text", "binary", "empty"]) {
          await client.sendEvent(event, { event }, "json");
        }
        const seen = messages.map(({ data, dataType }) => [dataType, dataType === "binary" ? [...new Uint8Array(data)] : data]);
        assert.deepEqual(seen, [["text", "hi"], ["text", "héllo 👋"], ["json", { a: 1 }], ["json", "x"], ["binary", [0, 1, 255]]]);
      });

      test(`a failed event leaves the connection (${on})`, async (t) => {
        const { client } = await connect(t, `failures ${on}`, [["success"]], { protocol });
        for (const event of ["fail-400", "fail-401", "fail-429"]) {
          await assert.rejects(client.sendEvent(event, "x", "text"), (error) => error instanceof SendMessageError && error.errorDetail.name === "InternalServerError");
        }
        await client.sendEvent("text", "still here", "text");
      });

      test(`invocations are answered (${on})`, async (t) => {
        const { client } = await connect(t, `invokes ${on}`, [["success"]], { protocol });
        const { data, dataType } = await client.invokeEvent("json", "x", "text");
        assert.deepEqual([dataType, data], ["json", { a: 1 }]);
        await assert.rejects(client.invokeEvent("fail-400", "x", "text"), (error) => error instanceof InvocationError && error.errorDetail.name === "InternalServerError");
      });

      test(`state goes along with every event (${on})`, async (t) => {
        const { client } = await connect(t, `state ${on}`, [["state", "from", "connect"], ["success"]], { protocol });
        await client.sendEvent("text", "1", "text");
        await client.sendEvent("state", "2", "text");
        await client.sendEvent("state-fail", "3", "text").catch(() => {});
        await client.sendEvent("state-object", "4", "text");
        await client.sendEvent("text", "5", "text");
      });

      test(`groups that are joined and left are told (${on})`, async (t) => {
        const { client, connectionId } = await connect(t, `groups ${on}`, [["success"]], { protocol, roles: ["webpubsub.joinLeaveGroup"], groups: ["from-token"] });
        await client.joinGroup("by-frame");
        await client.leaveGroup("by-frame");
        await service.group("by-rest").addConnection(connectionId);
      });

      test(`one flag brings a hub's events to a handler, which by default accepts and acknowledges (${on})`, async (t) => {
        const { client, messages } = await connect(t, `bare ${on}`, [["success"]], { protocol, hub: "bare" });
        await client.sendEvent("text", "x", "text");
        assert.deepEqual(messages, []);
      });
    }

    test("a refused client learns the status", async () => {
      for (const status of [400, 401, 403, 404, 429]) {
        assert.equal(await refused([["fail", status, "because"]]), status);
      }
    });

    test("the handler chooses the subprotocol among those that are offered", async (t) => {
      const socket = new WebSocket(await url([["success", { subprotocol: "other", groups: ["offers"] }]]), ["json.webpubsub.azure.v1", "other"]);
      t.after(() => socket.terminate());
      await within(once(socket, "open"), "the socket");
      assert.equal(socket.protocol, "other");
      await nameMember("offers");
      assert.equal(await refused([["success", { subprotocol: "not-offered" }]]), 500);
    });

    test("simple clients speak in events called message", async (t) => {
      const socket = await simple(t, "simple", [["success", { groups: ["simple"] }]]);
      for (const data of ["text", Buffer.from([1, 2])]) {
        socket.send(data);
        const [answer] = await within(once(socket, "message"), "the answer");
        assert.equal(String(answer), "heard");
      }
      socket.close(1000, "bye");
      await within(once(socket, "close"), "the close");
    });

    test("a connection that the server closes says why", async (t) => {
      const { client, connectionId } = await connect(t, "closed", [["success"]]);
      const stopped = new Promise((resolve) => client.on("disconnected", resolve));
      await service.closeConnection(connectionId, { reason: "enough" });
      await within(stopped, "the end");
    });
  });
}

/** Some of what the handlers must have seen, whatever the other one saw. */
function spotChecks(log) {
  const one = (key) => {
    assert.equal(log[key]?.length, 1, `${key}: once`);
    return log[key][0];
  };
  for (const { name } of PROTOCOLS.map((protocol) => protocol())) {
    const group = ({ group }) => group;
    assert.deepEqual(log[`groups ${name}: joined`].map(group).toSorted(), ["by-frame", "by-rest", "from-token"]);
    assert.deepEqual(log[`groups ${name}: left`].map(group).toSorted(), ["by-frame", "by-rest", "from-token"]);
    assert.deepEqual(one(`state ${name}: disconnected`).context.states, { from: "connect", n: 2, o: { b: [1, null, true], a: "é" } });
    one(`plain ${name}: connected`);
    one(`plain ${name}: disconnected`);
  }
  assert.deepEqual(log["simple: message"].map(({ data, dataType }) => [dataType, data]), [["text", "text"], ["binary", "AQI="]]);
  assert.equal(one("simple: disconnected").reason, "bye");
  assert.equal(one("closed: disconnected").reason, "Application server closed the connection. Reason: enough");
  assert.equal(log["refused: connected"], undefined);
  assert.equal(log["refused: disconnected"], undefined);
}

function chat(port) {
  const events = `["connect", "connected", "disconnected", "groupJoined", "groupLeft"]`;
  return `[[hubs.chat.event_handlers]]\nurl = "http://127.0.0.1:${port}/api/webpubsub/hubs/chat/{event}"\nuser_events = "*"\nsystem_events = ${events}\n`;
}

async function startEmulator(args) {
  const child = spawn(EMULATOR, ["--port", "0", "--json", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const ended = exited.then(([code]) => {
    throw new Error(`the emulator ended with ${code} before it was ready`);
  });
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
  ended.catch(() => {});
  return {
    connectionString: JSON.parse(line).connectionString,
    async stop() {
      child.kill("SIGINT");
      const [code, signal] = await exited;
      assert.equal(code ?? signal, 0);
    },
  };
}

/** By label and event, what the handler saw of each connection, in order where the service keeps one. */
function normalise(seen, names) {
  const log = {};
  for (const [id, entries] of seen) {
    const label = names.get(id) ?? "refused";
    for (const { context: { connectionId, subprotocol, ...context }, headers, query, claims, ...rest } of entries) {
      const { do: steps } = query ?? {};
      (log[`${label}: ${context.eventName}`] ??= []).push({ context, steps, ...rest });
    }
  }
  // Refused clients have no name, and there is no order among them, nor in what is told about groups at the end.
  const sorted = Object.entries(log).map(([key, list]) => [key, list.toSorted(by((entry) => (key.startsWith("refused") || key.endsWith("joined") || key.endsWith("left") ? `${entry.steps} ${entry.group}` : "")))]);
  return Object.fromEntries(sorted.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function by(text) {
  return (a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0);
}
