// An HTTP server that keeps every request as it arrived and answers just enough for either SDK to
// go on. Requests belong to the call announced last, so calls are made one after the other.

import { createServer } from "node:http";
import { once } from "node:events";

/** Starts a recorder on a free port of the loopback address. */
export async function startRecorder() {
  const recorder = new Recorder();
  await recorder.listen();
  return recorder;
}

class Recorder {
  #server = createServer((request, response) => this.#handle(request, response));
  #requests = [];

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.address = `127.0.0.1:${this.port}`;
  }

  /** Hands over the requests since the last time, and forgets them. */
  take() {
    return this.#requests.splice(0);
  }

  async close() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #handle(request, response) {
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    // The driver of another process fetches and clears its recordings over HTTP.
    if (request.method === "POST" && request.url === "/-/take") {
      response.end(JSON.stringify(this.take()));
      return;
    }
    this.#requests.push({
      method: request.method,
      target: request.url,
      headers: pick(request),
      body: Buffer.concat(chunks).toString("base64"),
    });
    this.#answer(request, response);
  }

  #answer(request, response) {
    const path = request.url.split("?")[0];
    const send = (status, body, headers = {}) => {
      const content = body === undefined ? "" : JSON.stringify(body);
      const type = body === undefined ? {} : { "Content-Type": "application/json; charset=utf-8" };
      response.writeHead(status, { "Content-Length": Buffer.byteLength(content), ...type, ...headers });
      response.end(request.method === "HEAD" ? undefined : content);
    };
    const absent = path.split("/").includes("absent");
    if (absent && request.method === "HEAD") {
      send(404, undefined, { "x-ms-error-code": "Warning.Connection.NotExisted" });
    } else if (absent) {
      const code = "Error.Connection.NotExisted";
      send(404, { code, message: "Connection `absent` is not found.", target: "Connection", details: null, innererror: null }, { "x-ms-error-code": code });
    } else if (path.endsWith("/:send")) {
      send(202);
    } else if (path.endsWith("/:closeConnections") || request.method === "DELETE") {
      send(204);
    } else if (path.endsWith("/:generateToken")) {
      send(200, { token: "token-of-the-service" });
    } else if (request.method === "GET") {
      send(200, this.#page(request));
    } else {
      send(200);
    }
  }

  /** Groups whose name begins with `paged` have three pages, linked the way the service does it. */
  #page(request) {
    const [path, query = ""] = request.url.split("?");
    const original = request.headers["x-original-host"];
    const origin = original === undefined ? `http://${this.address}` : `https://${original}`;
    const parameters = new URLSearchParams(query);
    const page = /^page\/(\d)\+=$/.exec(parameters.get("continuationToken") ?? "")?.[1] ?? "1";
    const value = [
      { connectionId: `${page}-a`, userId: `user ${page}` },
      { connectionId: `${page}-b`, userId: null },
    ];
    if (!/\/groups\/paged/.test(path) || page === "3") {
      return { value, nextLink: null };
    }
    const next = encodeURIComponent(`page/${Number(page) + 1}+=`);
    const size = parameters.get("maxpagesize") ?? "2";
    return {
      value,
      nextLink: `${origin}${path}?api-version=2024-12-01&maxpagesize=${size}&continuationToken=${next}`,
    };
  }
}

/** What must be equal: the headers that the service acts on. */
function pick(request) {
  const names = ["accept", "authorization", "content-type", "content-length", "transfer-encoding"];
  const kept = { host: request.headers["x-original-host"] ?? request.headers.host };
  for (const [name, value] of Object.entries(request.headers)) {
    if (names.includes(name) || name.startsWith("x-webpubsub-metadata-")) {
      kept[name] = value;
    }
  }
  return kept;
}
