// Every operation of `WebPubSubServiceClient` and `WebPubSubGroup`, judged by what connected clients
// notice of it and not by the status alone.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { odata } from "@azure/web-pubsub";

import { failure, JSON_SUBPROTOCOL, newService, RawClient } from "./support.mjs";

const json = (token = {}) => ({ subprotocol: JSON_SUBPROTOCOL, ...token });
const ALL_ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
const TEXT = { contentType: "text/plain" };

/** A stream whose length is told: the service refuses bodies in chunks. */
function streamed(...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [
    () => Readable.from(parts.map((part) => Buffer.from(part))),
    { requestOptions: { customHeaders: { "Content-Length": String(length) } } },
  ];
}

describe("sendToAll", () => {
  test("delivers text, JSON, binary and streams to a simple client in order", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service);

    await service.sendToAll("Hello", TEXT);
    await service.sendToAll({ hello: "world", n: [1, null] });
    await service.sendToAll("quoted");
    await service.sendToAll(new Uint8Array([0, 1, 255]));
    await service.sendToAll(...streamed("first,", "second"));

    assert.equal(await client.next(), "Hello");
    assert.equal(await client.next(), '{"hello":"world","n":[1,null]}');
    assert.equal(await client.next(), '"quoted"');
    assert.deepEqual(await client.next(), Buffer.from([0, 1, 255]));
    assert.deepEqual(await client.next(), Buffer.from("first,second"));
  });

  test("writes server messages byte for byte", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json());

    await service.sendToAll("Hello", TEXT);
    await service.sendToAll({ hello: "world" });
    await service.sendToAll(new Uint8Array([1, 2, 3]));

    assert.equal(await client.next(), '{"type":"message","from":"server","dataType":"text","data":"Hello"}');
    assert.equal(await client.next(), '{"type":"message","from":"server","dataType":"json","data":{"hello":"world"}}');
    assert.equal(await client.next(), '{"type":"message","from":"server","dataType":"binary","data":"AQID"}');
  });

  test("skips excluded connections and those the filter leaves out", async (t) => {
    const service = newService();
    const ana = await RawClient.connect(t, service, json({ userId: "ana" }));
    const neil = await RawClient.connect(t, service, json({ userId: "o'neil" }));

    await service.sendToAll("not ana", { ...TEXT, excludedConnections: [ana.id, "nobody"] });
    await service.sendToAll("only neil", { ...TEXT, filter: odata`userId eq ${"o'neil"}` });
    await service.sendToAll("neither", { ...TEXT, filter: odata`userId ne ${"ana"}`, excludedConnections: [neil.id] });
    await service.sendToAll("end", { ...TEXT, messageTtlSeconds: 300 });

    assert.equal((await ana.nextJson()).data, "end");
    assert.deepEqual([(await neil.nextJson()).data, (await neil.nextJson()).data, (await neil.nextJson()).data], ["not ana", "only neil", "end"]);
  });

  test("reaches no other hub", async (t) => {
    const [here, there] = [newService(), newService()];
    const client = await RawClient.connect(t, here);
    await there.sendToAll("elsewhere", TEXT);
    await here.sendToAll("here", TEXT);
    assert.equal(await client.next(), "here");
  });

  test("is accepted when nobody is connected", async () => {
    const service = newService();
    await service.sendToAll("nobody hears", TEXT);
    await service.sendToUser("nobody", "nobody hears", TEXT);
    await service.sendToConnection("nobody", "nobody hears", TEXT);
    await service.group("nothing").sendToAll("nobody hears", TEXT);
  });
});

describe("sendToUser and sendToConnection", () => {
  test("reach every connection of the user, and only that connection", async (t) => {
    const service = newService();
    const first = await RawClient.connect(t, service, json({ userId: "Zoë 1" }));
    const second = await RawClient.connect(t, service, json({ userId: "zoe" }));
    const third = await RawClient.connect(t, service, json({ userId: "zoe" }));

    await service.sendToUser("zoe", { n: 1 });
    await service.sendToUser("zoe", "filtered", { ...TEXT, filter: `connectionId eq '${third.id}'`, messageTtlSeconds: 1 });
    await service.sendToConnection(second.id, new Uint8Array([7]), { messageTtlSeconds: 0 });
    await service.sendToConnection(second.id, ...streamed("streamed"));
    await service.sendToAll("end", TEXT);

    assert.equal((await first.nextJson()).data, "end");
    assert.deepEqual((await second.nextJson()).data, { n: 1 });
    assert.equal((await second.nextJson()).data, "Bw==");
    assert.equal((await second.nextJson()).data, Buffer.from("streamed").toString("base64"));
    assert.equal((await second.nextJson()).data, "end");
    assert.deepEqual((await third.nextJson()).data, { n: 1 });
    assert.equal((await third.nextJson()).data, "filtered");
    assert.equal((await third.nextJson()).data, "end");
  });

  test("user ids keep their case and odd marks", async (t) => {
    const service = newService();
    const odd = await RawClient.connect(t, service, { userId: "Ana & o'Neil? 100% +#ü😀" });
    await service.sendToUser("ana & o'neil? 100% +#ü😀", "other case", TEXT);
    await service.sendToUser("Ana & o'Neil? 100% +#ü😀", "found", TEXT);
    assert.equal(await odd.next(), "found");
  });
});

describe("existence", () => {
  test("of connections, users and groups", async (t) => {
    const service = newService();
    assert.equal(await service.connectionExists("nobody"), false);
    assert.equal(await service.userExists("ana"), false);
    assert.equal(await service.groupExists("room"), false);

    const ana = await RawClient.connect(t, service, json({ userId: "ana", groups: ["room"] }));
    assert.equal(await service.connectionExists(ana.id), true);
    assert.equal(await service.userExists("ana"), true);
    assert.equal(await service.userExists("Ana"), false);
    assert.equal(await service.groupExists("room"), true);
    assert.equal(await service.groupExists("ROOM"), false);

    await service.closeConnection(ana.id);
    await ana.close();
    assert.equal(await service.connectionExists(ana.id), false);
    assert.equal(await service.userExists("ana"), false);
    assert.equal(await service.groupExists("room"), false);
  });
});

describe("closing", () => {
  const sentence = "Application server closed the connection.";

  test("one connection tells the reason and closes with 1000", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json());
    await service.closeConnection(client.id, { reason: "it's over" });
    assert.deepEqual(await client.nextJson(), { type: "system", event: "disconnected", message: `${sentence} Reason: it's over` });
    assert.deepEqual(await client.close(), { code: 1000, reason: "" });
  });

  test("all connections but the excluded, without a reason", async (t) => {
    const service = newService();
    const gone = await RawClient.connect(t, service, json());
    const kept = await RawClient.connect(t, service, json());
    const simple = await RawClient.connect(t, service);
    await service.closeAllConnections({ excluded: [kept.id] });
    assert.equal((await gone.nextJson()).message, sentence);
    assert.deepEqual(await gone.close(), { code: 1000, reason: "" });
    assert.deepEqual(await simple.close(), { code: 1000, reason: "" });
    await service.sendToAll("still here", TEXT);
    assert.equal((await kept.nextJson()).data, "still here");
  });

  test("connections of a user and of a group", async (t) => {
    const service = newService();
    const ana = await RawClient.connect(t, service, json({ userId: "ana" }));
    const bob = await RawClient.connect(t, service, json({ userId: "bob", groups: ["room"] }));
    const eve = await RawClient.connect(t, service, json({ userId: "eve", groups: ["room"] }));

    await service.closeUserConnections("ana", { reason: "user" });
    assert.equal((await ana.nextJson()).message, `${sentence} Reason: user`);
    assert.equal((await ana.close()).code, 1000);

    await service.group("room").closeAllConnections({ reason: "group", excluded: [eve.id] });
    assert.equal((await bob.nextJson()).message, `${sentence} Reason: group`);
    assert.equal((await bob.close()).code, 1000);
    await service.sendToAll("end", TEXT);
    assert.equal((await eve.nextJson()).data, "end");
  });

  test("what is not there is no error", async () => {
    const service = newService();
    await service.closeConnection("nobody", { reason: "x" });
    await service.closeUserConnections("nobody");
    await service.closeAllConnections();
    await service.group("nothing").closeAllConnections();
  });
});

describe("groups", () => {
  test("connections and users come and go", async (t) => {
    const service = newService();
    const room = service.group("room 1?ü");
    const ana = await RawClient.connect(t, service, json({ userId: "ana" }));
    const bob = await RawClient.connect(t, service, json({ userId: "bob" }));

    await room.addConnection(ana.id);
    await room.addUser("bob");
    await room.sendToAll("both", TEXT);
    await room.sendToAll({ for: "bob" }, { excludedConnections: [ana.id], messageTtlSeconds: 10 });
    await room.sendToAll("ana's", { ...TEXT, filter: "userId eq 'ana'" });
    await room.removeConnection(ana.id);
    await room.sendToAll("bob's", TEXT);
    await room.removeUser("bob");
    await room.sendToAll("nobody's", TEXT);
    await service.sendToAll("end", TEXT);

    const first = await ana.nextJson();
    assert.equal(first.type, "message");
    assert.equal(first.from, "group");
    assert.equal(first.fromUserId, null);
    assert.equal(first.dataType, "text");
    assert.equal(first.data, "both");
    assert.equal((await ana.nextJson()).data, "ana's");
    assert.equal((await ana.nextJson()).data, "end");
    assert.equal((await bob.nextJson()).data, "both");
    assert.deepEqual((await bob.nextJson()).data, { for: "bob" });
    assert.equal((await bob.nextJson()).data, "bob's");
    assert.equal((await bob.nextJson()).data, "end");
  });

  test("binary and streamed messages", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, { groups: ["room"] });
    await service.group("room").sendToAll(new Uint8Array([9, 8]));
    await service.group("room").sendToAll(...streamed("a", "b"));
    assert.deepEqual(await client.next(), Buffer.from([9, 8]));
    assert.deepEqual(await client.next(), Buffer.from("ab"));
  });

  test("all groups of a connection and of a user are left at once", async (t) => {
    const service = newService();
    const ana = await RawClient.connect(t, service, json({ userId: "ana", groups: ["a", "b"] }));
    const bob = await RawClient.connect(t, service, json({ userId: "bob", groups: ["a", "b"] }));
    await service.removeConnectionFromAllGroups(ana.id);
    await service.group("a").sendToAll("1", TEXT);
    await service.removeUserFromAllGroups("bob");
    await service.group("b").sendToAll("2", TEXT);
    await service.sendToAll("end", TEXT);
    assert.equal((await ana.nextJson()).data, "end");
    assert.equal((await bob.nextJson()).data, "1");
    assert.equal((await bob.nextJson()).data, "end");
    assert.equal(await service.groupExists("a"), false);
  });

  test("filtered connections join and leave many groups", async (t) => {
    const service = newService();
    const ana = await RawClient.connect(t, service, json({ userId: "ana" }));
    const bob = await RawClient.connect(t, service, json({ userId: "bob" }));

    await service.addConnectionsToGroups(["a", "b c"], "userId eq 'ana'");
    await service.group("a").sendToAll("1", TEXT);
    await service.group("b c").sendToAll("2", TEXT);
    await service.removeConnectionsFromGroups(["a"], "userId ne null");
    await service.group("a").sendToAll("gone", TEXT);
    await service.group("b c").sendToAll("3", TEXT);
    await service.sendToAll("end", TEXT);

    const heard = [];
    for (let i = 0; i < 4; i += 1) {
      heard.push((await ana.nextJson()).data);
    }
    assert.deepEqual(heard, ["1", "2", "3", "end"]);
    assert.equal((await bob.nextJson()).data, "end");
  });

  test("a slash in a name stays the three characters %2F, as on Azure", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json({ groups: ["a/b"] }));
    await service.group("a/b").addConnection(client.id);
    await service.group("a/b").sendToAll("sent", TEXT);
    assert.equal((await client.nextJson()).group, "a%2Fb");
  });

  test("absent targets: removing is no error, adding is", async () => {
    const service = newService();
    const room = service.group("room");
    await room.removeConnection("nobody");
    await room.removeUser("nobody");
    await service.removeConnectionFromAllGroups("nobody");
    await service.removeUserFromAllGroups("nobody");
    await service.addConnectionsToGroups(["room"], "userId eq 'nobody'");

    const connection = await failure(room.addConnection("nobody"));
    assert.equal(connection.statusCode, 404);
    assert.equal(connection.code, "Error.Connection.NotExisted");
    assert.equal(connection.message, "Connection `nobody` is not found.");
    const user = await failure(room.addUser("nobody"));
    assert.equal(user.statusCode, 404);
  });
});

describe("listConnections", () => {
  async function sixMembers(t) {
    const service = newService();
    const ids = [];
    for (let i = 0; i < 6; i += 1) {
      const client = await RawClient.connect(t, service, json({ groups: ["room a&b"], userId: i === 0 ? undefined : `user ${i}` }));
      ids.push(client.id);
    }
    return { room: service.group("room a&b"), ids: ids.sort() };
  }

  async function collect(iterable) {
    const found = [];
    for await (const item of iterable) {
      found.push(item);
    }
    return found;
  }

  test("lists all members in order with their users", async (t) => {
    const { room, ids } = await sixMembers(t);
    const members = await collect(await room.listConnections());
    assert.deepEqual(members.map(({ connectionId }) => connectionId), ids);
    assert.deepEqual(members.map(({ userId }) => userId ?? null).sort(), [null, "user 1", "user 2", "user 3", "user 4", "user 5"].sort());
  });

  test("pages by size, with a total, and from a continuation", async (t) => {
    const { room, ids } = await sixMembers(t);
    const pages = await collect((await room.listConnections({ maxPageSize: 2 })).byPage());
    assert.deepEqual(pages.map((page) => page.length), [2, 2, 2]);
    assert.deepEqual(pages.flat().map(({ connectionId }) => connectionId), ids);

    const five = await collect((await room.listConnections({ maxPageSize: 2, top: 5 })).byPage());
    assert.deepEqual(five.map((page) => page.length), [2, 2, 1]);

    // The package keeps its pages' links to itself; the answers show them.
    const links = [];
    const onResponse = (response) => links.push(JSON.parse(response.bodyAsText).nextLink);
    await collect((await room.listConnections({ maxPageSize: 2, onResponse })).byPage());
    assert.equal(links.length, 3);
    assert.equal(links.at(-1), null);
    const rest = await collect((await room.listConnections()).byPage({ continuationToken: links[0] }));
    assert.deepEqual(rest.flat().map(({ connectionId }) => connectionId), ids.slice(2));
  });

  test("an unknown group is empty, and bad sizes are refused", async () => {
    const room = newService().group("nothing");
    assert.deepEqual(await collect(await room.listConnections()), []);
    for (const options of [{ continuationToken: "made up" }, { maxPageSize: 201 }, { top: 0 }]) {
      const error = await failure(collect(await room.listConnections(options)));
      // The package checks the numbers itself, by the limits of the description it was made from.
      assert.ok(error.statusCode === 400 || /constraint/.test(error.message), error.message);
    }
  });
});

describe("permissions", () => {
  test("are granted, seen, used and revoked", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json());
    const target = { targetName: "room 1?ü" };
    const join = (ackId) => ({ type: "joinGroup", group: "room 1?ü", ackId });
    const send = (ackId) => ({ type: "sendToGroup", group: "room 1?ü", ackId, noEcho: true, dataType: "text", data: "x" });

    assert.equal((await client.request(join(1))).error.name, "Forbidden");
    assert.equal(await service.hasPermission(client.id, "joinLeaveGroup", target), false);
    await service.grantPermission(client.id, "joinLeaveGroup", target);
    assert.equal(await service.hasPermission(client.id, "joinLeaveGroup", target), true);
    assert.equal(await service.hasPermission(client.id, "joinLeaveGroup", { targetName: "other" }), false);
    assert.equal((await client.request(join(2))).success, true);

    assert.equal((await client.request(send(3))).error.name, "Forbidden");
    await service.grantPermission(client.id, "sendToGroup", target);
    assert.equal((await client.request(send(4))).success, true);
    await service.revokePermission(client.id, "sendToGroup", target);
    assert.equal(await service.hasPermission(client.id, "sendToGroup", target), false);
    assert.equal((await client.request(send(5))).error.name, "Forbidden");
  });

  test("of roles in the token", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json({ roles: ["webpubsub.sendToGroup.room"] }));
    assert.equal(await service.hasPermission(client.id, "sendToGroup", { targetName: "room" }), true);
    assert.equal(await service.hasPermission(client.id, "sendToGroup", { targetName: "other" }), false);
  });

  test("absent connections and missing targets", async () => {
    const service = newService();
    const target = { targetName: "room" };
    assert.equal(await service.hasPermission("nobody", "sendToGroup", target), false);
    await service.revokePermission("nobody", "sendToGroup", target);
    const absent = await failure(service.grantPermission("nobody", "sendToGroup", target));
    assert.equal(absent.statusCode, 404);
    assert.equal(absent.code, "Info.Connection.NotExisted");
    const missing = await failure(service.grantPermission("nobody", "sendToGroup"));
    assert.equal(missing.statusCode, 400);
    assert.equal(missing.message, "Invalid group name. Valid group name should be in between 1 and 1024 characters long.");
  });
});

describe("client access tokens", () => {
  test("carry user, groups and roles", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json({ userId: "ana", groups: ["a", "b?ü"], roles: ALL_ROLES, expirationTimeInMinutes: 1 }));
    assert.equal(client.connected.userId, "ana");
    await service.group("a").sendToAll("1", TEXT);
    await service.group("b?ü").sendToAll("2", TEXT);
    assert.equal((await client.nextJson()).data, "1");
    assert.equal((await client.nextJson()).data, "2");
    assert.equal((await client.request({ type: "joinGroup", group: "c", ackId: 1 })).success, true);
  });

  test("work for one hub only, and not when altered", async () => {
    const [here, there] = [newService(), newService()];
    const { baseUrl } = await there.getClientAccessToken();
    const { token, url } = await here.getClientAccessToken();
    for (const bad of [`${baseUrl}?access_token=${token}`, `${url}x`, url.split("?")[0]]) {
      const client = new RawClient(bad);
      const error = await new Promise((resolve) => client.socket.on("error", resolve));
      assert.match(error.message, /401/);
    }
  });
});

describe("errors", () => {
  test("a bad filter is problem+json, readable as the message", async () => {
    const service = newService();
    const error = await failure(service.sendToAll("x", { ...TEXT, filter: "invalid filter" }));
    assert.equal(error.statusCode, 400);
    const detail = JSON.parse(error.message);
    assert.equal(detail.code, "Error.BadRequest");
    assert.equal(detail.message, "Invalid syntax for 'invalid filter': Syntax error at position 14 in 'invalid filter'. (Parameter 'filter')");
    assert.equal(detail.target, "filter");
    assert.equal(error.response.headers.get("x-ms-error-code"), "Error.BadRequest");

    const bulk = await failure(service.addConnectionsToGroups(["room"], "invalid filter"));
    assert.equal(bulk.statusCode, 400);
    assert.equal(JSON.parse(bulk.message).target, "Filter");
  });

  test("no groups, bad names and bad metadata are refused with a code", async () => {
    const service = newService();
    const metadata = { requestOptions: { customHeaders: { "X-WebPubSub-Metadata-key": "x".repeat(1025) } } };
    for (const call of [
      () => service.addConnectionsToGroups([], "userId eq 'ana'"),
      () => service.removeConnectionsFromGroups([" "], "userId eq 'ana'"),
      () => service.group(" ").sendToAll("x", TEXT),
      () => service.sendToAll("x", { ...TEXT, ...metadata }),
    ]) {
      const error = await failure(call());
      assert.equal(error.statusCode, 400);
      assert.equal(error.code, "Error.BadRequest");
    }
  });

  test("metadata headers are accepted, whatever becomes of them", async (t) => {
    const service = newService();
    const client = await RawClient.connect(t, service, json());
    await service.sendToAll("x", { ...TEXT, requestOptions: { customHeaders: { "X-WebPubSub-Metadata-Trace": "a1" } } });
    assert.equal((await client.nextJson()).data, "x");
  });

  test("a stream of unknown length is refused", async () => {
    const service = newService({ retryOptions: { maxRetries: 0 } });
    const error = await failure(service.sendToAll(() => Readable.from([Buffer.from("chunk")])));
    assert.equal(error.statusCode, 400);
    assert.equal(error.message, "Invalid Content-Length header.");
  });

  test("a wrong key is 401", async () => {
    const service = newService();
    const { AzureKeyCredential, WebPubSubServiceClient } = await import("@azure/web-pubsub");
    const stranger = new WebPubSubServiceClient(service.endpoint, new AzureKeyCredential("x".repeat(44)), service.hubName, { allowInsecureConnection: true });
    for (const call of [() => stranger.sendToAll("x", TEXT), () => stranger.userExists("ana"), () => stranger.closeAllConnections()]) {
      assert.equal((await failure(call())).statusCode, 401);
    }
  });
});
