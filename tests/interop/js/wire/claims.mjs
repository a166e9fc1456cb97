// Makes tokens comparable: what they say, for how long they say it, and whether the key signed them.

import { createHmac } from "node:crypto";

/** Far more than the time between making a call and looking at its token. */
const FRESH_SECONDS = 120;

/** Describes a token without the moments that differ from run to run. */
export function describeToken(token, key) {
  const parts = token.split(".");
  if (parts.length !== 3) {
    return { opaque: token };
  }
  const [header, payload] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  const { iat, exp, ...claims } = payload;
  const signature = createHmac("sha256", key ?? "").update(`${parts[0]}.${parts[1]}`).digest("base64url");
  return {
    header: sorted(header),
    claims: sorted(claims),
    lifetime: exp - iat,
    fresh: Math.abs(Date.now() / 1000 - iat) < FRESH_SECONDS,
    signed: signature === parts[2],
  };
}

/** The access key that a client of the table signs with, if it has one. */
export function accessKey(client) {
  return client.key ?? /accesskey=([^;]*)/i.exec(client.value ?? "")?.[1];
}

/** A copy with members in one order, so that equal objects have equal JSON. */
export function sorted(value) {
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
  }
  return value;
}
