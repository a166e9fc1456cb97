// The official real-time client on its default, the reliable JSON subprotocol, against the emulator.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

import { newService, Queue, startClient, within } from "./support.mjs";

const TEXT = { contentType: "text/plain" };
const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const reliable = () => ({ protocol: WebPubSubJsonReliableProtocol() });

/** Takes the socket away without a close frame; the package offers no way to do it. */
function cut(client) {
  client._wsClient._socket.terminate();
}

describe("recovery", () => {
  test("messages sent while the socket was lost arrive once and in order, on the same connection", async (t) => {
    // req: S-7.2-1, S-7.2-5
    const service = newService();
    const { client, events, connectionId } = await startClient(t, service, { userId: "ana", roles }, reliable());
    await client.joinGroup("room");

    cut(client);
    const sent = Array.from({ length: 500 }, (_, n) => n);
    for (const n of sent) {
      await service.group("room").sendToAll({ n });
    }
    const received = [];
    while (received.length < sent.length) {
      const { message } = await events["group-message"].next(`message ${received.length}`);
      received.push(message.data.n);
    }
    assert.deepEqual(received, sent);
    assert.equal(await service.connectionExists(connectionId), true);
    await client.sendToGroup("room", "still here", "text");
    assert.equal((await events["group-message"].next("its own message")).message.data, "still here");
  });

  test("a session that the service ended is replaced by a new one", async (t) => {
    const service = newService();
    const { client, events, connectionId } = await startClient(t, service, { roles }, reliable());
    await client.joinGroup("room");
    await service.closeConnection(connectionId);
    const again = await events.connected.next("the second connected event");
    assert.notEqual(again.connectionId, connectionId);
    await service.group("room").sendToAll("welcome back", TEXT);
    assert.equal((await events["group-message"].next("a message")).message.data, "welcome back");
  });
});

describe("streams", () => {
  /** What the next inbound stream of `client` brings. */
  function inbound(client) {
    const streams = new Queue();
    client.onGroupStream(async (stream) => {
      const fragments = [];
      try {
        for await (const fragment of stream) {
          fragments.push(fragment.message?.data ?? fragment.data);
        }
        streams.push({ fragments });
      } catch (error) {
        streams.push({ fragments, error });
      }
    });
    return streams;
  }

  test("fragments arrive in order, and the end is seen", async (t) => {
    const service = newService();
    const { client: writer } = await startClient(t, service, { roles }, reliable());
    const { client: reader } = await startClient(t, service, { roles }, reliable());
    await reader.joinGroup("room");
    const streams = inbound(reader);

    const stream = await within(writer.openGroupStream("room"), "the stream to open");
    for (const text of ["one", "two", "three"]) {
      await within(stream.write(text, "text"), "the fragment to be accepted");
    }
    await within(stream.end(), "the stream to end");
    assert.deepEqual(await streams.next("the stream"), { fragments: ["one", "two", "three"] });
  });

  test("a stream goes on after its writer lost the socket", async (t) => {
    // req: S-9-24
    const service = newService();
    const { client: writer } = await startClient(t, service, { roles }, reliable());
    const { client: reader } = await startClient(t, service, { roles }, reliable());
    await reader.joinGroup("room");
    const streams = inbound(reader);

    const stream = await within(writer.openGroupStream("room"), "the stream to open");
    await within(stream.write("before", "text"), "the first fragment");
    cut(writer);
    await within(stream.write("after", "text"), "the second fragment");
    await within(stream.end(), "the stream to end");
    assert.deepEqual(await streams.next("the stream"), { fragments: ["before", "after"] });
  });

  test("an abort reaches the readers with its code", async (t) => {
    const service = newService();
    const { client: writer } = await startClient(t, service, { roles }, reliable());
    const { client: reader } = await startClient(t, service, { roles }, reliable());
    await reader.joinGroup("room");
    const streams = inbound(reader);
    const stream = await within(writer.openGroupStream("room"), "the stream to open");
    await within(stream.write("half", "text"), "the fragment");
    await within(stream.abort({ message: "gave up", userErrorCode: "E42" }), "the abort");
    const { fragments, error } = await streams.next("the stream");
    assert.deepEqual(fragments, ["half"]);
    assert.match(JSON.stringify(error, Object.getOwnPropertyNames(error)), /E42|gave up/);
  });
});
