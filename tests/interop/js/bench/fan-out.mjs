// A server by `ws` that sends what comes on `/sender` to everyone on `/member`: what most people write by hand.

import { once } from "node:events";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
const members = new Set();

server.on("connection", (socket, request) => {
  if (request.url === "/sender") {
    socket.on("message", (data, isBinary) => {
      for (const member of members) {
        member.send(data, { binary: isBinary });
      }
    });
    return;
  }
  members.add(socket);
  socket.on("close", () => members.delete(socket));
});

await once(server, "listening");
process.stdout.write(`127.0.0.1:${server.address().port}\n`);
process.stdin.resume();
await once(process.stdin, "end");
process.exit(0);
