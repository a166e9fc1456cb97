// Makes every call of the table with the official package and with ours, and compares what arrived
// at the recorder and what the caller got. Prints a line per difference and ends with a count.
//
//   node main.mjs DRIVER        DRIVER: the program built from tests/interop/wire/driver

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { accessKey, describeToken, sorted } from "./claims.mjs";
import { callOfficial } from "./official.mjs";
import { startRecorder } from "./recorder.mjs";

const TABLE = fileURLToPath(new URL("../../wire/calls.json", import.meta.url));
const DIFFERENCES = fileURLToPath(new URL("../../wire/differences.json", import.meta.url));
const MINIMUM_CALLS = 200;

async function main([driver]) {
  if (driver === undefined) {
    throw new Error("usage: node main.mjs DRIVER");
  }
  const calls = JSON.parse(readFileSync(TABLE, "utf8"));
  if (calls.length < MINIMUM_CALLS) {
    throw new Error(`the table has ${calls.length} calls, expected at least ${MINIMUM_CALLS}`);
  }
  const recorder = await startRecorder();
  const official = new Map();
  for (const call of calls) {
    const outcome = await callOfficial(call, recorder.address);
    official.set(call.id, { outcome, requests: recorder.take() });
  }
  const ours = await runDriver(driver, recorder.address);
  await recorder.close();

  const expected = JSON.parse(readFileSync(DIFFERENCES, "utf8"));
  const lines = calls.flatMap((call) =>
    compare(call, official.get(call.id), ours.get(call.id), expected.find(({ ids }) => ids.includes(call.id))));
  for (const id of expected.flatMap(({ ids }) => ids)) {
    if (!official.has(id)) {
      lines.push(`${id}: named in differences.json but not in the table`);
    }
  }
  lines.forEach((line) => console.log(line));
  console.log(`${calls.length} calls, ${lines.length} differences`);
  return lines.length === 0;
}

/** Runs our side: the driver prints one JSON line per call, `{ id, outcome, requests }`. */
async function runDriver(driver, address) {
  const child = spawn(driver, [TABLE, address], { stdio: ["ignore", "pipe", "inherit"] });
  const results = new Map();
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    const { id, ...result } = JSON.parse(line);
    results.set(id, result);
  });
  const [code, signal] = await once(child, "close");
  if (code !== 0) {
    throw new Error(`${driver} ended with ${signal ?? `exit code ${code}`}`);
  }
  return results;
}

/** The differences of one call as lines; a deliberate one must be there, and be as described. */
function compare(call, official, ours, deliberate) {
  if (ours === undefined) {
    return [`${call.id}: our driver made no such call`];
  }
  if (deliberate === undefined) {
    return differences(call, official, ours).map(({ part, line }) => `${call.id}: ${part}: ${line}`);
  }
  const refused = ours.outcome.refused && ours.requests.length === 0;
  const parts = refused ? ["refused"] : differences(call, official, ours).map(({ part }) => part);
  return JSON.stringify(parts) === JSON.stringify(deliberate.parts)
    ? []
    : [`${call.id}: expected to differ in ${deliberate.parts} (${deliberate.reason}), differs in ${parts}`];
}

function differences(call, official, ours) {
  if (official.outcome.refused) {
    return [{ part: "outcome", line: `the official package refused: ${official.outcome.why}` }];
  }
  const key = accessKey(call.client);
  const found = differ("outcome", describeOutcome(official.outcome, key), describeOutcome(ours.outcome, key));
  if (official.requests.length !== ours.requests.length) {
    found.push({ part: "requests", line: `official ${official.requests.length}, ours ${ours.requests.length}` });
  }
  for (const [index, request] of official.requests.slice(0, ours.requests.length).entries()) {
    const theirs = describeRequest(request, key);
    const own = describeRequest(ours.requests[index], key);
    for (const part of new Set([...Object.keys(theirs), ...Object.keys(own)])) {
      found.push(...differ(`request ${index + 1} ${part}`, theirs[part], own[part]));
    }
  }
  return found;
}

function differ(part, official, ours) {
  const [theirs, own] = [JSON.stringify(sorted(official)), JSON.stringify(sorted(ours))];
  return theirs === own ? [] : [{ part, line: `official ${theirs}, ours ${own}` }];
}

function describeRequest({ method, target, headers, body }, key) {
  const { authorization, accept, ...others } = headers;
  const described = { method, target, body, ...others };
  // No such header means the same as one that takes anything.
  if (accept !== undefined && accept !== "*/*") {
    described.accept = accept;
  }
  const [scheme, token] = (authorization ?? "").split(" ");
  described.authorization = authorization === undefined ? null : { scheme, ...describeToken(token, key) };
  return described;
}

function describeOutcome(outcome, key) {
  const { value } = outcome;
  if (typeof value?.token !== "string") {
    return outcome;
  }
  const { token, baseUrl, url } = value;
  return { baseUrl, url: url.replace(token, "{token}"), token: describeToken(token, key) };
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
