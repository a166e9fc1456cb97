// The faults of the emulator, and how the official packages bear them. What is checked is that they can work with each kind;
// how they take it is theirs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

import { addFault, callAdmin, failure, NO_FAULTS, newFaultyService as newService, startClient, within } from "./support.mjs";

const TEXT = { contentType: "text/plain" };
const ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const ONCE = { messageRetryOptions: { maxRetries: 0 } };

/** Waits until a rule has hit. */
async function hasHit(rule) {
  const end = Date.now() + 10_000;
  while ((await rule.hits()) === 0) {
    assert.ok(Date.now() < end, "waited 10 s for the fault to hit");
  }
}

describe("faults", { skip: NO_FAULTS }, () => {
  const start = (t, service) =>
    startClient(t, service, { userId: "ana", roles: ROLES }, { protocol: WebPubSubJsonReliableProtocol() });

  /** A member of a group whose line meets a fault, and who is sent something afterwards on the same connection. */
  async function isRecovered(t, fault) {
    const service = newService();
    const { client, events, connectionId } = await start(t, service);
    await client.joinGroup("room");
    const rule = await addFault(t, service, { hitCount: 1, ...fault });
    await service.group("room").sendToAll("hi", TEXT);
    assert.equal((await events["group-message"].next("the message")).message.data, "hi");
    assert.equal(await service.connectionExists(connectionId), true);
    assert.equal(await rule.hits(), 1);
  }

  test("drop_connection: recovered", (t) => isRecovered(t, { kind: "drop_connection" }));

  test("reset_peer: recovered", (t) => isRecovered(t, { kind: "reset_peer" }));

  test("close: recovered, but for 1008", async (t) => {
    await isRecovered(t, { kind: "close", code: 1011, reason: "oops" });
    const service = newService();
    const { events, connectionId } = await start(t, service);
    await addFault(t, service, { kind: "close", code: 1008, reason: "not today", hitCount: 1 });
    const again = await events.connected.next("another connection");
    assert.notEqual(again.connectionId, connectionId);
  });

  test("half_open: what waited arrives when the line works again", async (t) => {
    const service = newService();
    const { client, events, connectionId } = await start(t, service);
    await client.joinGroup("room");
    const rule = await addFault(t, service, { kind: "half_open" });
    await service.group("room").sendToAll("hi", TEXT);
    await hasHit(rule);
    await rule.remove();
    assert.equal((await events["group-message"].next("the message")).message.data, "hi");
    assert.equal(await service.connectionExists(connectionId), true);
  });

  test("refuse_upgrade: tried again", async (t) => {
    const service = newService();
    const { client, events } = await start(t, service);
    await client.joinGroup("room");
    const busy = await addFault(t, service, { kind: "refuse_upgrade", status: 503, hitCount: 1 });
    await addFault(t, service, { kind: "drop_connection", hitCount: 1 });
    await service.group("room").sendToAll("hi", TEXT);
    assert.equal((await events["group-message"].next("the message")).message.data, "hi");
    assert.equal(await busy.hits(), 1);
  });

  test("latency and bandwidth: everything arrives in order", async (t) => {
    const service = newService();
    const { client, events } = await start(t, service);
    await client.joinGroup("room");
    await addFault(t, service, { kind: "latency", latencySeconds: 0.02, jitterSeconds: 0.01 });
    await addFault(t, service, { kind: "bandwidth", bytesPerSecond: 100_000 });
    const sent = Array.from({ length: 50 }, (_, n) => `${n}`);
    for (const text of sent) {
      await service.group("room").sendToAll(text, TEXT);
    }
    for (const text of sent) {
      assert.equal((await events["group-message"].next(text)).message.data, text);
    }
  });

  test("lose_frame: an ack that is lost comes after a recovery", async (t) => {
    const service = newService();
    const { client } = await start(t, service);
    const lost = await addFault(t, service, { kind: "lose_frame", frame: "ack", direction: "out", hitCount: 1 });
    const joined = client.joinGroup("room", { ackId: 7 });
    await hasHit(lost);
    await addFault(t, service, { kind: "drop_connection", hitCount: 1 });
    // The try fails with the socket; the package asks again under the same id.
    assert.equal((await within(joined, "the answer")).isDuplicated, true);
  });

  test("duplicate_frame: an ack that comes twice settles a request once", async (t) => {
    const service = newService();
    const { client } = await start(t, service);
    const twice = await addFault(t, service, { kind: "duplicate_frame", frame: "ack", direction: "out" });
    assert.equal((await client.joinGroup("room")).isDuplicated, false);
    assert.equal((await client.sendToGroup("room", "hi", "text")).isDuplicated, false);
    assert.equal(await twice.hits(), 2);
  });

  test("refuse_operation: the server's package tries again", async (t) => {
    const service = newService();
    const { client, events } = await start(t, service);
    await client.joinGroup("room");
    const busy = { kind: "refuse_operation", status: 429, retryAfterSeconds: 0, operation: "SendToGroup", hitCount: 1 };
    const rule = await addFault(t, service, busy);
    await service.group("room").sendToAll("hi", TEXT);
    assert.equal((await events["group-message"].next("the message")).message.data, "hi");
    assert.equal(await rule.hits(), 1);
  });

  test("lose_answer: done, although the caller cannot know", async (t) => {
    const service = newService({ retryOptions: { maxRetries: 0 } });
    const { client, events } = await start(t, service);
    await client.joinGroup("room");
    await addFault(t, service, { kind: "lose_answer", operation: "SendToGroup", hitCount: 1 });
    await failure(service.group("room").sendToAll("hi", TEXT));
    assert.equal((await events["group-message"].next("the message")).message.data, "hi");
  });

  test("handler_error: an event is refused", async (t) => {
    const service = newService();
    const { client } = await startClient(t, service, {}, ONCE);
    const fails = { kind: "handler_error", status: 400, handler: "echo" };
    const rule = await addFault(t, service, fails);
    await failure(client.sendEvent("echo", "hi", "text"));
    assert.equal(await rule.hits(), 1);
  });

  test("handler_timeout: an event is refused when the time is over", async (t) => {
    const service = newService();
    const { client } = await startClient(t, service, {}, ONCE);
    const rule = await addFault(t, service, { kind: "handler_timeout", handler: "echo", hitCount: 1 });
    const refused = failure(client.sendEvent("echo", "hi", "text"));
    await hasHit(rule);
    await callAdmin("POST", "clock/advance", { seconds: 100 });
    await within(refused, "the event to be refused");
  });
});
