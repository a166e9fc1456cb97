// What the tests share: clients of the emulator, and waiting for events with a limit instead of
// sleeping. That something does *not* arrive is shown by a message sent after it: frames keep
// their order, so when the later one comes first, the other never was on its way.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after } from "node:test";
import { WebSocket } from "ws";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

const WAIT_MS = 10_000;

/** The subprotocols of JSON clients. */
export const JSON_SUBPROTOCOL = "json.webpubsub.azure.v1";
export const RELIABLE_JSON_SUBPROTOCOL = "json.reliable.webpubsub.azure.v1";

/** The official protocols, for tests that hold on both. */
export const PROTOCOLS = [
  { name: "JSON", protocol: WebPubSubJsonProtocol },
  { name: "reliable JSON", protocol: WebPubSubJsonReliableProtocol },
];

/** The connection string that every official sample reads from this variable. */
export const CONNECTION_STRING = fromEnvironment("WebPubSubConnectionString");

/**
 * Why a test that cuts a `Line` is left out, if it is: a resource with TLS has a certificate for its own name, which is not
 * that of a line.
 */
export const NO_LINE = CONNECTION_STRING.includes("Endpoint=https:") && "the line to a resource with TLS cannot be cut";

/** What the names of hubs begin with on a resource that others use too; connections to them are closed at the end. */
const SHARED_HUBS = process.env.InteropHubs;
const shared = [];
if (SHARED_HUBS) {
  after(() => Promise.all(shared.map((service) => service.closeAllConnections())));
}

function fromEnvironment(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`set ${name}; \`cargo xtask interop js\` does it for you`);
  }
  return value;
}

let hubs = 0;

/** A service client for a hub of its own, so that tests do not meet. */
export function newService(options = {}) {
  return serviceFor(CONNECTION_STRING, options);
}

/** As `newService`, on an emulator whose event handlers are those of `tests/interop/handler`. */
export function newHandledService() {
  return serviceFor(fromEnvironment("HandlerEmulatorConnectionString"));
}

/** Why tests of faults are left out, if they are: a resource in Azure does not go wrong when asked to. */
export const NO_FAULTS = !process.env.FaultyEmulatorConnectionString && "only an emulator goes wrong when it is asked to";

/** As `newHandledService`, on an emulator that only one file of tests uses, to let things go wrong. */
export function newFaultyService(options = {}) {
  return serviceFor(fromEnvironment("FaultyEmulatorConnectionString"), options);
}

/** Calls the admin API of that emulator; the answer. */
export async function callAdmin(method, path, body) {
  const response = await fetch(`${fromEnvironment("FaultyEmulatorAdminUrl")}/${path}`, {
    method,
    headers: { authorization: `Bearer ${fromEnvironment("FaultyEmulatorAdminToken")}` },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${text}`);
  return JSON.parse(text);
}

/** Adds a rule for a hub. It is removed after the test. */
export async function addFault(test, service, fault) {
  const { id } = await callAdmin("POST", "faults", { hub: service.hubName, ...fault });
  // Only once.
  let removed;
  const remove = () => (removed ??= callAdmin("DELETE", `faults/${id}`));
  test.after(remove);
  return {
    remove,
    hits: async () => (await callAdmin("GET", "faults")).faults.find((rule) => rule.id === id).hits,
  };
}

function serviceFor(connectionString, options = {}) {
  hubs += 1;
  const service = new WebPubSubServiceClient(connectionString, `${SHARED_HUBS ?? "interop"}_${process.pid}_${hubs}`, {
    allowInsecureConnection: true,
    ...options,
  });
  // Not by way of a line, which is gone by then.
  shared.push(new WebPubSubServiceClient(CONNECTION_STRING, service.hubName, { allowInsecureConnection: true }));
  return service;
}

/** A line between clients and the emulator that a test cuts and mends. */
export class Line {
  #sockets = new Set();
  #server;
  #isCut = false;

  /** A line to the emulator; clients get their URLs from its `service`. */
  static async start(test) {
    const line = new Line();
    const { hostname, port } = new URL(/Endpoint=([^;]+)/.exec(CONNECTION_STRING)[1]);
    line.#server = net.createServer((near) => {
      if (line.#isCut) {
        near.destroy();
        return;
      }
      const far = net.connect(port, hostname);
      for (const [socket, other] of [[near, far], [far, near]]) {
        line.#sockets.add(socket);
        socket.pipe(other);
        // The other side ends with it, however it ended.
        socket.on("error", () => {});
        socket.on("close", () => {
          line.#sockets.delete(socket);
          other.destroy();
        });
      }
    });
    line.#server.listen(0, "127.0.0.1");
    await within(once(line.#server, "listening"), "the line to listen");
    test.after(() => {
      line.cut();
      line.#server.close();
    });
    const endpoint = `http://127.0.0.1:${line.#server.address().port}`;
    line.service = serviceFor(CONNECTION_STRING.replace(/Endpoint=[^;]+/, `Endpoint=${endpoint}`));
    return line;
  }

  /** The same hub, reached whether the line is cut or not. */
  direct() {
    return new WebPubSubServiceClient(CONNECTION_STRING, this.service.hubName, { allowInsecureConnection: true });
  }

  /** Ends every connection without a close frame and accepts no new one. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  mend() {
    this.#isCut = false;
  }
}

/** The result of `promise`, or an error that names what did not happen in time. */
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${WAIT_MS} ms for ${what}`)), WAIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Things in the order they came, each handed out once. */
export class Queue {
  #items = [];
  #waiting = [];

  push(item) {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) {
      this.#items.push(item);
    } else {
      waiter(item);
    }
  }

  next(what) {
    if (this.#items.length > 0) {
      return Promise.resolve(this.#items.shift());
    }
    return within(new Promise((resolve) => this.#waiting.push(resolve)), what);
  }
}

/** A bare WebSocket: simple client without `subprotocol`, JSON client with it. */
export class RawClient {
  #frames = new Queue();

  static async connect(test, service, { subprotocol, ...token } = {}) {
    const { url } = await service.getClientAccessToken(token);
    const client = await RawClient.open(test, url, subprotocol);
    if (subprotocol === JSON_SUBPROTOCOL || subprotocol === RELIABLE_JSON_SUBPROTOCOL) {
      client.connected = await client.nextJson();
      assert.equal(client.connected.event, "connected");
      client.id = client.connected.connectionId;
    }
    return client;
  }

  /** Opens a socket to a URL that is ready, as a recovering client does. */
  static async open(test, url, subprotocol) {
    const client = new RawClient(url, subprotocol);
    test.after(() => client.socket.terminate());
    await within(once(client.socket, "open"), "the socket to open");
    return client;
  }

  constructor(url, subprotocol) {
    this.socket = new WebSocket(url, subprotocol === undefined ? [] : [subprotocol]);
    this.socket.on("message", (data, binary) => this.#frames.push(binary ? data : data.toString("utf8")));
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve({ code, reason: reason.toString("utf8") }));
    });
  }

  /** The next frame: a string for text, a Buffer for binary. */
  next() {
    return this.#frames.next("a frame");
  }

  async nextJson() {
    return JSON.parse(await this.next());
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  /** Sends `frame` and reads its ack; whatever comes before it is a failure. */
  async request(frame) {
    this.send(frame);
    const ack = await this.nextJson();
    assert.equal(ack.type, "ack");
    assert.equal(ack.ackId, frame.ackId);
    return ack;
  }

  close() {
    return within(this.closed, "the socket to close");
  }
}

/**
 * The official real-time client with its events in queues. Without keep-alive unless a test wants
 * it: the package's timers outlive `stop()`, and the process would wait for them.
 */
export async function startClient(test, service, token = {}, options = {}) {
  const client = new WebPubSubClient(
    { getClientAccessUrl: async () => (await service.getClientAccessToken(token)).url },
    { protocol: WebPubSubJsonProtocol(), keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0, ...options },
  );
  const events = {};
  for (const name of ["connected", "disconnected", "stopped", "group-message", "server-message", "rejoin-group-failed"]) {
    events[name] = new Queue();
    client.on(name, (event) => events[name].push(event));
  }
  test.after(() => client.stop());
  await within(client.start(), "the client to start");
  const { connectionId, userId } = await events.connected.next("the connected event");
  return { client, events, connectionId, userId };
}

/** The error with which `promise` fails; failing to fail is an error. */
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "expected the call to fail" });
}
