// Streams of the official real-time client on both of its subprotocols.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { failure, JSON_SUBPROTOCOL, Line, NO_LINE, newService, PROTOCOLS, Queue, RawClient, startClient as start, within } from "./support.mjs";

const roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];

/** What the inbound streams of `client` bring, one item per stream that ended. */
function inbound(client) {
  const streams = new Queue();
  client.onGroupStream(async (stream) => {
    const fragments = [];
    try {
      for await (const fragment of stream) {
        fragments.push(fragment.data);
      }
      streams.push({ fragments });
    } catch (error) {
      streams.push({ fragments, error });
    }
  });
  return streams;
}

for (const { name, protocol } of PROTOCOLS) {
  const startClient = (test, service, token, options) => start(test, service, token, { protocol: protocol(), ...options });

  /** A writer, and a reader in the group `room`. */
  async function startBoth(t, service) {
    const writer = await startClient(t, service, { userId: "ana", roles });
    const reader = await startClient(t, service, { roles });
    await reader.client.joinGroup("room");
    return { writer, reader, streams: inbound(reader.client) };
  }

  const open = (writer, options) => within(writer.client.openGroupStream("room", options), "the stream to open");

  /** Writes a fragment and waits until the reader has it: the package's promise only says that it was sent. */
  async function write(reader, stream, text) {
    await within(stream.write(text, "text"), "the fragment to be sent");
    assert.equal((await reader.events["group-message"].next("the fragment")).message.data, text);
  }

  describe(`streams, ${name}`, () => {
    test("fragments of every kind arrive in order, and the end is seen", async (t) => {
      // req: S-9-1, S-9-7, S-9-12
      const { writer, streams } = await startBoth(t, newService());
      const stream = await open(writer);
      await within(stream.write("one", "text"), "the fragment to be sent");
      await within(stream.write({ n: 2 }, "json"), "the fragment to be sent");
      await within(stream.write(new Uint8Array([3]).buffer, "binary"), "the fragment to be sent");
      await within(stream.end(), "the stream to end");
      assert.deepEqual(await streams.next("the stream"), { fragments: ["one", { n: 2 }, new Uint8Array([3]).buffer] });
    });

    test("an abort reaches the readers with its text and code", async (t) => {
      // req: S-9-13
      const { writer, streams } = await startBoth(t, newService());
      const stream = await open(writer);
      await within(stream.write("half", "text"), "the fragment");
      await within(stream.abort({ message: "gave up", userErrorCode: "E42" }), "the abort");
      assert.deepEqual(await streams.next("the stream"), {
        fragments: ["half"],
        error: { name: "UserError", message: "gave up", userErrorCode: "E42" },
      });
    });

    test("an idle stream ends for both sides", async (t) => {
      // req: S-9-14
      const { writer, streams } = await startBoth(t, newService());
      const stream = await open(writer, { idleTimeoutInMs: 50 });
      const errors = new Queue();
      stream.onError((error) => errors.push(error));
      const { name: publisher } = await errors.next("the publisher's error");
      const { fragments, error } = await streams.next("the stream");
      assert.deepEqual([publisher, fragments, error.name], ["IdleTimeout", [], "IdleTimeout"]);
      assert.match((await failure(stream.write("late", "text"))).message, /is completed/);
    });

    test("a writer that loses its permission is stopped, and the readers are told", async (t) => {
      // req: S-9-15
      const service = newService();
      const writer = await startClient(t, service, {});
      const reader = await startClient(t, service, { roles });
      await reader.client.joinGroup("room");
      const streams = inbound(reader.client);
      await service.grantPermission(writer.connectionId, "sendToGroup", { targetName: "room" });
      const stream = await open(writer);
      const errors = new Queue();
      stream.onError((error) => errors.push(error));
      await write(reader, stream, "allowed");
      await service.revokePermission(writer.connectionId, "sendToGroup", { targetName: "room" });
      assert.equal((await errors.next("the publisher's error")).name, "Forbidden");
      const { fragments, error } = await streams.next("the stream");
      assert.deepEqual([fragments, error.name], [["allowed"], "Forbidden"]);
    });

    test("a stream that is not permitted does not open", async (t) => {
      // req: S-9-4
      const { client } = await startClient(t, newService(), { roles: [] });
      const error = await failure(within(client.openGroupStream("room"), "the stream to open"));
      assert.equal(error.name, "Forbidden");
    });

    test("readers see the end of a writer's connection", async (t) => {
      // req: S-9-16
      const service = newService();
      const { writer, reader, streams } = await startBoth(t, service);
      const stream = await open(writer);
      await write(reader, stream, "half");
      await service.closeConnection(writer.connectionId);
      const { fragments, error } = await streams.next("the stream");
      assert.deepEqual([fragments, error.name], [["half"], "Cancelled"]);
      // The package's stop() does not end an attempt to reconnect.
      await writer.events.connected.next("the writer's next connection");
    });

    test("noEcho keeps a stream from its writer", async (t) => {
      // req: S-9-20
      const { writer, streams } = await startBoth(t, newService());
      await writer.client.joinGroup("room");
      const own = inbound(writer.client);
      const quiet = await open(writer, { noEcho: true, streamId: "quiet" });
      await within(quiet.write("quiet", "text"), "the fragment");
      await within(quiet.end(), "the end");
      const loud = await open(writer, { streamId: "loud" });
      await within(loud.write("loud", "text"), "the fragment");
      await within(loud.end(), "the end");
      assert.deepEqual(await streams.next("the first stream"), { fragments: ["quiet"] });
      assert.deepEqual(await streams.next("the second stream"), { fragments: ["loud"] });
      assert.deepEqual(await own.next("its own stream"), { fragments: ["loud"] });
    });

    test("raw frames: duplicates are acknowledged, gaps are not taken, unknown streams are closed", async (t) => {
      // req: S-9-6, S-9-8, S-9-9
      const service = newService();
      const reader = await startClient(t, service, { roles });
      await reader.client.joinGroup("room");
      const streams = inbound(reader.client);
      const raw = await RawClient.connect(t, service, { subprotocol: JSON_SUBPROTOCOL, roles });
      const answer = async (frame) => {
        raw.send(frame);
        const { message, error, ...rest } = await raw.nextJson();
        return error === undefined ? rest : { ...rest, error: error.name };
      };
      const data = (streamSequenceId, text) => ({ type: "streamData", streamId: "s", streamSequenceId, dataType: "text", data: text });
      const ack = (expectedSequenceId) => ({ type: "streamAck", streamId: "s", expectedSequenceId });
      assert.deepEqual(await answer({ type: "sendToGroup", group: "room", stream: { streamId: "s" } }), ack(1));
      assert.deepEqual(await answer(data(1, "one")), ack(2));
      assert.deepEqual(await answer(data(1, "one again")), ack(2));
      assert.deepEqual(await answer(data(3, "three")), {
        type: "streamNack",
        streamId: "s",
        name: "InvalidSequenceId",
        expectedSequenceId: 2,
      });
      assert.deepEqual(await answer(data(2, "two")), ack(3));
      assert.deepEqual(await answer({ type: "streamEnd", streamId: "s" }), { type: "streamClosed", streamId: "s" });
      assert.deepEqual(await answer(data(3, "late")), { type: "streamClosed", streamId: "s", error: "StreamNotFound" });
      assert.deepEqual(await streams.next("the stream"), { fragments: ["one", "two"] });
    });

    const survives = protocol().isReliableSubProtocol;
    test(survives ? "a stream goes on after its writer lost the socket" : "a stream ends when its writer loses the socket", { skip: NO_LINE }, async (t) => {
      // req: S-9-24
      const line = await Line.start(t);
      const service = line.direct();
      // The package's stop() does not end its attempts to reconnect.
      const writer = await startClient(t, line.service, { roles }, { autoReconnect: false });
      const reader = await startClient(t, service, { roles });
      await reader.client.joinGroup("room");
      const streams = inbound(reader.client);
      const stream = await open(writer);
      await write(reader, stream, "before");
      line.cut();
      if (survives) {
        line.mend();
        await within(stream.write("after", "text"), "the second fragment");
        await within(stream.end(), "the stream to end");
        assert.deepEqual(await streams.next("the stream"), { fragments: ["before", "after"] });
      } else {
        const { fragments, error } = await streams.next("the stream");
        assert.deepEqual([fragments, error.name], [["before"], "Cancelled"]);
      }
    });
  });
}
