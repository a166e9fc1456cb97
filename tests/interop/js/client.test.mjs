// The official real-time client on both of its subprotocols against the emulator: connections,
// groups, acks and messages of the server.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SendMessageError } from "@azure/web-pubsub-client";

import { failure, Line, NO_LINE, newService, PROTOCOLS, Queue, startClient as start } from "./support.mjs";

const TEXT = { contentType: "text/plain" };
const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/** A serialised `google.protobuf.Any` with a type and two bytes. */
const ANY = new Uint8Array([10, 1, 84, 18, 2, 8, 1]).buffer;

for (const { name, protocol } of PROTOCOLS) {
  const startClient = (test, service, token, options) => start(test, service, token, { protocol: protocol(), ...options });

  describe(name, () => {
    describe("connection", () => {
      test("the connected event names connection and user", async (t) => {
        const service = newService();
        const { connectionId, userId } = await startClient(t, service, { userId: "ana" });
        assert.equal(userId, "ana");
        assert.equal(await service.connectionExists(connectionId), true);
      });

      test("a message sent as soon as start() resolved arrives", async (t) => {
        const service = newService();
        const { events } = await startClient(t, service);
        await service.sendToAll("Hello", TEXT);
        const { message } = await events["server-message"].next("the message");
        assert.equal(message.dataType, "text");
        assert.equal(message.data, "Hello");
      });

      test("stop ends it", async (t) => {
        const service = newService();
        const { client, events, connectionId } = await startClient(t, service);
        client.stop();
        await events.stopped.next("the stopped event");
        const disconnected = await events.disconnected.next("the disconnected event");
        assert.equal(disconnected.connectionId, connectionId);
      });

      test("a refused token fails start()", async (t) => {
        const service = newService();
        const stranger = { getClientAccessToken: async () => ({ url: `${(await service.getClientAccessToken()).url}x` }) };
        await assert.rejects(startClient(t, stranger), /401/);
      });

      test("a client closed by the service says why, comes back and joins its groups again", async (t) => {
        const service = newService();
        const { client, events, connectionId } = await startClient(t, service, { roles }, { reconnectRetryOptions: { retryDelayInMs: 10 } });
        await client.joinGroup("room");

        await service.closeConnection(connectionId, { reason: "bye" });
        const disconnected = await events.disconnected.next("the disconnected event");
        assert.equal(disconnected.connectionId, connectionId);
        assert.equal(disconnected.message.message, "Application server closed the connection. Reason: bye");

        const again = await events.connected.next("the second connected event");
        assert.notEqual(again.connectionId, connectionId);
        await service.group("room").sendToAll("welcome back", TEXT);
        assert.equal((await events["group-message"].next("a message of the group")).message.data, "welcome back");
      });

      test("without auto-reconnect it stops", async (t) => {
        const service = newService();
        const { events, connectionId } = await startClient(t, service, {}, { autoReconnect: false });
        await service.closeAllConnections();
        assert.equal((await events.disconnected.next("the disconnected event")).connectionId, connectionId);
        await events.stopped.next("the stopped event");
      });

      const recovers = protocol().isReliableSubProtocol;
      test(recovers ? "a lost socket does not show" : "a lost socket is a lost connection; the next one joins the groups again", { skip: NO_LINE }, async (t) => {
        const line = await Line.start(t);
        const { client, events, connectionId } = await startClient(t, line.service, { roles });
        await client.joinGroup("room");
        line.cut();
        line.mend();
        if (recovers) {
          await line.direct().group("room").sendToAll("still here", TEXT);
          assert.equal((await events["group-message"].next("a message of the group")).message.data, "still here");
          assert.equal(await line.direct().connectionExists(connectionId), true);
        } else {
          assert.equal((await events.disconnected.next("the disconnected event")).connectionId, connectionId);
          assert.notEqual((await events.connected.next("the second connected event")).connectionId, connectionId);
          await line.direct().group("room").sendToAll("welcome back", TEXT);
          assert.equal((await events["group-message"].next("a message of the group")).message.data, "welcome back");
        }
      });

      test("pings are answered", async (t) => {
        const service = newService();
        const pongs = new Queue();
        const official = protocol();
        const listening = {
          name: official.name,
          isReliableSubProtocol: official.isReliableSubProtocol,
          writeMessage: (message) => official.writeMessage(message),
          parseMessages(input) {
            const message = official.parseMessages(input);
            if (message?.kind === "pong") {
              pongs.push(message);
            }
            return message;
          },
        };
        const { client } = await start(t, service, { roles }, { protocol: listening, keepAliveIntervalInMs: 20 });
        await pongs.next("the first pong");
        await client.joinGroup("room");
        await pongs.next("another pong");
      });

      test("a group that may not be joined again is reported", async (t) => {
        const service = newService();
        const token = { roles };
        const { client, events, connectionId } = await startClient(t, service, token, { messageRetryOptions: { maxRetries: 0 } });
        await client.joinGroup("room");
        token.roles = [];
        await service.closeConnection(connectionId);
        const { group, error } = await events["rejoin-group-failed"].next("the failure");
        assert.equal(group, "room");
        assert.equal(error.errorDetail.name, "Forbidden");
        assert.notEqual((await events.connected.next("the second connected event")).connectionId, connectionId);
      });
    });

    describe("groups", () => {
      test("join, send and leave", async (t) => {
        const service = newService();
        const ana = await startClient(t, service, { userId: "ana", roles });
        const bob = await startClient(t, service, { userId: "bob", roles });
        await ana.client.joinGroup("room");
        await bob.client.joinGroup("room");

        await ana.client.sendToGroup("room", "hi", "text");
        for (const { events } of [ana, bob]) {
          const { message } = await events["group-message"].next("the message");
          assert.equal(message.group, "room");
          assert.equal(message.fromUserId, "ana");
          assert.equal(message.dataType, "text");
          assert.equal(message.data, "hi");
        }

        await bob.client.leaveGroup("room");
        await ana.client.sendToGroup("room", "bob is gone", "text");
        await bob.client.joinGroup("room");
        await ana.client.sendToGroup("room", "bob is back", "text");
        assert.equal((await bob.events["group-message"].next("the message")).message.data, "bob is back");
      });

      test("noEcho spares the sender, fireAndForget needs no ack", async (t) => {
        const service = newService();
        const ana = await startClient(t, service, { userId: "ana", roles });
        const bob = await startClient(t, service, { userId: "bob", roles });
        await ana.client.joinGroup("room");
        await bob.client.joinGroup("room");
        await ana.client.sendToGroup("room", "1", "text", { noEcho: true });
        await ana.client.sendToGroup("room", "2", "text", { noEcho: true, fireAndForget: true });
        await ana.client.sendToGroup("room", "3", "text", { fireAndForget: true });
        assert.equal((await ana.events["group-message"].next("the echo")).message.data, "3");
        for (const expected of ["1", "2", "3"]) {
          assert.equal((await bob.events["group-message"].next("the message")).message.data, expected);
        }
      });

      test("every data type arrives as it was sent", async (t) => {
        const service = newService();
        const { client, events } = await startClient(t, service, { roles });
        await client.joinGroup("room");
        const object = { n: 1, list: [true, null, "ü😀"] };
        const bytes = new Uint8Array([0, 1, 254, 255]).buffer;
        await client.sendToGroup("room", object, "json");
        await client.sendToGroup("room", "text", "json");
        await client.sendToGroup("room", bytes, "binary");
        await client.sendToGroup("room", ANY, "protobuf");
        await client.sendToGroup("room", "", "text");

        const next = async () => (await events["group-message"].next("the message")).message;
        assert.deepEqual(await next().then(({ dataType, data }) => [dataType, data]), ["json", object]);
        assert.deepEqual(await next().then(({ dataType, data }) => [dataType, data]), ["json", "text"]);
        const binary = await next();
        assert.equal(binary.dataType, "binary");
        assert.deepEqual(new Uint8Array(binary.data), new Uint8Array(bytes));
        const any = await next();
        assert.equal(any.dataType, "protobuf");
        assert.deepEqual(new Uint8Array(any.data), new Uint8Array(ANY));
        assert.deepEqual(await next().then(({ dataType, data }) => [dataType, data]), ["text", ""]);
      });

      test("what is not permitted fails with Forbidden and the connection stays", async (t) => {
        const service = newService();
        const { client, events } = await startClient(t, service, { roles: ["webpubsub.joinLeaveGroup.mine"] }, { messageRetryOptions: { maxRetries: 0 } });
        const refusals = [
          [() => client.joinGroup("other"), "The client does not have permission to join group 'other'."],
          [() => client.leaveGroup("other"), "The client does not have permission to leave group 'other'."],
          [() => client.sendToGroup("mine", "x", "text"), "The client does not have permission to send to group 'mine'."],
        ];
        for (const [call, message] of refusals) {
          const error = await failure(call());
          assert.ok(error instanceof SendMessageError);
          assert.equal(error.errorDetail.name, "Forbidden");
          assert.equal(error.errorDetail.message, message);
        }
        await client.joinGroup("mine");
        await service.group("mine").sendToAll("still here", TEXT);
        assert.equal((await events["group-message"].next("the message")).message.data, "still here");
      });

      test("a repeated ack id is a duplicate, and a success", async (t) => {
        const service = newService();
        const { client, events } = await startClient(t, service, { roles });
        await client.joinGroup("room");
        const first = await client.sendToGroup("room", "once", "text", { ackId: 77 });
        const second = await client.sendToGroup("room", "twice", "text", { ackId: 77 });
        assert.deepEqual([first.isDuplicated, second.isDuplicated], [false, true]);
        await client.sendToGroup("room", "end", "text");
        assert.equal((await events["group-message"].next("the message")).message.data, "once");
        assert.equal((await events["group-message"].next("the message")).message.data, "end");
      });

      test("a failed frame does not use up its ack id", async (t) => {
        const service = newService();
        const { client, connectionId } = await startClient(t, service, {}, { messageRetryOptions: { maxRetries: 0 } });
        assert.equal((await failure(client.joinGroup("room", { ackId: 5 }))).errorDetail.name, "Forbidden");
        await service.grantPermission(connectionId, "joinLeaveGroup", { targetName: "room" });
        assert.equal((await client.joinGroup("room", { ackId: 5 })).isDuplicated, false);
      });
    });

    describe("messages of the server", () => {
      test("an event nobody handles fails and the connection stays", async (t) => {
        const service = newService();
        const { client, events } = await startClient(t, service, {}, { messageRetryOptions: { maxRetries: 0 } });
        const error = await failure(client.sendEvent("echo", { n: 1 }, "json"));
        assert.equal(error.errorDetail.name, "InternalServerError");
        assert.equal(error.errorDetail.message, "Internal server error");
        await client.sendEvent("echo", "x", "text", { fireAndForget: true });
        await service.sendToAll("still here", TEXT);
        assert.equal((await events["server-message"].next("the message")).message.data, "still here");
      });

      test("server messages of every kind", async (t) => {
        const service = newService();
        const { events, connectionId } = await startClient(t, service, { userId: "ana" });
        await service.sendToUser("ana", { n: 1 });
        await service.sendToConnection(connectionId, new Uint8Array([1, 2]));
        await service.sendToAll("bye", TEXT);
        const next = async () => (await events["server-message"].next("the message")).message;
        assert.deepEqual(await next().then(({ dataType, data }) => [dataType, data]), ["json", { n: 1 }]);
        assert.deepEqual(new Uint8Array((await next()).data), new Uint8Array([1, 2]));
        assert.equal((await next()).data, "bye");
      });

      test("metadata of a message is passed on beside its data", async (t) => {
        const service = newService();
        const { events } = await startClient(t, service);
        const customHeaders = { "X-WebPubSub-Metadata-trace": "7", "x-webpubsub-metadata-Empty": "" };
        await service.sendToAll("Hello", { ...TEXT, requestOptions: { customHeaders } });
        const { message } = await events["server-message"].next("the message");
        assert.equal(message.data, "Hello");
        assert.deepEqual(message.metadata, { empty: "", trace: "7" });
      });
    });
  });
}
