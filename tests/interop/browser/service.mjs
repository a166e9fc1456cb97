// The service's REST API, as far as the checks need it.

import { createHmac } from "node:crypto";

const HUB = "/api/hubs/chat";

/** Calls `path` below the chat's hub with a token for exactly that URL. */
export async function rest(connectionString, method, path, text) {
  const { Endpoint: endpoint, AccessKey: key } = Object.fromEntries(
    connectionString.split(";").filter(Boolean).map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
  );
  const url = new URL(HUB + path, endpoint);
  url.searchParams.set("api-version", "2024-12-01");
  const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = `${base64({ alg: "HS256", typ: "JWT" })}.${base64({ aud: url.href, exp: Math.floor(Date.now() / 1000) + 60 })}`;
  const signature = createHmac("sha256", key).update(claims).digest("base64url");
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${claims}.${signature}`, ...(text === undefined ? {} : { "content-type": "text/plain" }) },
    body: text,
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}
