// Events and invocations of the official real-time client on both of its subprotocols, answered by
// the handlers of `tests/interop/handler`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvocationError, SendMessageError } from "@azure/web-pubsub-client";

import { failure, newHandledService, newService, PROTOCOLS, startClient as start, within } from "./support.mjs";

const ONCE = { messageRetryOptions: { maxRetries: 0 } };
const OBJECT = { n: 1, list: [true, null, "ü😀"] };
const BYTES = new Uint8Array([0, 1, 254, 255]).buffer;
const ANY = new Uint8Array([10, 1, 84, 18, 2, 8, 1]).buffer;
const EACH_TYPE = [
  ["hi", "text"],
  ["", "text"],
  [OBJECT, "json"],
  ["text", "json"],
  [BYTES, "binary"],
  [ANY, "protobuf"],
];

for (const { name, protocol } of PROTOCOLS) {
  const startClient = (test, service, token, options) => start(test, service, token, { protocol: protocol(), ...options });

  /** A client with a call of `slow` under way, and another one that directs it. */
  async function startSlow(t, call) {
    const service = newHandledService();
    const { client, events } = await startClient(t, service, {}, ONCE);
    const { client: director } = await startClient(t, service, {}, ONCE);
    // Watched at once, so that its failure never counts as unhandled.
    const outcome = call(client).then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    const direct = (event) => within(director.invokeEvent(event, "", "text"), event);
    await direct("slow-begun");
    return { client, events, direct, outcome: () => within(outcome, "the outcome of the slow call") };
  }

  describe(`events, ${name}`, () => {
    test("an answer of every data type comes before the event is acknowledged", async (t) => {
      // req: S-6-9
      const { client } = await startClient(t, newHandledService());
      const seen = [];
      client.on("server-message", ({ message }) => seen.push([message.data, message.dataType]));
      for (const [index, payload] of EACH_TYPE.entries()) {
        const result = await client.sendEvent("echo", ...payload);
        assert.equal(result.isDuplicated, false);
        assert.equal(seen.length, index + 1);
      }
      assert.deepEqual(seen, EACH_TYPE);
    });

    test("the handler knows who sent the event, and counts", async (t) => {
      const service = newHandledService();
      const { client, events, connectionId } = await startClient(t, service, { userId: "ana" });
      await client.sendEvent("silent", "x", "text");
      await client.sendEvent("context", "x", "text");
      assert.deepEqual((await events["server-message"].next("the context")).message.data, {
        hub: service.hubName,
        connectionId,
        userId: "ana",
        eventName: "context",
        // After `connected`, which takes a number also where no handler wants it, and the silent one.
        eventId: 3,
      });
    });

    test("a repeated ack id does not reach the handler again", async (t) => {
      // req: S-6-3
      const { client, events } = await startClient(t, newHandledService());
      const first = await client.sendEvent("echo", "once", "text", { ackId: 9 });
      const second = await client.sendEvent("echo", "twice", "text", { ackId: 9 });
      assert.deepEqual([first.isDuplicated, second.isDuplicated], [false, true]);
      await client.sendEvent("context", "", "text");
      assert.equal((await events["server-message"].next("the echo")).message.data, "once");
      assert.equal((await events["server-message"].next("the context")).message.data.eventId, 3);
    });

    test("a failure names no cause and does not use up the ack id", async (t) => {
      // req: S-6-6, S-6-8
      const { client } = await startClient(t, newHandledService(), {}, ONCE);
      const error = await failure(client.sendEvent("fail", "x", "text", { ackId: 3 }));
      assert.ok(error instanceof SendMessageError);
      assert.equal(error.ackId, 3);
      assert.deepEqual(error.errorDetail, { name: "InternalServerError", message: "Internal server error" });
      assert.equal((await client.sendEvent("silent", "x", "text", { ackId: 3 })).isDuplicated, false);
    });

    test("events that want no ack are answered in order", async (t) => {
      const { client, events } = await startClient(t, newHandledService());
      for (const text of ["1", "2", "3"]) {
        await client.sendEvent("echo", text, "text", { fireAndForget: true });
      }
      await client.sendEvent("fail", "x", "text", { fireAndForget: true });
      await client.sendEvent("echo", "4", "text", { fireAndForget: true });
      for (const text of ["1", "2", "3", "4"]) {
        assert.equal((await events["server-message"].next("the echo")).message.data, text);
      }
    });

    test("what is sent during a call waits for its end", async (t) => {
      // req: S-6-12
      const { client, events, direct, outcome } = await startSlow(t, (client) => client.sendEvent("slow", "slow", "text"));
      await client.sendEvent("echo", "after", "text", { fireAndForget: true });
      await direct("release");
      assert.equal((await outcome()).value.isDuplicated, false);
      assert.equal((await events["server-message"].next("the first answer")).message.data, "slow");
      assert.equal((await events["server-message"].next("the second answer")).message.data, "after");
    });
  });

  describe(`invocations, ${name}`, () => {
    test("every data type comes back", async (t) => {
      // req: S-10-1, S-10-4
      const { client, events } = await startClient(t, newHandledService());
      for (const [data, dataType] of EACH_TYPE) {
        const result = await client.invokeEvent("echo", data, dataType);
        assert.deepEqual([result.data, result.dataType], [data, dataType]);
      }
      const named = await client.invokeEvent("silent", "x", "text", { invocationId: "mine" });
      assert.deepEqual(named, { invocationId: "mine", dataType: undefined, data: undefined });
      // No answer came as a message besides.
      await client.sendEvent("echo", "end", "text");
      assert.equal((await events["server-message"].next("the echo")).message.data, "end");
    });

    test("a failure of the handler, and a missing handler, are the service's error", async (t) => {
      // req: S-10-5
      for (const service of [newHandledService(), newService()]) {
        const { client } = await startClient(t, service);
        const error = await failure(client.invokeEvent("fail", { n: 1 }, "json", { invocationId: "7" }));
        assert.ok(error instanceof InvocationError);
        assert.equal(error.invocationId, "7");
        assert.equal(error.message, "Internal server error");
        assert.deepEqual(error.errorDetail, { name: "InternalServerError", message: "Internal server error" });
      }
    });

    test("a slow answer arrives when it comes", async (t) => {
      const { direct, outcome } = await startSlow(t, (client) => client.invokeEvent("slow", "patience", "text"));
      await direct("release");
      assert.equal((await outcome()).value.data, "patience");
    });

    test("an abort gives up the handler's call, and the connection goes on", async (t) => {
      // req: S-10-3
      const abort = new AbortController();
      const { client, direct, outcome } = await startSlow(t, (client) =>
        client.invokeEvent("slow", "x", "text", { abortSignal: abort.signal }),
      );
      abort.abort();
      const { error } = await outcome();
      assert.ok(error instanceof InvocationError);
      assert.equal(error.errorDetail, undefined);
      await direct("slow-dropped");
      assert.equal((await client.invokeEvent("echo", "next", "text")).data, "next");
    });

    test("a time limit of the caller gives it up as well", async (t) => {
      const { direct, outcome } = await startSlow(t, (client) =>
        client.invokeEvent("slow", "x", "text", { abortSignal: AbortSignal.timeout(50) }),
      );
      assert.ok((await outcome()).error instanceof InvocationError);
      await direct("slow-dropped");
    });

    test("the end of the client gives up its call", async (t) => {
      // req: S-6-14
      const { client, direct, outcome } = await startSlow(t, (client) => client.invokeEvent("slow", "x", "text"));
      client.stop();
      assert.match((await outcome()).error.message, /disconnected before receiving invoke response/);
      await direct("slow-dropped");
    });

    test("invocations of one client are answered one after the other", async (t) => {
      const { client, direct, outcome } = await startSlow(t, (client) => client.invokeEvent("slow", "first", "text"));
      const second = client.invokeEvent("echo", "second", "text");
      await direct("release");
      assert.equal((await within(second, "the second answer")).data, "second");
      assert.equal((await outcome()).value.data, "first");
    });
  });
}
