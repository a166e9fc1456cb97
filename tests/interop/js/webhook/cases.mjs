// Every request that is sent to both handlers: a name, the request, and the improvement of ours, if it
// is answered differently.

import { createHmac } from "node:crypto";

import { EVENTS } from "./official.mjs";

/** The key that both know; only ours looks at signatures. */
export const KEY = "a key for the comparison of event handlers";

/** What ours answers where an improvement refuses. */
export const STATUS = {
  "answer-500": 500,
  "body-limit-413": 413,
  "connection-id-400": 400,
  "content-encoding-415": 415,
  "content-type-415": 415,
  "header-400": 400,
  "json-400": 400,
  "metadata-400": 400,
  "mqtt-connect-400": 400,
  "preflight-400-text": 400,
  "shape-400": 400,
  "signature-401": 401,
  "state-400": 400,
  "utf8-400": 400,
};

/** Improvements that one request to these handlers cannot show; tests of the crate do. */
export const ELSEWHERE = ["mqtt-error-body", "nested-path", "not-ours-404", "order", "panic-500", "payload-400", "queue", "unit-204", "user-event-404"];

const PATH = "/api/webpubsub/hubs/chat/";
const JSON_TYPE = "application/json; charset=utf-8";

export function cases() {
  const all = [
    ...events(), ...connects(), ...userEvents(), ...states(), ...headers(), ...types(), ...hubs(), ...paths(), ...methods(),
    ...preflights(), ...contentTypes(), ...bodies(), ...mqtt(), ...signatures(), ...texts(),
  ];
  const names = new Set(all.map(({ name }) => name));
  if (names.size !== all.length) {
    throw new Error("two cases have the same name");
  }
  // The id of its connection tells the log of what a handler saw to which case it belongs.
  return all.map((one, index) => {
    const id = one.id ?? `c${index}`;
    const fill = (text) => text.replaceAll("{id}", id).replaceAll("{sign}", signature(id));
    return { ...one, id, headers: one.headers.map(([name, value]) => [name, fill(value)]) };
  });
}

export function signature(id, key = KEY) {
  return `sha256=${createHmac("sha256", key).update(id).digest("hex")}`;
}

// ---- building blocks

/** A request as the service sends it. `set` replaces headers by lower-case name; `undefined` leaves one out. */
function post(name, { event = "connect", type, path = PATH, method = "POST", hub = "chat", contentType = JSON_TYPE, body = "{}", set = {}, more = [], improvement, id } = {}) {
  const base = {
    "content-type": ["Content-Type", contentType],
    "webhook-request-origin": ["WebHook-Request-Origin", "localhost"],
    "ce-specversion": ["ce-specversion", "1.0"],
    "ce-type": ["ce-type", type ?? typeOf(event)],
    "ce-source": ["ce-source", `/hubs/${hub}/client/{id}`],
    "ce-id": ["ce-id", "1"],
    "ce-time": ["ce-time", "2026-01-01T00:00:00Z"],
    "ce-signature": ["ce-signature", "{sign}"],
    "ce-userid": ["ce-userId", "ana"],
    "ce-connectionid": ["ce-connectionId", "{id}"],
    "ce-hub": ["ce-hub", hub],
    "ce-eventname": ["ce-eventName", event],
    "ce-awpsversion": ["ce-awpsversion", "1.0"],
  };
  const list = Object.entries(base).flatMap(([key, [spelled, value]]) => {
    if (!(key in set)) {
      return value === undefined ? [] : [[spelled, value]];
    }
    return set[key] === undefined ? [] : [[spelled, set[key]]];
  });
  const added = Object.entries(set).filter(([key, value]) => !(key in base) && value !== undefined);
  return { name, method, path, headers: [...list, ...added, ...more], body, improvement, id };
}

function typeOf(event) {
  return {
    connect: "azure.webpubsub.sys.connect",
    connected: "azure.webpubsub.sys.connected",
    disconnected: "azure.webpubsub.sys.disconnected",
    joined: "azure.webpubsub.gp.joined",
    left: "azure.webpubsub.gp.left",
  }[event] ?? `azure.webpubsub.user.${event}`;
}

const BODIES = {
  connect: { claims: { sub: ["ana"] }, query: {}, headers: {}, subprotocols: ["json.webpubsub.azure.v1"], clientCertificates: [] },
  connected: {},
  disconnected: { reason: "gone" },
  joined: { group: "g" },
  left: { group: "g é" },
};

const SYSTEM = Object.keys(BODIES);

function system(name, event, options = {}) {
  return post(name, { event, body: JSON.stringify(BODIES[event]), ...options });
}

function user(name, event, options = {}) {
  return post(name, { event, contentType: "text/plain; charset=utf-8", body: "hi", ...options });
}

/** A connect that is answered by these steps. */
function connect(name, steps, options = {}) {
  return post(name, { body: JSON.stringify({ ...BODIES.connect, ...options.data, query: { do: [JSON.stringify(steps)] } }), ...options });
}

const MQTT = { "ce-subprotocol": "mqtt", "ce-physicalConnectionId": "p1" };

function mqttConnect(name, steps, protocolVersion, options = {}) {
  return connect(name, steps, { set: MQTT, data: { mqtt: { protocolVersion, username: "u", password: "cGFzcw==", userProperties: [{ name: "a", value: "b" }] } }, ...options });
}

// ---- the requests

function events() {
  const each = SYSTEM.flatMap((event) => [
    system(`event ${event}`, event),
    system(`event ${event}, anonymous`, event, { set: { "ce-userid": undefined } }),
    system(`event ${event}, with a subprotocol`, event, { set: { "ce-subprotocol": "json.webpubsub.azure.v1" }, improvement: "context-subprotocol" }),
    system(`event ${event}, without handler`, event, { hub: "bare", path: "/api/webpubsub/hubs/bare/" }),
    system(`event ${event}, at a path of its own`, event, { hub: "custom", path: "/custom/eventhandler" }),
  ]);
  const payloads = [["text/plain; charset=utf-8", "hi é", "text"], [JSON_TYPE, "{\"a\":[1,\"é\",null]}", "JSON"], ["application/octet-stream", Buffer.from([0, 1, 255]), "bytes"]];
  const sent = payloads.flatMap(([contentType, body, what]) => [
    user(`event with ${what}`, "order", { contentType, body }),
    user(`event with ${what}, anonymous`, "order", { contentType, body, set: { "ce-userid": undefined } }),
    user(`event with ${what}, without handler`, "order", { contentType, body, hub: "bare", path: "/api/webpubsub/hubs/bare" }),
    user(`event with ${what}, empty`, "order", { contentType, body: "", improvement: what === "JSON" ? "json-400" : undefined }),
  ]);
  const full = {
    claims: { sub: ["ana"], role: ["a", "b"], iat: ["1"] }, query: { room: ["a", "b"], q: [""] }, headers: { "X-A": ["1"], Cookie: ["a=b"] },
    subprotocols: ["a", "b"], clientCertificates: [{ thumbprint: "AB", content: "-----BEGIN CERTIFICATE-----\n" }],
  };
  return [...each, ...sent, post("event connect, all members", { body: JSON.stringify(full) }), post("event connect, empty object", { body: "{}", improvement: "members" })];
}

function connects() {
  const answers = {
    "nothing": [["success"]],
    "an empty object": [["success", {}]],
    "a user": [["success", { userId: "bob" }]],
    "an empty user": [["success", { userId: "" }]],
    "a user in unicode": [["success", { userId: "bøb 👋" }]],
    "groups": [["success", { groups: ["a", "b é"] }]],
    "no groups": [["success", { groups: [] }]],
    "roles": [["success", { roles: ["webpubsub.sendToGroup"] }]],
    "no roles": [["success", { roles: [] }]],
    "a subprotocol": [["success", { subprotocol: "json.webpubsub.azure.v1" }]],
    "all": [["success", { groups: ["a"], roles: ["r"], userId: "bob", subprotocol: "x" }]],
    "state": [["state", "n", 1], ["success"]],
    "state and a user": [["state", "n", { a: [1, "é"] }], ["success", { userId: "bob" }]],
    "several values of state": [["state", "z", 1], ["state", "a", "x"], ["state", "z", null], ["success", {}]],
    "state, then failure": [["state", "n", 1], ["fail", 401, "no"]],
  };
  const accepted = Object.entries(answers).map(([what, steps]) => connect(`connect answered with ${what}`, steps, { improvement: JSON.stringify(steps.at(-1)) === "[\"success\",{}]" ? "accept-204" : undefined }));
  const refused = [400, 401, 403, 404, 409, 418, 429, 500, 503].flatMap((status) => [
    connect(`connect failed with ${status}`, [["fail", status, "no, because é"]]),
    connect(`connect failed with ${status}, no words`, [["fail", status]]),
    connect(`connect failed with ${status} by object`, [["failWith", { code: status, detail: "no" }]]),
  ]);
  return [...accepted, ...refused];
}

function userEvents() {
  return Object.keys(EVENTS).flatMap((event) => [
    user(`answer ${event}`, event),
    user(`answer ${event} to JSON`, event, { contentType: "application/json", body: "[1]" }),
  ]);
}

function states() {
  const base64 = (text) => Buffer.from(text).toString("base64");
  const good = {
    "an object": base64("{\"n\":1,\"s\":\"x\"}"),
    "nested": base64("{\"o\":{\"b\":1,\"a\":[{}]}}"),
    "unicode": base64("{\"é\":\"👋\"}"),
    "an empty object": base64("{}"),
    "no padding": base64("{\"n\":1}").replaceAll("=", ""),
    "order": base64("{\"z\":1,\"n\":2,\"a\":3}"),
  };
  const bad = {
    "no base64": "%%%",
    "text": base64("text"),
    "an array": base64("[1]"),
    "a number": base64("1"),
    "null": base64("null"),
    "cut": base64("{\"n\":"),
  };
  const each = (values, improvement) => Object.entries(values).flatMap(([what, value]) => [
    connect(`state ${what}, read`, [["success"]], { set: { "ce-connectionState": value }, improvement }),
    connect(`state ${what}, changed`, [["state", "n", 5], ["success"]], { set: { "ce-connectionState": value }, improvement }),
    user(`state ${what}, event`, "state", { set: { "ce-connectionState": value }, improvement }),
    system(`state ${what}, connected`, "connected", { set: { "ce-connectionState": value }, improvement }),
  ]);
  return [
    ...each(good), ...each(bad, "state-400"),
    user("state empty", "state", { set: { "ce-connectionState": "" } }),
    user("state with spaces in its JSON", "state", { set: { "ce-connectionState": base64("{ \"a\" : 1.0 }") }, improvement: "state-text" }),
    user("state with numbers as names", "state", { set: { "ce-connectionState": base64("{\"b\":1,\"2\":1,\"1\":1}") }, improvement: "state-text" }),
  ];
}

function headers() {
  const spell = [["lower", (n) => n.toLowerCase()], ["upper", (n) => n.toUpperCase()], ["mixed", (n) => [...n].map((c, i) => (i % 2 ? c.toUpperCase() : c.toLowerCase())).join("")]];
  const cased = spell.flatMap(([how, change]) => [system(`headers in ${how} case`, "connect"), user(`headers in ${how} case, event`, "text"), system(`headers in ${how} case, MQTT`, "connected", { set: { ...MQTT, "ce-sessionId": "s1" } })]
    .map((one) => ({ ...one, headers: one.headers.map(([name, value]) => [change(name), value]) })));
  const optional = ["ce-specversion", "ce-source", "ce-id", "ce-time"];
  const passedOn = ["ce-awpsversion", "webhook-request-origin", "ce-type", "ce-hub"];
  const needed = { "ce-connectionid": "connection-id-400", "ce-eventname": "event-name", "ce-signature": "signature-401" };
  const missing = [
    ...optional.map((name) => system(`without ${name}`, "connect", { set: { [name]: undefined } })),
    ...passedOn.flatMap((name) => SYSTEM.map((event) => system(`${event} without ${name}`, event, { set: { [name]: undefined } }))),
    ...passedOn.map((name) => user(`user event without ${name}`, "text", { set: { [name]: undefined } })),
    ...Object.entries(needed).flatMap(([name, improvement]) => [
      system(`connect without ${name}`, "connect", { set: { [name]: undefined }, improvement, id: `missing-${name}` }),
      user(`user event without ${name}`, "text", { set: { [name]: undefined }, improvement, id: `missing-event-${name}` }),
    ]),
    system("connect without content type", "connect", { set: { "content-type": undefined } }),
    system("connect with another content type", "connect", { contentType: "text/plain" }),
  ];
  const doubled = ["WebHook-Request-Origin", "ce-awpsversion", "ce-id", "ce-time"].map((name) => system(`two lines of ${name}`, "connected", { more: [[name, "other"]], improvement: ["WebHook-Request-Origin", "ce-id"].includes(name) ? "header-400" : undefined }));
  const unclear = ["ce-type", "ce-hub", "ce-connectionId", "ce-userId"].map((name) => system(`two lines of ${name}`, "connect", { more: [[name, "other"]], improvement: ["ce-type", "ce-hub"].includes(name) ? undefined : "header-400" }));
  const extra = [
    system("a header that nobody knows", "connect", { more: [["x-other", "1"]] }),
    system("traceparent", "connect", { more: [["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]] }),
    system("cookies", "connect", { more: [["Cookie", "a=b"]] }),
    user("metadata", "text", { more: [["x-webpubsub-metadata-a", "1"]] }),
    user("metadata with a tab", "text", { more: [["x-webpubsub-metadata-a", "1\t2"]], improvement: "metadata-400" }),
    user("metadata of 1,025 bytes", "text", { more: [["x-webpubsub-metadata-a", "x".repeat(1025)]], improvement: "metadata-400" }),
  ];
  return [...cased, ...missing, ...doubled, ...unclear, ...extra];
}

function types() {
  return ["azure.webpubsub.sys.other", "azure.webpubsub.gp.other", "azure.webpubsub.", "azure.webpubsub", "other", "", "AZURE.WEBPUBSUB.SYS.CONNECT", "azure.webpubsub.sys.connect ", "azure.webpubsub.sys.", "azure.webpubsub.user", "com.azure.webpubsub.sys.connect"]
    .map((type) => system(`type "${type}"`, "connect", { type }))
    .concat(
      system("type of an event without a name", "connect", { type: "azure.webpubsub.user.", contentType: "text/plain" }),
      user("an event name with dots", "a.b-c_d"),
      user("an event called connect", "connect", { type: "azure.webpubsub.user.connect" }),
      user("names that do not agree", "text", { type: "azure.webpubsub.user.other" }),
      user("an event name in upper case", "TEXT"),
    );
}

function hubs() {
  return [
    ...["CHAT", "Chat", "other", "", "chat2", "cha", " chat"].map((hub) => system(`hub "${hub}"`, "connect", { set: { "ce-hub": hub } })),
    ...["CHAT", "other", ""].map((hub) => system(`hub "${hub}", connected`, "connected", { set: { "ce-hub": hub } })),
    ...["CHAT", "other"].map((hub) => user(`hub "${hub}", event`, "text", { set: { "ce-hub": hub } })),
    system("another hub's path", "connect", { path: "/api/webpubsub/hubs/bare/" }),
    system("another hub's path, named as its own", "connect", { path: "/api/webpubsub/hubs/chat/", set: { "ce-hub": "bare" } }),
  ];
}

const PATHS = [
  "/api/webpubsub/hubs/chat", "/api/webpubsub/hubs/chat/", "/API/WebPubSub/Hubs/CHAT", "/API/WebPubSub/Hubs/CHAT/", "/api/webpubsub/hubs/chat/connect",
  "/api/webpubsub/hubs/chat/a/b/", "/api/webpubsub/hubs/chat//", "/api/webpubsub/hubs//chat/", "//api/webpubsub/hubs/chat/", "/api/webpubsub/hubs/chatter", "/api/webpubsub/hubs/cha",
  "/api/webpubsub/hubs/chat?code=1", "/api/webpubsub/hubs/chat/?code=1&b=/x", "/api/webpubsub/hubs/c%68at/", "/api/webpubsub/hubs/chat%2F", "/api/webpubsub/hubs/./chat/", "/x/../api/webpubsub/hubs/chat/",
  "/", "/other", "/api/webpubsub/hubs", "/v1/api/webpubsub/hubs/chat/",
];

function paths() {
  return PATHS.flatMap((path) => [
    system(`path ${path}`, "connect", { path }),
    user(`path ${path}, event`, "text", { path }),
    preflight(`path ${path}, preflight`, { path }),
  ]);
}

function methods() {
  return ["GET", "PUT", "PATCH", "DELETE", "HEAD"].flatMap((method) => [
    system(`method ${method}`, "connect", { method, body: method === "HEAD" || method === "GET" ? "" : "{}" }),
    preflight(`method ${method} as preflight`, { method }),
  ]);
}

function preflight(name, { path = PATH, method = "OPTIONS", origin = "localhost", version = "1.0", more = [], improvement } = {}) {
  const list = [["WebHook-Request-Origin", origin], ["ce-awpsversion", version]].filter(([, value]) => value !== null);
  return { name, method, path, headers: [...list, ...more], body: "", improvement };
}

function preflights() {
  const origins = ["localhost", "localhost:8080", "a.webpubsub.azure.com", "A.WEBPUBSUB.AZURE.COM", "other.webpubsub.azure.com", "b.example", "*", "null", "http://localhost", null];
  const on = ["chat", "bare", "allowed", "nobody"].flatMap((hub) =>
    origins.map((origin) => preflight(`preflight of ${hub} for ${origin ?? "no origin"}`, {
      path: `/api/webpubsub/hubs/${hub}/`, origin, improvement: origin === null ? "preflight-400-text" : { allowed: "allowed-origin-port" }[hub],
    })));
  return [
    ...on,
    preflight("preflight without version", { version: null }),
    preflight("preflight without anything", { version: null, origin: null }),
    preflight("preflight of another version", { version: "2.0" }),
    preflight("preflight with an empty version", { version: "" }),
    preflight("preflight with a hub", { more: [["ce-hub", "other"]] }),
    preflight("preflight of a browser", { version: null, origin: null, more: [["Origin", "http://localhost"], ["Access-Control-Request-Method", "POST"]] }),
    preflight("preflight with two origins", { more: [["WebHook-Request-Origin", "other"]] }),
  ];
}

function contentTypes() {
  const same = ["text/plain", "text/plain;charset=utf-8", "text/plain ; charset=utf-8", "application/octet-stream", "application/octet-stream; x=y", "application/json", "application/json;charset=utf-8"];
  const other = ["text/html", "application/xml", "application/problem+json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", ";", "text", "*/*"];
  const cased = ["Text/Plain", "APPLICATION/JSON", "Application/Octet-Stream"];
  return [
    ...same.map((contentType) => user(`content type "${contentType}"`, "text", { contentType, body: "1" })),
    ...other.map((contentType) => user(`content type "${contentType}"`, "text", { contentType, body: "1", improvement: "content-type-415" })),
    ...cased.map((contentType) => user(`content type "${contentType}"`, "text", { contentType, body: "1", improvement: "content-type-case" })),
    user("no content type", "text", { set: { "content-type": undefined }, improvement: "content-type-415" }),
    user("content type of protobuf", "text", { contentType: "application/x-protobuf", body: Buffer.from("0a017412020801", "hex"), improvement: "protobuf" }),
    user("content type of protobuf, not one", "text", { contentType: "application/x-protobuf", body: Buffer.from([255]), improvement: "protobuf" }),
    ...["gzip", "br", "identity, gzip"].map((value) => user(`content encoding ${value}`, "text", { more: [["Content-Encoding", value]], improvement: "content-encoding-415" })),
    user("content encoding identity", "text", { more: [["Content-Encoding", "identity"]] }),
  ];
}

function bodies() {
  const broken = ["{", "", "not json", "{}x", "{\"a\":}", "[", "\u0000"];
  const odd = ["null", "1", "\"x\"", "true"];
  const better = (body) => (odd.includes(body) ? "shape-400" : "json-400");
  const blocking = [...broken, ...odd].map((body) => post(`connect with ${JSON.stringify(body)}`, { body, improvement: better(body) }));
  const later = SYSTEM.filter((event) => event !== "connect").flatMap((event) => [...broken.slice(0, 3), ...odd.slice(0, 2)].map((body) => post(`${event} with ${JSON.stringify(body)}`, { event, body, improvement: better(body) })));
  const json = broken.map((body) => user(`JSON event with ${JSON.stringify(body)}`, "text", { contentType: "application/json", body, improvement: "json-400" }));
  const values = odd.concat("[]", " {\"a\" : 1} ").map((body) => user(`JSON event with ${body}`, "text", { contentType: "application/json", body }));
  const wrong = [["claims", 1], ["claims", { a: "b" }], ["query", []], ["subprotocols", "x"], ["headers", { a: [1] }], ["clientCertificates", [1]]]
    .map(([member, value]) => post(`connect with ${member} ${JSON.stringify(value)}`, { body: JSON.stringify({ ...BODIES.connect, [member]: value }), improvement: "shape-400" }));
  return [
    ...blocking, ...later, ...json, ...values, ...wrong,
    post("connect with null members", { body: JSON.stringify({ claims: null, query: null, headers: null, subprotocols: null, clientCertificates: null }), improvement: "members" }),
    post("connect with more members", { body: JSON.stringify({ ...BODIES.connect, other: 1 }), improvement: "members" }),
    post("connected with members", { event: "connected", body: "{\"other\":1}", improvement: "members" }),
    post("disconnected without a reason", { event: "disconnected", body: "{}" }),
    post("disconnected with null for a reason", { event: "disconnected", body: "{\"reason\":null}", improvement: "members" }),
    post("disconnected with an empty reason", { event: "disconnected", body: "{\"reason\":\"\"}" }),
    post("joined without a group", { event: "joined", body: "{}", improvement: "shape-400" }),
    post("left with a number for a group", { event: "left", body: "{\"group\":1}", improvement: "shape-400" }),
    user("a text of 1 MiB", "empty", { body: "x".repeat(1024 * 1024) }),
    user("a text of 2 MiB", "empty", { body: "x".repeat(2 * 1024 * 1024), improvement: "body-limit-413" }),
    user("JSON with a byte order mark", "text", { contentType: "application/json", body: "\ufeff{}", improvement: "json-400" }),
    user("text that is not UTF-8", "text", { body: Buffer.from([0x61, 0xff]), improvement: "utf8-400" }),
    user("JSON that is not UTF-8", "text", { contentType: "application/json", body: Buffer.from([0x22, 0xff, 0x22]), improvement: "utf8-400" }),
  ];
}

function mqtt() {
  const codes = [0, 1, 2, 3, 4, 5, 6, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 140, 144, 149, 151, 153, 154, 155, 156, 157, 159, 200];
  const failures = codes.map((code) => mqttConnect(`MQTT refused with ${code}`, [["failWith", { mqtt: { code, reason: "no" } }]], code < 128 ? 4 : 5));
  const statuses = [400, 401, 403, 500, 503].flatMap((status) => [4, 5, 3].map((version) => mqttConnect(`MQTT ${version} failed with ${status}`, [["fail", status, "no"]], version)));
  const properties = [{ name: "k", value: "v" }, { name: "k", value: "w" }];
  const path = "/api/webpubsub/hubs/bare/";
  const after = { ...MQTT, "ce-sessionId": "s1" };
  const packet = (mqttPart) => JSON.stringify({ reason: "r", mqtt: mqttPart });
  return [
    ...failures, ...statuses,
    mqttConnect("MQTT failed without words", [["fail", 401]], 5),
    mqttConnect("MQTT refused with properties", [["failWith", { mqtt: { code: 135, reason: "no", userProperties: properties } }]], 5),
    mqttConnect("MQTT refused with a code only", [["failWith", { mqtt: { code: 135 } }]], 5),
    mqttConnect("MQTT refused by an object without mqtt", [["failWith", { code: 401, detail: "no" }]], 5),
    mqttConnect("MQTT accepted", [["success"]], 5),
    mqttConnect("MQTT accepted with properties", [["success", { userId: "bob", mqtt: { userProperties: properties } }]], 5),
    mqttConnect("MQTT accepted with state", [["state", "n", 1], ["success"]], 4),
    mqttConnect("MQTT in upper case", [["fail", 401, "no"]], 5, { set: { ...MQTT, "ce-subprotocol": "MQTT" } }),
    mqttConnect("MQTT with a version in its name", [["fail", 401, "no"]], 5, { set: { ...MQTT, "ce-subprotocol": "mqttv5" } }),
    mqttConnect("MQTT without a physical connection", [["fail", 401, "no"]], 5, { set: { "ce-subprotocol": "mqtt" } }),
    mqttConnect("a physical connection without MQTT", [["fail", 401, "no"]], 5, { set: { "ce-physicalConnectionId": "p1" } }),
    connect("MQTT without its member", [["fail", 401, "no"]], { set: MQTT, improvement: "mqtt-connect-400" }),
    connect("MQTT without its member, accepted", [["success"]], { set: MQTT, improvement: "mqtt-connect-400" }),
    mqttConnect("MQTT connect with a session", [["success"]], 5, { set: after }),
    system("MQTT connected", "connected", { set: after }),
    post("MQTT disconnected by the client", { event: "disconnected", set: after, body: packet({ initiatedByClient: true, disconnectPacket: { code: 0, userProperties: properties } }) }),
    post("MQTT disconnected without a packet", { event: "disconnected", set: after, body: packet({ initiatedByClient: false }) }),
    post("MQTT disconnected with a code", { event: "disconnected", set: after, body: packet({ initiatedByClient: true, disconnectPacket: { code: 142 } }) }),
    user("MQTT event", "text", { set: after }),
    user("MQTT event with bytes", "order", { set: after, contentType: "application/octet-stream", body: Buffer.from([1, 2]) }),
    user("MQTT event of another content type", "text", { set: after, contentType: "application/cbor", body: Buffer.from([1, 2]), improvement: "mqtt-content-type" }),
    user("MQTT event with a property", "text", { set: after, more: [["mqtt-a", "1"]] }),
    ...SYSTEM.map((event) => system(`MQTT ${event} without handler`, event, { set: MQTT, hub: "bare", path })),
  ];
}

function signatures() {
  const key = (id, other) => system(`signature: ${id}`, "connect", { set: { "ce-signature": other } });
  return [
    key("two, the second ours", `${signature("x", "other")},{sign}`),
    key("with blanks", `${signature("x", "other")} , {sign}`),
    key("in upper case", "{sign}"),
    ...[["of another key", signature("x", "other")], ["empty", ""], ["cut", "sha256=00"], ["no hash", "{id}"]].flatMap(([what, value]) =>
      [...SYSTEM.map((event) => system(`${event}, signature ${what}`, event, { set: { "ce-signature": value }, improvement: "signature-401" })),
        user(`user event, signature ${what}`, "text", { set: { "ce-signature": value }, improvement: "signature-401" })]),
    system("signature of another connection", "connect", { set: { "ce-signature": signature("other") }, improvement: "signature-401" }),
    system("no signature, without handler", "connect", { hub: "bare", path: "/api/webpubsub/hubs/bare/", set: { "ce-signature": undefined }, improvement: "signature-401" }),
  ];
}

function texts() {
  const raw = (text) => Buffer.from(text).toString("latin1");
  return [
    system("a user id in unicode", "connect", { set: { "ce-userid": raw("åsa 👋") }, improvement: "user-id-utf8" }),
    user("a user id in unicode, event", "text", { set: { "ce-userid": raw("åsa") }, improvement: "user-id-utf8" }),
    system("a user id that is not UTF-8", "connect", { set: { "ce-userid": "\u00ff" }, improvement: "header-400" }),
    system("an empty user id", "connect", { set: { "ce-userid": "" }, improvement: "empty-header" }),
    system("a user id with a tab", "connect", { set: { "ce-userid": "a\tb" }, improvement: "header-400" }),
    system("a user id with blanks", "connect", { set: { "ce-userid": "a b" } }),
    system("an answer with a control character", "connect", { body: JSON.stringify({ ...BODIES.connect, query: { do: ["[[\"success\",{\"userId\":\"a\\u0001b\"}]]"] } }), improvement: "answer-500" }),
  ];
}
