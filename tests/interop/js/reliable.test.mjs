// The official real-time client on its default, the reliable JSON subprotocol: sessions that outlive
// their socket.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

import { Line, NO_LINE, newService, startClient } from "./support.mjs";

const TEXT = { contentType: "text/plain" };
const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const reliable = () => ({ protocol: WebPubSubJsonReliableProtocol() });

describe("recovery", () => {
  test("messages sent while the socket was lost arrive once and in order, on the same connection", { skip: NO_LINE }, async (t) => {
    // req: S-7.2-1, S-7.2-5
    const line = await Line.start(t);
    const { service } = line;
    const { client, events, connectionId } = await startClient(t, service, { userId: "ana", roles }, reliable());
    await client.joinGroup("room");

    const rest = line.direct();
    line.cut();
    const sent = Array.from({ length: 500 }, (_, n) => n);
    for (const n of sent) {
      await rest.group("room").sendToAll({ n });
    }
    line.mend();
    const received = [];
    while (received.length < sent.length) {
      const { message } = await events["group-message"].next(`message ${received.length}`);
      received.push(message.data.n);
    }
    assert.deepEqual(received, sent);
    assert.equal(await rest.connectionExists(connectionId), true);
    await client.sendToGroup("room", "still here", "text");
    assert.equal((await events["group-message"].next("its own message")).message.data, "still here");
  });

  test("acks are remembered across a lost socket", { skip: NO_LINE }, async (t) => {
    // req: S-6-16
    const line = await Line.start(t);
    const { client } = await startClient(t, line.service, { roles }, reliable());
    const retries = { ackId: 5 };
    assert.equal((await client.joinGroup("room", retries)).isDuplicated, false);
    line.cut();
    line.mend();
    // The first tries fail with the socket; the package tries again until the connection is back.
    assert.equal((await client.joinGroup("room", retries)).isDuplicated, true);
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

  test("a session that ended while the socket was lost is replaced by a new one", { skip: NO_LINE }, async (t) => {
    const line = await Line.start(t);
    const { client, events, connectionId } = await startClient(t, line.service, { roles }, reliable());
    await client.joinGroup("room");
    line.cut();
    await line.direct().closeConnection(connectionId);
    line.mend();
    const again = await events.connected.next("the second connected event");
    assert.notEqual(again.connectionId, connectionId);
    await line.direct().group("room").sendToAll("welcome back", TEXT);
    assert.equal((await events["group-message"].next("a message")).message.data, "welcome back");
  });
});
