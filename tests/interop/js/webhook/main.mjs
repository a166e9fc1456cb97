// Sends the same requests to the official event handler under express and to ours, and compares status,
// headers, body, and what the handlers saw. Every difference must belong to an improvement that the list
// of our crate names, and every improvement must show.
//
//   node main.mjs DRIVER [NAME]        DRIVER: the program built from tests/interop/webhook/driver
//
// With a part of a case's name, sends only those and prints all that came back.

import { readFileSync } from "node:fs";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import { cases, ELSEWHERE, STATUS } from "./cases.mjs";
import { startOfficial } from "./official.mjs";
import { startOurs } from "./ours.mjs";

const LIST = fileURLToPath(new URL("../../../../crates/webpubsub-axum/IMPROVEMENTS.md", import.meta.url));
const MINIMUM = 300;
/** Not the handler's, but of the server around it. */
const IGNORED = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding", "x-powered-by"]);

async function main([driver, only]) {
  if (driver === undefined) {
    throw new Error("usage: node main.mjs DRIVER [NAME]");
  }
  const all = cases();
  if (all.length < MINIMUM) {
    throw new Error(`there are ${all.length} cases, expected at least ${MINIMUM}`);
  }
  const chosen = all.filter(({ name }) => only === undefined || name.includes(only));
  const [official, ours] = [await startOfficial(), await startOurs(driver)];
  const answers = [];
  for (const one of chosen) {
    answers.push([await send(official.port, one), await send(ours.port, one)]);
  }
  const [seenByOfficial, seenByOurs] = [await official.end(), await ours.end()];

  const listed = improvements();
  const shown = new Set();
  const problems = [];
  let failed = 0;
  chosen.forEach((one, index) => {
    const [expected, found] = answers[index];
    const saw = [seenByOfficial.get(one.id) ?? [], seenByOurs.get(one.id) ?? []];
    if (one.improvement !== "context-subprotocol") {
      saw[1] = saw[1].map(({ context: { subprotocol, ...context }, ...rest }) => ({ context, ...rest }));
    }
    const lines = [...compareAnswers(expected, found), ...compareSeen(...saw)];
    if (only !== undefined) {
      console.log(JSON.stringify({ name: one.name, official: { ...expected, saw: saw[0] }, ours: { ...found, saw: saw[1] } }, null, 2));
    }
    const wrong = judge(one, found.status, lines, listed, shown);
    problems.push(...wrong.map((line) => `${one.name}: ${line}`));
    failed += wrong.length > 0 ? 1 : 0;
  });
  if (only === undefined) {
    for (const id of [...listed].filter((id) => !shown.has(id))) {
      problems.push(`the improvement \`${id}\` is listed, but no case shows it`);
      failed += 1;
    }
  }
  problems.forEach((line) => console.log(line));
  console.log(`${chosen.length} requests, ${problems.length} differences that are not listed`);
  console.log(`${Math.max(chosen.length - failed, 0)} passed, ${failed} failed`);
  return failed === 0;
}

function judge({ improvement }, status, lines, listed, shown) {
  if (improvement === undefined) {
    return lines;
  }
  if (!listed.has(improvement)) {
    return [`the improvement \`${improvement}\` is not listed`];
  }
  if (lines.length === 0) {
    return [`no difference, although it should show \`${improvement}\``];
  }
  shown.add(improvement);
  const better = STATUS[improvement];
  return better === undefined || better === status ? [] : [`\`${improvement}\` answers ${status}, not ${better}`];
}

/** The ids in the list, but for those that one request cannot show. */
function improvements() {
  const ids = [...readFileSync(LIST, "utf8").matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, id]) => id);
  return new Set(ids.filter((id) => !ELSEWHERE.includes(id)));
}

function compareAnswers(official, ours) {
  const lines = [];
  const compare = (what, a, b) => {
    if (!isDeepStrictEqual(a, b)) {
      lines.push(`${what}: official ${brief(a)}, ours ${brief(b)}`);
    }
  };
  compare("status", official.status, ours.status);
  for (const name of new Set([...Object.keys(official.headers), ...Object.keys(ours.headers)])) {
    compare(`header ${name}`, official.headers[name], ours.headers[name]);
  }
  compare("body", official.body, ours.body);
  return lines;
}

function compareSeen(official, ours) {
  return isDeepStrictEqual(official, ours) ? [] : [`the handler saw: official ${brief(official)}, ours ${brief(ours)}`];
}

function brief(value) {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function send(port, { name, method, path, headers, body }) {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(body);
    const length = bytes.length > 0 || method === "POST" ? [["Content-Length", String(bytes.length)]] : [];
    const list = [["Host", `127.0.0.1:${port}`], ...headers, ...length, ["Connection", "close"]].flat();
    const request = http.request({ host: "127.0.0.1", port, method, path, headers: list, agent: false }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, headers: collect(response.rawHeaders), body: Buffer.concat(chunks).toString("latin1") }));
    });
    // A server may answer and close before it read a large body.
    let answered = false;
    request.on("response", () => { answered = true; });
    request.on("error", (error) => (answered ? undefined : reject(new Error(`${name}: ${error.message}`))));
    request.end(bytes);
  });
}

function collect(raw) {
  const headers = {};
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index].toLowerCase();
    if (!IGNORED.has(name)) {
      (headers[name] ??= []).push(raw[index + 1]);
    }
  }
  return headers;
}

// The official package complains about every state that it cannot read.
console.warn = () => {};
process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
