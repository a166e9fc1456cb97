// Group state. The official client of this version has no methods for it, so these are raw frames
// through `ws`, on both JSON subprotocols.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { JSON_SUBPROTOCOL, newService, RawClient, RELIABLE_JSON_SUBPROTOCOL } from "./support.mjs";

const roles = ["webpubsub.joinLeaveGroup", "webpubsub.getGroupState", "webpubsub.setGroupState"];

for (const subprotocol of [JSON_SUBPROTOCOL, RELIABLE_JSON_SUBPROTOCOL]) {
  const reliable = subprotocol === RELIABLE_JSON_SUBPROTOCOL;

  /** A client in the group `room`. */
  async function member(t, service, userId) {
    const client = await RawClient.connect(t, service, { subprotocol, userId, roles });
    assert.equal((await client.request({ type: "joinGroup", group: "room", ackId: 1 })).success, true);
    let ackId = 1;
    client.ask = (type, more = {}) => {
      ackId += 1;
      return client.request({ type, group: "room", ackId, ...more });
    };
    /** The next frame of group state, with its times taken out and checked. */
    client.state = async (type) => {
      const { type: actual, group, items, sequenceId } = await client.nextJson();
      assert.deepEqual([actual, group], [type, "room"]);
      assert.equal(typeof sequenceId, reliable ? "number" : "undefined");
      return items.map(({ updatedAt, ...item }) => {
        assert.ok(Number.isSafeInteger(updatedAt) && updatedAt > 0, `updatedAt ${updatedAt}`);
        return item;
      });
    };
    return client;
  }

  describe(`group state, ${subprotocol}`, () => {
    test("subscribers get a snapshot, then each change, and nothing after they unsubscribed", async (t) => {
      // req: S-11-1, S-11-2, S-11-3, S-11-5, S-11-11
      const service = newService();
      const ana = await member(t, service, "ana");
      const bob = await member(t, service, "bob");
      assert.equal((await ana.ask("setGroupState", { state: { mood: "calm", hand: "up" } })).success, true);
      assert.equal((await bob.ask("subscribeGroupState")).success, true);
      const ofAna = { connectionId: ana.id, userId: "ana" };
      assert.deepEqual(await bob.state("groupStateSnapshot"), [{ ...ofAna, state: { mood: "calm", hand: "up" } }]);

      assert.equal((await ana.ask("setGroupState", { state: { mood: "glad" } })).success, true);
      assert.deepEqual(await bob.state("groupStateUpdate"), [{ ...ofAna, state: { mood: "glad" } }]);
      assert.equal((await ana.ask("setGroupState")).success, true);
      assert.deepEqual(await bob.state("groupStateUpdate"), [ofAna]);

      bob.send({ type: "setGroupState", group: "room", state: { n: "1" } });
      assert.deepEqual(await bob.state("groupStateUpdate"), [{ connectionId: bob.id, userId: "bob", state: { n: "1" } }]);
      assert.equal((await bob.ask("unsubscribeGroupState")).success, true);
      assert.equal((await ana.ask("setGroupState", { state: { mood: "loud" } })).success, true);
      await service.sendToConnection(bob.id, "end", { contentType: "text/plain" });
      assert.equal((await bob.nextJson()).data, "end");
    });

    test("who leaves, and who goes, takes its state along", async (t) => {
      // req: S-11-10
      const service = newService();
      const [ana, bob, eve] = [await member(t, service, "ana"), await member(t, service, "bob"), await member(t, service, "eve")];
      assert.equal((await eve.ask("subscribeGroupState")).success, true);
      assert.deepEqual(await eve.state("groupStateSnapshot"), []);
      for (const client of [ana, bob]) {
        assert.equal((await client.ask("setGroupState", { state: { here: "yes" } })).success, true);
        assert.equal((await eve.state("groupStateUpdate"))[0].state.here, "yes");
      }
      assert.equal((await ana.ask("leaveGroup")).success, true);
      assert.deepEqual(await eve.state("groupStateUpdate"), [{ connectionId: ana.id, userId: "ana" }]);
      await service.closeConnection(bob.id);
      assert.deepEqual(await eve.state("groupStateUpdate"), [{ connectionId: bob.id, userId: "bob" }]);
    });

    test("it needs the role, the membership, and little space", async (t) => {
      // req: S-11-7, S-11-8, S-11-9
      const service = newService();
      const stranger = await RawClient.connect(t, service, { subprotocol, roles });
      const powerless = await RawClient.connect(t, service, { subprotocol, groups: ["room"] });
      for (const client of [stranger, powerless]) {
        for (const [ackId, type] of ["setGroupState", "subscribeGroupState"].entries()) {
          const { success, error } = await client.request({ type, group: "room", ackId, state: type === "setGroupState" ? { a: "b" } : undefined });
          assert.deepEqual([success, error.name], [false, "Forbidden"]);
        }
      }
      const ana = await member(t, service, "ana");
      const { error } = await ana.ask("setGroupState", { state: { key: "x".repeat(510) } });
      assert.equal(error.name, "BadRequest");
      assert.equal((await ana.ask("setGroupState", { state: { key: "x".repeat(509) } })).success, true);
    });
  });
}
