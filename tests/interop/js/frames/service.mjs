// The service's side of the scripts: a WebSocket server that does nothing on its own but answer
// pings. Each client has a seat, known by the hub in its URL, where its dials wait to be answered
// and everything that it sends is kept as it arrived.

import { createServer, STATUS_CODES } from "node:http";
import { once } from "node:events";
import { WebSocketServer } from "ws";

/** Longer than any client goes without a dial. */
const RECOVERY_MS = 40_000;

/** Starts a service on a free port of the loopback address. */
export async function startService() {
  const service = new Service();
  await service.listen();
  return service;
}

class Service {
  #server = createServer((_, response) => response.writeHead(404).end());
  #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered, request) => request.subprotocol ?? [...offered][0],
  });
  #seats = new Map();

  async listen() {
    this.#server.on("upgrade", (request, socket, head) => {
      const { pathname } = new URL(request.url, "ws://service");
      this.#seats.get(pathname.split("/").at(-1)).arrive(request, socket, head);
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.address = `127.0.0.1:${this.#server.address().port}`;
  }

  /** A seat; `signal` is notified of everything that happens at it. */
  seat(hub, signal, options) {
    const seat = new Seat(hub, signal, this.#sockets, options);
    this.#seats.set(hub, seat);
    return seat;
  }
}

class Seat {
  #hub;
  #signal;
  #sockets;
  #pongs;
  #waiting = [];
  #received = 0;

  /** What was answered, in order: `{ dial, refused }` or `{ dial, frames, pings, acks, closed }`. */
  dials = [];

  constructor(hub, signal, sockets, { pongs = true } = {}) {
    this.#hub = hub;
    this.#signal = signal;
    this.#sockets = sockets;
    this.#pongs = pongs;
  }

  /** The socket that was accepted last. */
  get current() {
    return this.dials.findLast(({ socket }) => socket !== undefined);
  }

  arrive(request, socket, head) {
    // A client that gives a dial up is not news.
    socket.on("error", () => {});
    this.#waiting.push({ request, socket, head });
    this.#signal.notify();
  }

  /** Answers the next dial with an open WebSocket. */
  async accept({ subprotocol } = {}) {
    const { request, socket, head, dial } = await this.#next();
    request.subprotocol = subprotocol;
    const isReliable = dial.includes("reliable");
    const accepted = { dial, isReliable, frames: [], pings: [], acks: [], closed: undefined };
    this.#sockets.handleUpgrade(request, socket, head, (opened) => {
      accepted.socket = opened;
      opened.on("message", (data, isBinary) => this.#keep(accepted, isBinary ? "(binary)" : data.toString("utf8")));
      opened.on("close", (code) => {
        accepted.closed = code;
        this.#signal.notify();
      });
      opened.on("error", () => {});
    });
    this.#received = 0;
    this.dials.push(accepted);
  }

  /** Answers the next dial with an HTTP status. */
  async refuse(status, headers = {}) {
    const { socket, dial } = await this.#next();
    const lines = Object.entries({ Connection: "close", "Content-Length": 0, ...headers }).map((entry) => entry.join(": "));
    socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, "", ""].join("\r\n"));
    this.dials.push({ dial, refused: status });
  }

  /** Answers recoveries with an HTTP status until there is another dial; what counts is that there were some. */
  async refuseRecoveries(status) {
    const isRecovery = ({ request }) => request.url.includes("awps_connection_id");
    const isOver = () => this.#waiting.length > 0 && !isRecovery(this.#waiting[0]);
    await this.refuse(status);
    const { length } = this.dials;
    while (!isOver()) {
      await this.#signal.until(() => this.#waiting.length > 0 || undefined, "dial", RECOVERY_MS);
      if (!isOver()) {
        await this.refuse(status);
      }
    }
    this.dials.splice(length);
  }

  /** Waits for `count` more frames, pings and sequence acks not counted. */
  async receive(count) {
    const { frames } = this.current;
    this.#received += count;
    await this.#signal.until(() => frames.length >= this.#received || undefined, `frame ${this.#received}`);
  }

  /** Waits until messages up to `id` are acknowledged, `times` times. */
  async acked(id, times = 1) {
    const { acks } = this.current;
    this.current.showsAcks = true;
    await this.#signal.until(() => acks.filter((acked) => acked >= id).length >= times || undefined, `sequence ack of ${id}`);
  }

  async pinged() {
    const { pings } = this.current;
    await this.#signal.until(() => pings.length > 0 || undefined, "ping");
  }

  /** Waits until the client has closed its socket, which is part of what is compared. */
  closed() {
    this.current.showsClose = true;
    return this.gone();
  }

  /** Waits until the socket is closed, however that happened. */
  async gone() {
    const { current } = this;
    await this.#signal.until(() => current.closed, "close");
  }

  serve(text) {
    this.current.socket.send(text);
  }

  close(code, reason) {
    this.current.socket.close(code, reason);
  }

  drop() {
    this.current.socket.terminate();
  }

  /** Ends everything; what a client does then is not part of a script. */
  leave() {
    this.#waiting.forEach(({ socket }) => socket.destroy());
    this.dials.forEach(({ socket }) => socket?.terminate());
  }

  async #next() {
    const next = await this.#signal.until(() => this.#waiting.shift(), "dial");
    const { url, headers } = next.request;
    const { pathname, searchParams } = new URL(url, "ws://service");
    // As a server reads it: there is more than one way to encode a query.
    const query = [...searchParams].map((parameter) => parameter.join("=")).join(" & ");
    return { ...next, dial: `${pathname.replace(this.#hub, "{hub}")} ? ${query} (${headers["sec-websocket-protocol"]})` };
  }

  #keep({ socket, frames, pings, acks }, text) {
    const { type, sequenceId } = parse(text);
    if (type === "ping") {
      pings.push(text);
      if (this.#pongs) {
        socket.send('{"type":"pong"}');
      }
    } else if (type === "sequenceAck") {
      acks.push(sequenceId);
    } else {
      frames.push(text);
    }
    this.#signal.notify();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
