// The emulator driven by protobufjs over `spec/webpubsub.proto`, on both protobuf subprotocols, and
// beside JSON and simple clients.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Any, ProtobufClient, recoveryUrl, VARIANTS } from "./protobuf.mjs";
import { JSON_SUBPROTOCOL, newHandledService, newService, RawClient } from "./support.mjs";

const TEXT = { contentType: "text/plain" };
const roles = ["joinLeaveGroup", "sendToGroup", "getGroupState", "setGroupState"].map((role) => `webpubsub.${role}`);
const BYTES = Buffer.from([0, 1, 254, 255]);
const ANY = { type_url: "type.example.com/T", value: Buffer.from([8, 1]) };
const ANY_BYTES = Buffer.from(Any.encode(Any.create(ANY)).finish());
const INTERNAL = { name: "InternalServerError", message: "Internal server error" };

/** Each kind of payload as protobuf clients, JSON clients and simple clients have it. */
const EACH_TYPE = [
  { data: { text_data: "hi ü😀" }, json: { dataType: "text", data: "hi ü😀" }, simple: "hi ü😀" },
  { data: { text_data: "" }, json: { dataType: "text", data: "" }, simple: "" },
  { data: { json_data: '{"n":[1,null]}' }, json: { dataType: "json", data: { n: [1, null] } }, simple: '{"n":[1,null]}' },
  { data: { binary_data: BYTES }, json: { dataType: "binary", data: BYTES.toString("base64") }, simple: BYTES },
  { data: { protobuf_data: ANY }, json: { dataType: "protobuf", data: ANY_BYTES.toString("base64") }, simple: ANY_BYTES },
];

for (const { subprotocol, reliable } of VARIANTS) {
  const connect = (t, service, token = {}) => ProtobufClient.connect(t, service, { subprotocol, roles, ...token });

  /** A client in the group `room`. */
  async function member(t, service, token) {
    const client = await connect(t, service, token);
    assert.deepEqual(await client.request({ join_group_message: { group: "room", ack_id: 1 } }), { ack_id: "1", success: true });
    return client;
  }

  const fromRoom = (data, more = {}) => ({ from: "group", group: "room", data, ...more });
  const fromServer = (data, more = {}) => ({ from: "server", data, ...more });

  describe(subprotocol, () => {
    test("connected names connection and user", async (t) => {
      // req: S-12-3
      const service = newService();
      const client = await connect(t, service, { userId: "ana" });
      const { connection_id, user_id, reconnection_token } = client.connected;
      assert.equal(user_id, "ana");
      assert.equal(typeof reconnection_token, reliable ? "string" : "undefined");
      assert.equal(await service.connectionExists(connection_id), true);
      assert.equal((await connect(t, service)).connected.user_id, undefined);
    });

    test("a ping is answered", async (t) => {
      const client = await connect(t, newService());
      client.send({ ping_message: {} });
      assert.deepEqual(await client.next(), { pong_message: {} });
    });

    test("messages of every kind come before their acks, numbered where that is agreed", async (t) => {
      // req: S-6-10, S-12-4
      const client = await member(t, newService());
      for (const [index, { data }] of EACH_TYPE.entries()) {
        const ack_id = 10 + index;
        client.send({ send_to_group_message: { group: "room", ack_id, data } });
        assert.deepEqual(await client.message(), fromRoom(data));
        assert.equal(client.sequenceId, reliable ? String(index + 1) : undefined);
        assert.deepEqual(await client.next(), { ack_message: { ack_id: String(ack_id), success: true } });
      }
    });

    test("acks: none unless asked for, duplicates, refusals, the largest id", async (t) => {
      // req: S-6-1, S-6-2, S-6-3, S-6-7
      const service = newService();
      const client = await connect(t, service, { roles: ["webpubsub.joinLeaveGroup.room"] });
      const largest = "18446744073709551615";
      client.send({ join_group_message: { group: "room" } });
      for (const ack_id of ["0", largest]) {
        const join = { join_group_message: { group: "room", ack_id } };
        assert.equal((await client.request(join)).success, true);
        const { success, error } = await client.request(join);
        assert.deepEqual([success, error], [undefined, { name: "Duplicate", message: `Message with ack-id: ${ack_id} has been processed` }]);
      }
      const { success, error } = await client.request({ send_to_group_message: { group: "room", ack_id: 5, data: { text_data: "x" } } });
      assert.deepEqual([success, error.name], [undefined, "Forbidden"]);
      assert.equal((await client.request({ leave_group_message: { group: "room", ack_id: 6 } })).success, true);
      await service.group("room").sendToAll("nobody is there", TEXT);
      await service.sendToConnection(client.id, "end", TEXT);
      assert.deepEqual(await client.message(), fromServer({ text_data: "end" }));
    });

    test("noEcho is presence and value: true spares the sender, an explicit false does not", async (t) => {
      const service = newService();
      const [ana, bob] = [await member(t, service), await member(t, service)];
      const send = (text, more) => ({ send_to_group_message: { group: "room", data: { text_data: text }, ...more } });
      ana.send(send("1", { no_echo: true }));
      // Every member with presence is written although it holds its default.
      ana.send(send("2", { no_echo: false, ttl_seconds: 0 }));
      assert.deepEqual(await ana.message(), fromRoom({ text_data: "2" }));
      for (const text of ["1", "2"]) {
        assert.deepEqual(await bob.message(), fromRoom({ text_data: text }));
      }
    });

    test("encodings that are not canonical are understood", async (t) => {
      // req: S-12-6, S-12-7
      const client = await connect(t, newService());
      const joins = {
        "members out of order": "320910ac020a04726f6f6d",
        "a padded varint": "320a0a04726f6f6d10ac8200",
        "a length with padding": "32898000" + "0a04726f6f6d10ac02",
        "unknown members inside and outside": "e20501ff" + "320c0a04726f6f6d10ac02f80601",
        "the group given twice": "320d0a02673210ac020a04726f6f6d",
      };
      for (const [what, hex] of Object.entries(joins)) {
        client.sendBytes(Buffer.from(hex, "hex"));
        const { ack_message: ack } = await client.next();
        assert.equal(ack.ack_id, "300", what);
        // Forgotten by the group, not by the memory of acks: all but the first are duplicates.
        assert.equal(ack.error?.name, what === "members out of order" ? undefined : "Duplicate", what);
      }
    });

    test("metadata travels with messages, and to the server and back", async (t) => {
      // req: S-3.1-3, S-3.1-11, S-10-7
      const service = newHandledService();
      const client = await member(t, service);
      const metadata = { k: "v", empty: "" };
      client.send({ send_to_group_message: { group: "room", metadata } });
      assert.deepEqual(await client.message(), fromRoom({ text_data: "" }, { metadata }));
      client.send({ event_message: { event: "echo", data: { text_data: "e" }, metadata } });
      assert.deepEqual(await client.message(), fromServer({ text_data: "e" }, { metadata }));
      client.send({ invoke_event_message: { event: "echo", invocation_id: "i", data: { text_data: "f" }, metadata } });
      assert.deepEqual(await client.next(), {
        invoke_response_message: { invocation_id: "i", success: true, data: { text_data: "f" }, metadata },
      });
    });

    test("payloads become those of JSON and simple clients", async (t) => {
      // req: S-3-2, S-3-3, S-3-4, S-3-5
      const service = newService();
      const client = await connect(t, service, { userId: "ana" });
      const json = await RawClient.connect(t, service, { subprotocol: JSON_SUBPROTOCOL, groups: ["room"] });
      const simple = await RawClient.connect(t, service, { groups: ["room"] });
      for (const { data, json: asJson, simple: asSimple } of EACH_TYPE) {
        client.send({ send_to_group_message: { group: "room", data } });
        assert.deepEqual(await json.nextJson(), { type: "message", from: "group", fromUserId: "ana", group: "room", ...asJson });
        assert.deepEqual(await simple.next(), asSimple);
      }
    });

    test("payloads of JSON clients and of servers become protobuf", async (t) => {
      // req: S-3-6, S-3-7
      const service = newService();
      const client = await member(t, service);
      const json = await RawClient.connect(t, service, { subprotocol: JSON_SUBPROTOCOL, roles });
      for (const { data, json: asJson } of EACH_TYPE) {
        json.send({ type: "sendToGroup", group: "room", ...asJson });
        assert.deepEqual(await client.message(), fromRoom(data));
      }
      await service.sendToAll("text", TEXT);
      await service.sendToAll({ n: 1 });
      await service.sendToAll(BYTES, { contentType: "application/octet-stream" });
      assert.deepEqual(await client.message(), fromServer({ text_data: "text" }));
      assert.deepEqual(await client.message(), fromServer({ json_data: '{"n":1}' }));
      assert.deepEqual(await client.message(), fromServer({ binary_data: BYTES }));
    });

    test("events: the answer, then the ack; failures without a cause", async (t) => {
      // req: S-6-8, S-6-9
      const client = await connect(t, newHandledService());
      for (const [index, { data }] of EACH_TYPE.entries()) {
        const ack_id = 10 + index;
        client.send({ event_message: { event: "echo", ack_id, data } });
        assert.deepEqual(await client.message(), fromServer(data));
        assert.deepEqual((await client.next()).ack_message, { ack_id: String(ack_id), success: true });
      }
      const failed = { event_message: { event: "fail", ack_id: 9, data: { text_data: "" } } };
      assert.deepEqual(await client.request(failed), { ack_id: "9", error: INTERNAL });
    });

    test("invocations: answered, failed, cancelled", async (t) => {
      // req: S-10-1, S-10-2, S-10-3, S-10-4
      const service = newHandledService();
      const client = await connect(t, service);
      const invoke = (id, event, data) => client.send({ invoke_event_message: { event, invocation_id: id, data } });
      for (const { data } of EACH_TYPE) {
        invoke("1", "echo", data);
        assert.deepEqual(await client.next(), { invoke_response_message: { invocation_id: "1", success: true, data } });
      }
      invoke("2", "silent");
      assert.deepEqual(await client.next(), { invoke_response_message: { invocation_id: "2", success: true } });
      invoke("3", "fail");
      assert.deepEqual(await client.next(), { invoke_response_message: { invocation_id: "3", error: INTERNAL } });

      const director = await connect(t, service);
      const direct = async (event) => {
        director.send({ invoke_event_message: { event, invocation_id: event } });
        assert.equal((await director.next()).invoke_response_message.success, true);
      };
      invoke("4", "slow");
      await direct("slow-begun");
      client.send({ cancel_invocation_message: { invocation_id: "4" } });
      await direct("slow-dropped");
      client.send({ ping_message: {} });
      assert.deepEqual(await client.next(), { pong_message: {} });
    });

    test("streams: written, acknowledged, refused, ended, and read by every kind of client", async (t) => {
      // req: S-9-7, S-9-8, S-9-9, S-9-12, S-9-13, S-9-22
      const service = newService();
      const writer = await connect(t, service);
      const reader = await member(t, service);
      const json = await RawClient.connect(t, service, { subprotocol: JSON_SUBPROTOCOL, groups: ["room"] });
      const simple = await RawClient.connect(t, service, { groups: ["room"] });
      const ask = async (frame) => {
        writer.send(frame);
        return writer.next();
      };
      const fragment = (stream_sequence_id, text) => ({
        stream_data_message: { stream_id: "s", stream_sequence_id, data: { text_data: text } },
      });
      const expects = (id) => ({ stream_ack_message: { stream_id: "s", expected_sequence_id: id } });

      const start = { send_to_group_message: { group: "room", stream: { stream_id: "s", idle_timeout_ms: 60000 } } };
      assert.deepEqual(await ask(start), expects("1"));
      assert.deepEqual(await ask(fragment(1, "one")), expects("2"));
      assert.deepEqual(await ask(fragment(1, "one again")), expects("2"));
      const { stream_nack_message: nack } = await ask(fragment(3, "three"));
      assert.deepEqual([nack.name, nack.expected_sequence_id], ["InvalidSequenceId", "2"]);
      writer.send({ stream_data_message: { stream_id: "s" } });
      assert.deepEqual(await ask(fragment(2, "two")), expects("3"));
      const end = { stream_end_message: { stream_id: "s", error: { message: "gave up", user_error_code: "E42" } } };
      assert.deepEqual(await ask(end), { stream_closed_message: { stream_id: "s" } });
      const { stream_closed_message: closed } = await ask(fragment(3, "late"));
      assert.equal(closed.error.name, "StreamNotFound");

      const stream = (stream_sequence_id, more = {}) => ({ stream: { stream_id: "s", stream_sequence_id, ...more } });
      const error = { name: "UserError", message: "gave up", user_error_code: "E42" };
      assert.deepEqual(await reader.message(), fromRoom({ text_data: "one" }, stream("1")));
      assert.deepEqual(await reader.message(), fromRoom({ text_data: "two" }, stream("2")));
      assert.deepEqual(await reader.message(), fromRoom({ text_data: "" }, stream("3", { end_of_stream: true, error })));

      for (const [streamSequenceId, data] of [[1, "one"], [2, "two"]]) {
        const message = await json.nextJson();
        assert.deepEqual([message.data, message.stream], [data, { streamId: "s", streamSequenceId }]);
        assert.equal(await simple.next(), data);
      }
      assert.deepEqual((await json.nextJson()).stream, {
        streamId: "s",
        streamSequenceId: 3,
        endOfStream: true,
        error: { name: "UserError", message: "gave up", userErrorCode: "E42" },
      });
      await service.sendToAll("end", TEXT);
      assert.equal(await simple.next(), "end");
    });

    test("group state: snapshot, update, clear", async (t) => {
      // req: S-11-1, S-11-2, S-11-5
      const service = newService();
      const [ana, bob] = [await member(t, service, { userId: "ana" }), await member(t, service)];
      const set = (ack_id, entries) =>
        ana.request({ set_group_state_message: { group: "room", ack_id, state: entries && { entries } } });
      assert.equal((await set(2, { mood: "calm" })).success, true);
      assert.equal((await bob.request({ subscribe_group_state_message: { group: "room", ack_id: 2 } })).success, true);
      const times = [];
      const items = async (kind) => {
        const { [kind]: frame, ...other } = await bob.next();
        assert.ok(frame, JSON.stringify(other));
        assert.equal(typeof frame.sequence_id, reliable ? "string" : "undefined");
        return frame.items.map(({ updated_at, ...item }) => {
          times.push(BigInt(updated_at));
          return item;
        });
      };
      const ofAna = { connection_id: ana.id, user_id: "ana" };
      assert.deepEqual(await items("group_state_snapshot_message"), [{ ...ofAna, state: { entries: { mood: "calm" } } }]);
      assert.equal((await set(3, { mood: "glad", hand: "up" })).success, true);
      assert.deepEqual(await items("group_state_update_message"), [{ ...ofAna, state: { entries: { mood: "glad", hand: "up" } } }]);
      assert.equal((await set(4)).success, true);
      assert.deepEqual(await items("group_state_update_message"), [ofAna]);
      assert.ok(times[0] < times[1] && times[1] < times[2], `${times}`);

      assert.equal((await bob.request({ unsubscribe_group_state_message: { group: "room", ack_id: 3 } })).success, true);
      assert.equal((await set(5, { mood: "loud" })).success, true);
      await service.sendToConnection(bob.id, "end", TEXT);
      assert.deepEqual(await bob.message(), fromServer({ text_data: "end" }));
    });

    test("a close by the server says why", async (t) => {
      const service = newService();
      const client = await connect(t, service);
      await service.closeConnection(client.id, { reason: "bye" });
      assert.deepEqual(await client.next(), {
        system_message: { disconnected_message: { reason: "Application server closed the connection. Reason: bye" } },
      });
      assert.equal((await client.close()).code, 1000);
    });
  });
}

describe("recovery of protobuf clients", () => {
  const { subprotocol } = VARIANTS.find(({ reliable }) => reliable);

  test("what was not acknowledged is sent again, then what was missed, once and in order", async (t) => {
    // req: S-7.2-1, S-7.2-5, S-7.1-7
    const service = newService();
    const client = await ProtobufClient.connect(t, service, { subprotocol, userId: "ana", roles });
    await client.request({ join_group_message: { group: "room", ack_id: 1 } });
    const send = (n) => service.group("room").sendToAll({ n });
    for (const n of [1, 2, 3]) {
      await send(n);
      await client.message();
      assert.equal(client.sequenceId, String(n));
    }
    client.send({ sequence_ack_message: { sequence_id: 2 } });
    // Frames are taken in order: with this answer the acknowledgement has been read.
    client.send({ ping_message: {} });
    await client.next();

    await client.cut();
    for (let n = 4; n <= 500; n += 1) {
      await send(n);
    }
    const again = await ProtobufClient.open(t, recoveryUrl(client), subprotocol);
    assert.deepEqual([again.id, again.connected.user_id], [client.id, "ana"]);
    for (let n = 3; n <= 500; n += 1) {
      const { data } = await again.message();
      assert.deepEqual([data.json_data, again.sequenceId], [`{"n":${n}}`, String(n)]);
    }
    // Groups and acks were kept.
    const duplicate = await again.request({ join_group_message: { group: "room", ack_id: 1 } });
    assert.equal(duplicate.error.name, "Duplicate");
    await send(501);
    assert.equal((await again.message()).data.json_data, '{"n":501}');
  });

  test("a session that ended, or another token, is refused", async (t) => {
    const service = newService();
    const client = await ProtobufClient.connect(t, service, { subprotocol });
    const other = await ProtobufClient.connect(t, service, { subprotocol });
    await client.cut();
    const swapped = recoveryUrl({ ...other, url: client.url, id: client.id });
    for (const [url, before] of [[swapped, async () => {}], [recoveryUrl(client), () => service.closeConnection(client.id)]]) {
      await before();
      const refused = await RawClient.open(t, url, subprotocol);
      assert.equal((await refused.close()).code, 1008);
    }
  });
});
