// Our real-time client, through the driver of `tests/interop/frames`, and the official one, or raw
// frames where it has no method, talk to each other through the emulator.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

import { startOurs } from "./frames/ours.mjs";
import { Signal } from "./frames/signal.mjs";
import { JSON_SUBPROTOCOL, newHandledService, newService, Queue, RawClient, RELIABLE_JSON_SUBPROTOCOL, startClient, within } from "./support.mjs";

const DRIVER = process.env.FRAMES_DRIVER;
if (!DRIVER) {
  throw new Error("set FRAMES_DRIVER; `cargo xtask interop js` does it for you");
}

const PROTOCOLS = [
  { name: "json", protocol: WebPubSubJsonProtocol, subprotocol: JSON_SUBPROTOCOL },
  { name: "reliable", protocol: WebPubSubJsonReliableProtocol, subprotocol: RELIABLE_JSON_SUBPROTOCOL },
];

const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup", "webpubsub.getGroupState", "webpubsub.setGroupState"];
const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64")).buffer;
const base64 = (data) => (data instanceof ArrayBuffer ? Buffer.from(data).toString("base64") : data);

/** Payloads as scripts write them, and as the official client takes them. */
const PAYLOADS = [
  ["text", "Grüße 🚀", "Grüße 🚀"],
  ["text", "", ""],
  ["json", { n: [1, 2.5, null], ü: "é" }, { n: [1, 2.5, null], ü: "é" }],
  ["json", "text", "text"],
  ["binary", "AAEC/f7/", bytes("AAEC/f7/")],
  ["protobuf", "CgFUEgIIAQ==", bytes("CgFUEgIIAQ==")],
];

const ours = startOurs(DRIVER);
after(async () => assert.ok(await ours.end(), "the driver ended well"));
let clients = 0;

/** A client of ours: calls give their outcome, events and streams are in queues. */
class OurClient {
  #client;
  #calls = 0;
  #outcomes = new Map();
  #events = new Map();
  streams = new Queue();

  static async start(protocol, service, token) {
    const { url } = await service.getClientAccessToken(token);
    const client = new OurClient(url, protocol);
    assert.deepEqual(await client.call({ do: "start" }), { outcome: "started" });
    client.connectionId = (await client.next("connected")).connectionId;
    return client;
  }

  constructor(url, protocol) {
    clients += 1;
    const record = {
      result: (id, outcome) => this.#outcomes.get(id)(outcome),
      event: (kind, event) => this.#queue(kind).push(event),
      stream: (name, what) => this.streams.push([name, what]),
    };
    this.#client = ours.client(`client-${clients}`, { url, protocol, options: {} }, record, new Signal());
  }

  call(operation) {
    this.#calls += 1;
    const id = String(this.#calls);
    const outcome = new Promise((resolve) => this.#outcomes.set(id, resolve));
    this.#client.call(id, operation);
    return within(outcome, `the outcome of ${operation.do}`);
  }

  /** Makes a call that has to be accepted. */
  async ask(operation) {
    assert.equal((await this.call(operation)).outcome, "accepted");
  }

  /** Opens a stream to the group `room`, writes texts to it, and ends it. */
  async publish(texts, end = { do: "end" }) {
    // A stream is known by the call that opened it, which comes next.
    const stream = String(this.#calls + 1);
    assert.equal((await this.call({ do: "openStream", group: "room" })).outcome, "opened");
    for (const text of texts) {
      assert.deepEqual(await this.call({ do: "write", stream, data: { text } }), { outcome: "written" });
    }
    assert.deepEqual(await this.call({ ...end, stream }), { outcome: "ended" });
  }

  next(kind) {
    return this.#queue(kind).next(`the event ${kind}`);
  }

  #queue(kind) {
    if (!this.#events.has(kind)) {
      this.#events.set(kind, new Queue());
    }
    return this.#events.get(kind);
  }
}

for (const { name, protocol, subprotocol } of PROTOCOLS) {
  /** A client of each kind in the group `room`. */
  async function both(t, service) {
    const rust = await OurClient.start(name, service, { userId: "rust", roles });
    const js = await startClient(t, service, { userId: "js", roles }, { protocol: protocol() });
    await rust.ask({ do: "joinGroup", group: "room" });
    await js.client.joinGroup("room");
    return { rust, js };
  }

  describe(`our client and the official one, ${name}`, () => {
    test("group messages of every data type arrive in both directions", async (t) => {
      const { rust, js } = await both(t, newService());
      for (const [dataType, written, value] of PAYLOADS) {
        await rust.ask({ do: "sendToGroup", group: "room", data: { [dataType]: written }, noEcho: true });
        const { message } = await js.events["group-message"].next("the message of ours");
        assert.deepEqual([message.fromUserId, message.dataType, message.data], ["rust", dataType, value]);

        await js.client.sendToGroup("room", value, dataType, { noEcho: true });
        const { fromUserId, ...received } = await rust.next("group-message");
        assert.deepEqual([fromUserId, received.dataType, received.data], ["js", dataType, base64(value)]);
      }
    });

    test("streams of ours reach the official client", async (t) => {
      const { rust, js } = await both(t, newService());
      const streams = new Queue();
      js.client.onGroupStream(async (stream) => {
        const fragments = [];
        try {
          for await (const { data } of stream) {
            fragments.push(data);
          }
          streams.push({ fragments });
        } catch ({ name, message, userErrorCode }) {
          streams.push({ fragments, error: { name, message, userErrorCode } });
        }
      });
      await rust.publish(["one", "two", "three"]);
      assert.deepEqual(await streams.next("the stream"), { fragments: ["one", "two", "three"] });
      await rust.publish(["half"], { do: "abort", message: "gave up", userErrorCode: "E1" });
      const error = { name: "UserError", message: "gave up", userErrorCode: "E1" };
      assert.deepEqual(await streams.next("the stream"), { fragments: ["half"], error });
    });

    test("streams of the official client reach ours", async (t) => {
      const { rust, js } = await both(t, newService());
      await rust.call({ do: "receiveStreams" });
      const write = async (streamId, end) => {
        const stream = await within(js.client.openGroupStream("room", { streamId }), "the stream to open");
        for (const [dataType, , value] of PAYLOADS) {
          await within(stream.write(value, dataType), "the fragment to be sent");
        }
        await within(end(stream), "the end to be sent");
      };
      const expect = async (streamId, last) => {
        const next = async () => {
          const [stream, what] = await rust.streams.next("the stream");
          assert.equal(stream, `room/${streamId}`);
          return what;
        };
        assert.deepEqual(await next(), { opened: true });
        for (const [index, [dataType, , value]] of PAYLOADS.entries()) {
          assert.deepEqual(await next(), { dataType, data: base64(value), number: index + 1, fromUserId: "js" });
        }
        assert.deepEqual(await next(), last);
      };
      await write("whole", (stream) => stream.end());
      await expect("whole", { ended: true });
      await write("broken", (stream) => stream.abort({ message: "gave up", userErrorCode: "E1" }));
      await expect("broken", { failed: "UserError", message: "gave up", userErrorCode: "E1" });
    });

    test("the same handler answers the invocations of both", async (t) => {
      const { rust, js } = await both(t, newHandledService());
      for (const [dataType, written, value] of PAYLOADS) {
        const answer = await rust.call({ do: "invoke", event: "echo", data: { [dataType]: written } });
        assert.deepEqual(answer, { outcome: "answered", dataType, data: base64(value) });
        const theirs = await js.client.invokeEvent("echo", value, dataType);
        assert.deepEqual([theirs.dataType, theirs.data], [dataType, value]);
      }
      const refused = await rust.call({ do: "invoke", event: "nobody", data: { text: "" } });
      const error = await js.client.invokeEvent("nobody", "", "text").catch(({ errorDetail }) => errorDetail);
      assert.deepEqual({ outcome: "rejected", ...error, ackId: null }, refused);
    });

    test("states of a group are seen in both directions", async (t) => {
      const service = newService();
      const rust = await OurClient.start(name, service, { userId: "rust", roles });
      const raw = await RawClient.connect(t, service, { subprotocol, userId: "js", roles });
      await rust.ask({ do: "joinGroup", group: "room" });
      await raw.request({ type: "joinGroup", group: "room", ackId: 1 });
      await raw.request({ type: "subscribeGroupState", group: "room", ackId: 2 });
      assert.equal((await raw.nextJson()).type, "groupStateSnapshot");
      await rust.ask({ do: "subscribeGroupState", group: "room" });

      await rust.ask({ do: "setGroupState", group: "room", state: { mood: "calm" } });
      const { type, items: [{ connectionId, userId, state }] } = await raw.nextJson();
      assert.deepEqual([type, connectionId, userId, state], ["groupStateUpdate", rust.connectionId, "rust", { mood: "calm" }]);
      const own = await rust.next("group-state");
      assert.deepEqual(own.changes, [{ connectionId: rust.connectionId, userId: "rust", state: { mood: "calm" } }]);

      raw.send({ type: "setGroupState", group: "room", state: { mood: "glad" } });
      const set = await rust.next("group-state");
      assert.deepEqual(set, { kind: "group-state", group: "room", changes: [{ connectionId: raw.id, userId: "js", state: { mood: "glad" } }] });
      raw.send({ type: "setGroupState", group: "room" });
      assert.deepEqual((await rust.next("group-state")).changes, [{ connectionId: raw.id }]);
    });
  });
}
