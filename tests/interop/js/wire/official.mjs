// Makes one call of the table with the official package and reports what came of it.

import { Readable } from "node:stream";
import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
import { AzureKeyCredential, WebPubSubServiceClient } from "@azure/web-pubsub";

/** The token of the fake Entra credential; the driver of the Rust SDK uses the same. */
const ENTRA_TOKEN = "entra-token";

/** Makes `call` against the recorder at `address` and returns its outcome as plain data. */
export async function callOfficial(call, address) {
  try {
    const client = connect(call.client, address);
    return { value: plain(await METHODS[call.method](client, call.args)) };
  } catch (error) {
    if (error.name === "RestError" && error.statusCode !== undefined) {
      return { status: error.statusCode };
    }
    return { refused: true, why: error.message };
  }
}

function connect(client, address) {
  const fill = (template) => {
    const [host, port] = address.split(":");
    return template
      .replace("{recorder}", address)
      .replace("{recorder-host}", host)
      .replace("{recorder-port}", port);
  };
  const options = {
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
    httpClient: recordedHttpClient(address),
  };
  if (client.reverseProxy !== undefined) {
    options.reverseProxyEndpoint = fill(client.reverseProxy);
  }
  switch (client.credential) {
    case "connectionString":
      return new WebPubSubServiceClient(fill(client.value), client.hub, options);
    case "key":
      return new WebPubSubServiceClient(fill(client.endpoint), new AzureKeyCredential(client.key), client.hub, options);
    case "entra": {
      const credential = {
        getToken: async () => ({ token: ENTRA_TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 }),
      };
      return new WebPubSubServiceClient(fill(client.endpoint), credential, client.hub, options);
    }
    default:
      throw new Error(`unknown credential ${client.credential}`);
  }
}

/** The recorder speaks plain HTTP: a request for https goes to it with the host it was meant for. */
function recordedHttpClient(address) {
  const inner = createDefaultHttpClient();
  return {
    sendRequest(request) {
      const [, host, rest] = /^https:\/\/([^/]*)(.*)$/.exec(request.url) ?? [];
      if (host !== undefined) {
        request.url = `http://${address}${rest}`;
        request.headers.set("X-Original-Host", host);
      }
      return inner.sendRequest(request);
    },
  };
}

/** The package resolves to `undefined`, or to an object of undefined members, where there is nothing to say. */
function plain(value) {
  const text = JSON.stringify(value);
  return text === undefined || text === "{}" ? null : value;
}

const METHODS = {
  sendToAll: (client, args) => client.sendToAll(...message(args)),
  sendToUser: (client, args) => client.sendToUser(args.user, ...message(args)),
  sendToConnection: (client, args) => client.sendToConnection(args.connection, ...message(args)),
  "group.sendToAll": (client, args) => client.group(args.group).sendToAll(...message(args)),

  connectionExists: (client, args) => client.connectionExists(args.connection),
  userExists: (client, args) => client.userExists(args.user),
  groupExists: (client, args) => client.groupExists(args.group),

  closeConnection: (client, args) => client.closeConnection(args.connection, closing(args)),
  closeAllConnections: (client, args) => client.closeAllConnections(closing(args)),
  closeUserConnections: (client, args) => client.closeUserConnections(args.user, closing(args)),
  "group.closeAllConnections": (client, args) => client.group(args.group).closeAllConnections(closing(args)),

  "group.addConnection": (client, args) => client.group(args.group).addConnection(args.connection),
  "group.removeConnection": (client, args) => client.group(args.group).removeConnection(args.connection),
  "group.addUser": (client, args) => client.group(args.group).addUser(args.user),
  "group.removeUser": (client, args) => client.group(args.group).removeUser(args.user),
  removeUserFromAllGroups: (client, args) => client.removeUserFromAllGroups(args.user),
  removeConnectionFromAllGroups: (client, args) => client.removeConnectionFromAllGroups(args.connection),
  addConnectionsToGroups: (client, args) => client.addConnectionsToGroups(args.groups, args.filter),
  removeConnectionsFromGroups: (client, args) => client.removeConnectionsFromGroups(args.groups, args.filter),

  grantPermission: (client, args) => client.grantPermission(args.connection, args.permission, { targetName: args.target }),
  revokePermission: (client, args) => client.revokePermission(args.connection, args.permission, { targetName: args.target }),
  hasPermission: (client, args) => client.hasPermission(args.connection, args.permission, { targetName: args.target }),

  "group.listConnections": async (client, args) => {
    const list = await client.group(args.group).listConnections(given({
      maxPageSize: args.pageSize,
      top: args.top,
      continuationToken: args.continuation,
    }));
    const found = [];
    if (args.byPage) {
      for await (const page of list.byPage()) {
        found.push(page.map(member));
      }
    } else {
      for await (const item of list) {
        found.push(member(item));
      }
    }
    return found;
  },

  clientAccessToken: (client, args) =>
    client.getClientAccessToken(given({
      userId: args.user,
      roles: args.roles,
      groups: args.groups,
      expirationTimeInMinutes: args.minutes,
      clientProtocol: args.protocol,
    })),
};

const member = ({ connectionId, userId }) => ({ connectionId, userId: userId ?? null });

const closing = ({ reason, excluded }) => given({ reason, excluded });

/** Options as a caller writes them: the package tells one that is absent from one that is `undefined`. */
function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function message({ body, excluded, filter, ttl, metadata = {} }) {
  const options = given({ excludedConnections: excluded, filter, messageTtlSeconds: ttl });
  const headers = {};
  for (const [key, value] of Object.entries(metadata)) {
    headers[`X-WebPubSub-Metadata-${key}`] = value;
  }
  const bytes = (value) => Buffer.from(value, "base64");
  switch (body.kind) {
    case "text":
      return [body.value, { ...options, contentType: "text/plain", requestOptions: { customHeaders: headers } }];
    case "json":
      return [JSON.parse(body.value), { ...options, requestOptions: { customHeaders: headers } }];
    case "binary":
      return [new Uint8Array(bytes(body.value)), { ...options, requestOptions: { customHeaders: headers } }];
    case "stream": {
      // The package sends a stream in chunks unless told its length, and the service refuses chunks.
      const parts = body.value.map(bytes);
      headers["Content-Length"] = String(Buffer.concat(parts).length);
      return [() => Readable.from(parts), { ...options, requestOptions: { customHeaders: headers } }];
    }
    default:
      throw new Error(`unknown body ${body.kind}`);
  }
}
