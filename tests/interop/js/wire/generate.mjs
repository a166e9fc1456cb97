// Writes `tests/interop/wire/calls.json`, the table of calls that both SDKs make; with `--check` it
// only says whether the file is up to date. The table is committed, so a run is the same everywhere.

import { readFileSync, writeFileSync } from "node:fs";

const TABLE = new URL("../../wire/calls.json", import.meta.url);

// One name per way in which a URL can go wrong: separators, escapes, marks that `encodeURIComponent`
// leaves alone, marks that WHATWG URLs treat specially, blanks, other planes of Unicode.
const NAMES = [
  ["plain", "room-1"],
  ["space", "with space"],
  ["leading-space", " lead"],
  ["trailing-space", "trail "],
  ["slash", "a/b"],
  ["leading-slash", "/a"],
  ["double-slash", "a//b"],
  ["percent", "100%"],
  ["percent-slash", "a%2Fb"],
  ["percent-slash-lower", "a%2fb"],
  ["percent-dots", "%2E%2e"],
  ["plus", "a+b"],
  ["question", "a?b"],
  ["hash", "a#b"],
  ["at", "ana@example.test"],
  ["colon", "a:b"],
  ["action", ":send"],
  ["exclamation", "a!b"],
  ["star", "a*b"],
  ["parentheses", "(a)"],
  ["single-quote", "o'neil"],
  ["double-quote", 'a"b'],
  ["tilde", "a~b"],
  ["comma", "a,b"],
  ["semicolon", "a;b"],
  ["equals", "a=b"],
  ["ampersand", "a&b"],
  ["dollar", "a$b"],
  ["brackets", "[a]"],
  ["braces", "{group}"],
  ["angles", "<a>"],
  ["backslash", "a\\b"],
  ["caret", "a^b"],
  ["pipe", "a|b"],
  ["backtick", "a`b"],
  ["dots-inside", "a.b..c"],
  ["three-dots", "..."],
  ["leading-dot", ".hidden"],
  ["marks", "-_.~!*()'"],
  ["umlaut", "Zoë Ångström"],
  ["cjk", "日本語"],
  ["emoji", "😀👩‍👩‍👧"],
  ["combining", "e\u0301"],
  ["no-break-space", "a\u00a0b"],
  ["right-to-left", "שלום"],
  ["long", "x".repeat(300)],
];

const KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
const LOCAL = { credential: "connectionString", value: `Endpoint=http://{recorder};AccessKey=${KEY};Version=1.0;`, hub: "chat" };
const ENTRA = { credential: "entra", endpoint: "https://contoso.webpubsub.azure.com", hub: "chat" };

const text = (value) => ({ kind: "text", value });
const json = (value) => ({ kind: "json", value: JSON.stringify(value) });
const binary = (bytes) => ({ kind: "binary", value: Buffer.from(bytes).toString("base64") });
const stream = (...parts) => ({ kind: "stream", value: parts.map((part) => Buffer.from(part).toString("base64")) });

const calls = [];
function call(id, method, args = {}, client = LOCAL) {
  calls.push({ id: `${method}/${id}`, client, method, args });
}

for (const [id, name] of NAMES) {
  call(id, "sendToUser", { user: name, body: text("hi") });
  call(id, "sendToConnection", { connection: name, body: text("hi") });
  call(id, "group.sendToAll", { group: name, body: text("hi") });
  call(id, "group.addConnection", { group: name, connection: name });
  call(id, "closeConnection", { connection: "c1", reason: name });
  call(id, "grantPermission", { connection: "c1", permission: "sendToGroup", target: name });
  call(id, "sendToAll", { body: text(name), excluded: [name] });
}

const SOME_NAMES = NAMES.filter(([id]) =>
  ["space", "slash", "percent-slash", "plus", "question", "hash", "colon", "single-quote", "umlaut", "emoji"].includes(id));
for (const [id, name] of SOME_NAMES) {
  call(id, "connectionExists", { connection: name });
  call(id, "userExists", { user: name });
  call(id, "groupExists", { group: name });
  call(id, "removeUserFromAllGroups", { user: name });
  call(id, "removeConnectionFromAllGroups", { connection: name });
  call(id, "closeUserConnections", { user: name });
  call(id, "group.removeConnection", { group: name, connection: name });
  call(id, "group.addUser", { group: name, user: name });
  call(id, "group.removeUser", { group: name, user: name });
  call(id, "group.closeAllConnections", { group: name });
  call(id, "group.listConnections", { group: name });
  call(id, "revokePermission", { connection: name, permission: "joinLeaveGroup", target: name });
  call(id, "hasPermission", { connection: name, permission: "joinLeaveGroup", target: name });
}

const BODIES = [
  ["text", text("Hello, world")],
  ["text-empty", text("")],
  ["text-unicode", text("héllo 😀\r\n\u0000end")],
  ["json-object", json({ b: 1, a: [true, null, "x"], "ключ": "значение" })],
  ["json-string", json("quoted")],
  ["json-empty-string", json("")],
  ["json-number", json(-12.5)],
  ["json-true", json(true)],
  ["json-array", json([])],
  ["json-escapes", json({ text: 'a"b\\c/\b\f\n\r\t\u0001\u007f\u2028</script>' })],
  ["binary", binary([0, 1, 2, 253, 254, 255])],
  ["binary-empty", binary([])],
  ["binary-3k", binary(Buffer.alloc(3000, 7))],
  ["stream", stream("first,", "second,", "third")],
  ["stream-one-part", stream("only")],
  ["stream-binary", stream([0, 255], [1], [2, 3, 4])],
];
for (const [id, body] of BODIES) {
  call(`body-${id}`, "sendToAll", { body });
  call(`body-${id}`, "sendToUser", { user: "ana", body });
  call(`body-${id}`, "sendToConnection", { connection: "c1", body });
  call(`body-${id}`, "group.sendToAll", { group: "room-1", body });
}

const FILTERS = [
  ["user", "userId eq 'ana'"],
  ["quote", "userId eq 'o''neil'"],
  ["groups", "'a' in groups and not('b,c' in groups)"],
  ["null", "userId ne null"],
  ["length", "length(userId) gt 3 or connectionId eq '%2F&+#?'"],
  ["unicode", "userId eq '日本語 😀'"],
  ["parentheses", "(userId eq 'a' or userId eq 'b') and (protocol eq 'x')"],
];
for (const [id, filter] of FILTERS) {
  call(`filter-${id}`, "sendToAll", { body: text("hi"), filter });
  call(`filter-${id}`, "sendToUser", { user: "ana", body: text("hi"), filter });
  call(`filter-${id}`, "group.sendToAll", { group: "room-1", body: text("hi"), filter });
  call(`filter-${id}`, "addConnectionsToGroups", { groups: ["a", "b/c", "日本語"], filter });
  call(`filter-${id}`, "removeConnectionsFromGroups", { groups: ["a"], filter });
}
call("many-groups", "addConnectionsToGroups", { groups: NAMES.slice(0, 45).map(([, name]) => name), filter: "userId ne null" });
call("many-groups", "removeConnectionsFromGroups", { groups: NAMES.slice(0, 45).map(([, name]) => name), filter: "userId ne null" });

for (const ttl of [0, 1, 60, 300]) {
  call(`ttl-${ttl}`, "sendToAll", { body: json({ n: 1 }), ttl });
  call(`ttl-${ttl}`, "sendToUser", { user: "ana", body: json({ n: 1 }), ttl });
  call(`ttl-${ttl}`, "sendToConnection", { connection: "c1", body: json({ n: 1 }), ttl });
  call(`ttl-${ttl}`, "group.sendToAll", { group: "room-1", body: json({ n: 1 }), ttl });
}

const EXCLUDED = [["none", []], ["one", ["c1"]], ["three", ["c1", "c,2", "c 3"]], ["twice", ["c1", "c1"]]];
for (const [id, excluded] of EXCLUDED) {
  call(`excluded-${id}`, "sendToAll", { body: text("hi"), excluded });
  call(`excluded-${id}`, "group.sendToAll", { group: "room-1", body: text("hi"), excluded });
  call(`excluded-${id}`, "closeAllConnections", { excluded });
  call(`excluded-${id}`, "closeUserConnections", { user: "ana", excluded });
  call(`excluded-${id}`, "group.closeAllConnections", { group: "room-1", excluded });
  call(`excluded-${id}-with-reason`, "closeAllConnections", { excluded, reason: "it's late & dark" });
  call(`excluded-${id}-with-reason`, "closeUserConnections", { user: "ana", excluded, reason: "100% done?" });
  call(`excluded-${id}-with-reason`, "group.closeAllConnections", { group: "room-1", excluded, reason: "bye/再见" });
}
call("everything", "sendToAll", { body: json({ n: 1 }), excluded: ["c1", "c2"], filter: "userId ne 'o''neil'", ttl: 5 });
call("everything", "sendToUser", { user: "a b", body: json({ n: 1 }), filter: "'g' in groups", ttl: 5 });
call("everything", "group.sendToAll", { group: "g h", body: json({ n: 1 }), excluded: ["c1", "c2"], filter: "userId ne null", ttl: 5 });
call("no-options", "closeAllConnections");
call("no-options", "closeConnection", { connection: "c1" });
call("metadata", "sendToAll", { body: text("hi"), metadata: { trace: "a1", "x-note": "two words" } });
call("metadata", "group.sendToAll", { group: "room-1", body: json({}), metadata: { trace: "a1" } });
call("metadata", "sendToUser", { user: "ana", body: json({}), metadata: { trace: "a1" } });
call("metadata", "sendToConnection", { connection: "c1", body: json({}), metadata: { trace: "a1" } });

for (const permission of ["sendToGroup", "joinLeaveGroup"]) {
  for (const method of ["grantPermission", "revokePermission", "hasPermission"]) {
    call(permission, method, { connection: "c1", permission, target: "room-1" });
  }
}

// The recorder answers 404 where a name is `absent`, with an error body where the service has one.
call("absent", "connectionExists", { connection: "absent" });
call("absent", "userExists", { user: "absent" });
call("absent", "groupExists", { group: "absent" });
call("absent", "hasPermission", { connection: "absent", permission: "sendToGroup", target: "room-1" });
call("absent", "grantPermission", { connection: "absent", permission: "sendToGroup", target: "room-1" });
call("absent", "group.addConnection", { group: "room-1", connection: "absent" });
call("absent", "group.addUser", { group: "room-1", user: "absent" });

const LISTS = [
  ["page-size", { pageSize: 2 }],
  ["page-size-200", { pageSize: 200 }],
  ["top", { top: 5 }],
  ["page-size-and-top", { pageSize: 2, top: 5 }],
  ["continuation", { continuation: "abc+/=&?#% ü" }],
  ["everything", { pageSize: 1, top: 3, continuation: "t" }],
];
for (const [id, options] of LISTS) {
  call(id, "group.listConnections", { group: "room-1", ...options });
  call(`${id}-pages`, "group.listConnections", { group: "paged", byPage: true, ...options });
}
call("items-over-pages", "group.listConnections", { group: "paged" });
call("odd-name-over-pages", "group.listConnections", { group: "paged a/b?c", pageSize: 2 });

for (const hub of ["chat", "Chat_1", "a`b", "a.b", "a,b", "a[b]", "H".repeat(128)]) {
  const client = { ...LOCAL, hub };
  const id = `hub-${hub.length > 20 ? "long" : hub}`;
  call(id, "sendToAll", { body: text("hi") }, client);
  call(id, "group.listConnections", { group: "room-1" }, client);
  call(id, "clientAccessToken", {}, client);
}

const ENDPOINTS = [
  ["key", { credential: "key", endpoint: "http://{recorder}", key: KEY, hub: "chat" }],
  ["key-slash", { credential: "key", endpoint: "http://{recorder}/", key: KEY, hub: "chat" }],
  ["path", { credential: "key", endpoint: "http://{recorder}/base/path", key: KEY, hub: "chat" }],
  ["path-slash", { credential: "key", endpoint: "http://{recorder}/base/path/", key: KEY, hub: "chat" }],
  ["string-path", { ...LOCAL, value: `Endpoint=http://{recorder}/base;AccessKey=${KEY}` }],
  ["string-port", { ...LOCAL, value: `Endpoint=http://{recorder-host};Port={recorder-port};AccessKey=${KEY};Version=1.0;` }],
  ["string-order", { ...LOCAL, value: `Version=1.0;accesskey=${KEY};;ENDPOINT=http://{recorder}/` }],
  ["string-key-padding", { ...LOCAL, value: "Endpoint=http://{recorder};AccessKey=cGFkZGVkIGtleQ==;Version=1.0;" }],
  ["proxy", { credential: "key", endpoint: "http://contoso.example.test", key: KEY, hub: "chat", reverseProxy: "http://{recorder}" }],
  ["proxy-port", { credential: "key", endpoint: "http://contoso.example.test:8181/", key: KEY, hub: "chat", reverseProxy: "http://{recorder}/" }],
  ["proxy-string", { ...LOCAL, value: `Endpoint=http://contoso.example.test;AccessKey=${KEY};Version=1.0;`, reverseProxy: "http://{recorder}" }],
  ["https", { credential: "key", endpoint: "https://contoso.webpubsub.azure.com", key: KEY, hub: "chat" }],
  ["https-string", { ...LOCAL, value: `Endpoint=https://contoso.webpubsub.azure.com;AccessKey=${KEY};Version=1.0;` }],
  ["https-port", { ...LOCAL, value: `Endpoint=https://contoso.example.test;Port=8443;AccessKey=${KEY};Version=1.0;` }],
  ["https-default-port", { credential: "key", endpoint: "https://contoso.example.test:443/", key: KEY, hub: "chat" }],
  ["no-scheme", { ...LOCAL, value: `Endpoint=contoso.example.test;AccessKey=${KEY};Version=1.0;` }],
  ["upper-case", { ...LOCAL, value: `Endpoint=https://Contoso.Example.TEST;AccessKey=${KEY};Version=1.0;` }],
  ["proxy-https", { credential: "key", endpoint: "https://contoso.webpubsub.azure.com", key: KEY, hub: "chat", reverseProxy: "https://proxy.example.test:8443" }],
  ["entra", ENTRA],
  ["entra-path", { ...ENTRA, endpoint: "https://contoso.example.test/base/" }],
  ["entra-proxy", { ...ENTRA, reverseProxy: "https://proxy.example.test" }],
];
for (const [id, client] of ENDPOINTS) {
  call(`endpoint-${id}`, "sendToAll", { body: text("hi"), filter: "userId eq 'o''neil'" }, client);
  call(`endpoint-${id}`, "group.sendToAll", { group: "it's a/b", body: json({ n: 1 }), excluded: ["c'1"] }, client);
  call(`endpoint-${id}`, "connectionExists", { connection: "c1" }, client);
  call(`endpoint-${id}`, "closeAllConnections", { reason: "it's over" }, client);
  call(`endpoint-${id}`, "clientAccessToken", { user: "ana" }, client);
}

const TOKENS = [
  ["bare", {}],
  ["user", { user: "ana" }],
  ["user-odd", { user: "o'neil & søn/😀 100%" }],
  ["one-role", { roles: ["webpubsub.joinLeaveGroup"] }],
  ["roles", { roles: ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.room 1/ü", "custom&role=1"] }],
  ["groups", { groups: ["room-1", "room 2/ü?", "a,b"] }],
  ["one-group", { groups: ["room-1"] }],
  ["minutes-1", { minutes: 1 }],
  ["minutes-1440", { minutes: 1440 }],
  ["everything", { user: "ana", roles: ["webpubsub.sendToGroup"], groups: ["room-1"], minutes: 5 }],
];
for (const [id, options] of TOKENS) {
  for (const protocol of ["default", "mqtt", "socketio"]) {
    call(`local-${protocol}-${id}`, "clientAccessToken", { ...options, protocol });
    call(`entra-${protocol}-${id}`, "clientAccessToken", { ...options, protocol }, ENTRA);
  }
  call(`local-${id}`, "clientAccessToken", options);
  call(`entra-${id}`, "clientAccessToken", options, ENTRA);
}

// Names that change which operation is called: see differences.json.
for (const [id, name] of [["dot", "."], ["two-dots", ".."], ["empty", ""]]) {
  call(`refused-${id}`, "sendToUser", { user: name, body: text("hi") });
  call(`refused-${id}`, "closeConnection", { connection: name });
  call(`refused-${id}`, "group.closeAllConnections", { group: name });
}

const written = `[\n${calls.map((entry) => JSON.stringify(entry)).join(",\n")}\n]\n`;
const ids = new Set(calls.map(({ id }) => id));
if (ids.size !== calls.length) {
  throw new Error("two calls share an id");
}
if (process.argv.includes("--check")) {
  if (readFileSync(TABLE, "utf8") !== written) {
    console.error("tests/interop/wire/calls.json is out of date: run `node tests/interop/js/wire/generate.mjs`");
    process.exitCode = 1;
  }
} else {
  writeFileSync(TABLE, written);
  console.log(`${calls.length} calls`);
}
