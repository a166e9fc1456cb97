// The protobuf subprotocols with protobufjs over `spec/webpubsub.proto`: nothing of ours encodes or
// decodes here.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";

import { RawClient } from "./support.mjs";

const root = new protobuf.Root().loadSync(fileURLToPath(new URL("../../../spec/webpubsub.proto", import.meta.url)), {
  keepCase: true,
});
root.resolveAll();

export const Upstream = root.lookupType("azure.webpubsub.UpstreamMessage");
export const Downstream = root.lookupType("azure.webpubsub.DownstreamMessage");
export const Any = root.lookupType("google.protobuf.Any");

/** Both variants, for tests that hold on each. */
export const VARIANTS = [
  { subprotocol: "protobuf.webpubsub.azure.v1", reliable: false },
  { subprotocol: "protobuf.reliable.webpubsub.azure.v1", reliable: true },
];

/** A client whose frames are what protobufjs makes of plain objects. */
export class ProtobufClient {
  #raw;

  /** Connects and reads the `connected` frame. */
  static async connect(test, service, { subprotocol, ...token }) {
    const { url } = await service.getClientAccessToken(token);
    return ProtobufClient.open(test, url, subprotocol);
  }

  /** As `connect`, to a URL that is ready. */
  static async open(test, url, subprotocol) {
    const client = new ProtobufClient(await RawClient.open(test, url, subprotocol), url);
    const { system_message: system } = await client.next();
    client.connected = system.connected_message;
    client.id = client.connected.connection_id;
    return client;
  }

  constructor(raw, url) {
    this.#raw = raw;
    this.url = url;
  }

  /** The next frame: members that were not sent are not there, 64-bit numbers are text. */
  async next() {
    const frame = await this.#raw.next();
    assert.ok(Buffer.isBuffer(frame), `a text frame: ${frame}`);
    return Downstream.toObject(Downstream.decode(frame), { longs: String });
  }

  /** The next frame, which is a message, without its sequence id. */
  async message() {
    const { data_message: message, ...other } = await this.next();
    assert.ok(message, `no message: ${JSON.stringify(other)}`);
    const { sequence_id: sequenceId, ...rest } = message;
    this.sequenceId = sequenceId;
    return rest;
  }

  send(frame) {
    this.sendBytes(Upstream.encode(Upstream.fromObject(frame)).finish());
  }

  sendBytes(bytes) {
    this.#raw.socket.send(bytes);
  }

  /** Sends a frame and reads the next one, which must be its ack. */
  async request(frame) {
    this.send(frame);
    const { ack_message: ack, ...other } = await this.next();
    assert.ok(ack, `no ack: ${JSON.stringify(other)}`);
    const [{ ack_id: asked }] = Object.values(frame);
    // Without presence, 0 is what was not sent.
    assert.equal(ack.ack_id ?? "0", String(asked));
    return ack;
  }

  /** Takes the socket away without a close frame. */
  async cut() {
    this.#raw.socket.terminate();
    await this.#raw.close();
  }

  close() {
    return this.#raw.close();
  }
}

/** The URL with which a lost reliable client comes back. */
export function recoveryUrl({ url, id, connected }) {
  const recovery = new URL(url);
  recovery.searchParams.set("awps_connection_id", id);
  recovery.searchParams.set("awps_reconnection_token", connected.reconnection_token);
  return recovery.href;
}
