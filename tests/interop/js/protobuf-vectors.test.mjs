// The vectors of `spec/vectors/protobuf.json` as another implementation sees them: protobufjs reads
// from the bytes what the vector says, writes the same bytes, and the emulator refuses what it must.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { Any, Downstream, ProtobufClient, Upstream, VARIANTS } from "./protobuf.mjs";
import { newHandledService, newService } from "./support.mjs";

const { vectors, refuse } = JSON.parse(readFileSync(new URL("../../../spec/vectors/protobuf.json", import.meta.url)));

/** Any is a message here and bytes in the vectors; these two lose what only bytes can hold. */
const FOREIGN_ANY = [
  "server protobuf whose Any has an unknown member",
  "server protobuf whose Any has its members in another order",
];

/** protobufjs writes the value of a map's entry also where it is empty. Both forms are canonical. */
const WRITTEN_OTHERWISE = { "send with two metadata entries": "hex" };

const typeOf = ({ direction }) => ({ up: Upstream, down: Downstream })[direction];
const fromHex = (hex) => Buffer.from(hex, "hex");
const toHex = (bytes) => Buffer.from(bytes).toString("hex");
const encode = (type, object) => toHex(type.encode(type.fromObject(object)).finish());

/** A decoded message in the form of the vectors. */
function inVectorForm(type, message) {
  if (type === Any) {
    return toHex(Any.encode(message).finish());
  }
  const form = {};
  for (const field of type.fieldsArray) {
    const value = message[field.name];
    const isSet = Object.hasOwn(message, field.name) && value != null;
    const one = (value) => (field.resolvedType === null ? scalar(field.type, value) : inVectorForm(field.resolvedType, value));
    if (field.map) {
      if (isSet && Object.keys(value).length > 0) {
        form[field.name] = Object.fromEntries(Object.entries(value).map(([key, value]) => [key, one(value)]));
      }
    } else if (field.repeated) {
      if (isSet && value.length > 0) {
        form[field.name] = value.map(one);
      }
    } else if (isSet) {
      form[field.name] = one(value);
    } else if (field.resolvedType === null && field.partOf === null) {
      // Members without presence are always there.
      form[field.name] = scalar(field.type, field.typeDefault);
    }
  }
  return form;
}

function scalar(type, value) {
  if (type === "bytes") {
    return toHex(value);
  }
  return ["int64", "uint64"].includes(type) ? String(value) : value;
}

/** A vector's message in the form of protobufjs, without members that the canonical form leaves out. */
function fromVectorForm(type, form) {
  if (type === Any) {
    return Any.decode(fromHex(form));
  }
  const object = {};
  for (const [name, value] of Object.entries(form)) {
    const field = type.fields[name];
    assert.ok(field, `${type.name} has no member ${name}`);
    const one = (value) => {
      if (field.resolvedType !== null) {
        return fromVectorForm(field.resolvedType, value);
      }
      return field.type === "bytes" ? fromHex(value) : value;
    };
    if (field.map) {
      object[name] = Object.fromEntries(Object.entries(value).map(([key, value]) => [key, one(value)]));
    } else if (field.repeated) {
      object[name] = value.map(one);
    } else if (field.resolvedType !== null || field.partOf !== null || value !== scalar(field.type, field.typeDefault)) {
      object[name] = one(value);
    }
  }
  return object;
}

describe("vectors", () => {
  test("there are as many as were written", () => {
    assert.ok(vectors.length >= 100, `only ${vectors.length} vectors`);
    assert.ok(refuse.length >= 20, `only ${refuse.length} refused vectors`);
  });

  for (const vector of vectors) {
    test(vector.name, () => {
      // req: S-12-1
      const type = typeOf(vector);
      const decoded = type.decode(fromHex(vector.hex));
      if (FOREIGN_ANY.includes(vector.name)) {
        const any = decoded.data_message.data.protobuf_data;
        assert.deepEqual([any.type_url, toHex(any.value)], ["example", "78797a"]);
        return;
      }
      assert.deepEqual(inVectorForm(type, decoded), vector.message);
      const canonical = WRITTEN_OTHERWISE[vector.name] === "hex" ? vector.hex : (vector.canonical ?? vector.hex);
      assert.equal(encode(type, fromVectorForm(type, vector.message)), canonical);
    });
  }
});

for (const { subprotocol, reliable } of VARIANTS) {
  describe(subprotocol, () => {
    for (const { name, hex } of refuse) {
      test(`closes for: ${name}`, async (t) => {
        // req: S-12-5
        const client = await ProtobufClient.connect(t, newService(), { subprotocol, roles: ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup"] });
        client.sendBytes(fromHex(hex));
        assert.equal((await client.close()).code, 1007);
      });
    }

    test("takes every other frame that a client may send", async (t) => {
      // req: S-12-6, S-12-7
      const client = await ProtobufClient.connect(t, newHandledService(), { subprotocol });
      const sent = vectors.filter(({ direction, frame, message }) => {
        const onlyReliable = "sequence_ack_message" in message;
        return direction === "up" && frame !== "refused" && (reliable || !onlyReliable);
      });
      assert.ok(sent.length >= 40, `only ${sent.length} frames`);
      for (const { hex } of sent) {
        client.sendBytes(fromHex(hex));
      }
      const ackId = "987654321";
      client.send({ join_group_message: { group: "g1", ack_id: ackId } });
      let answer;
      do {
        answer = await client.next();
        assert.equal(answer.system_message, undefined, JSON.stringify(answer));
      } while (answer.ack_message?.ack_id !== ackId);
      assert.equal(answer.ack_message.error.name, "Forbidden");
    });
  });
}
