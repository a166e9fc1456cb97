// Plays every script with the official client and with ours, each against a service that follows the
// script, and compares frames, dials, results and events. Prints a line per difference that is not
// announced, and ends with a count.
//
//   node main.mjs DRIVER [NAME]        DRIVER: the program built from tests/interop/frames/driver
//
// With a part of a scenario's name, plays only those and prints all that happened.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { differences, judge } from "./compare.mjs";
import { Official } from "./official.mjs";
import { startOurs } from "./ours.mjs";
import { play } from "./script.mjs";
import { startService } from "./service.mjs";

const DATA = fileURLToPath(new URL("../../frames/", import.meta.url));
const README = fileURLToPath(new URL("../../../../crates/webpubsub-client/README.md", import.meta.url));
const PROTOCOLS = ["json", "reliable"];
const MINIMUM = 100;
const AT_ONCE = 48;

async function main([driver, only]) {
  if (driver === undefined) {
    throw new Error("usage: node main.mjs DRIVER [NAME]");
  }
  const scenarios = readScenarios();
  const chosen = scenarios.filter(({ name }) => only === undefined || name.includes(only));
  const runs = chosen.flatMap((scenario) =>
    (scenario.protocols ?? PROTOCOLS).map((protocol) => ({ scenario, protocol, id: `${scenario.name} on ${protocol}` })));
  const service = await startService();
  const ours = startOurs(driver);
  await playAll(runs, service, ours);
  const ended = await ours.end();

  const announced = readDifferences();
  const problems = [...unknown(announced, scenarios), ...undocumented(announced), ...(ended ? [] : ["our driver did not end well"])];
  let failed = problems.length;
  for (const { id, scenario, official, own } of runs) {
    if (only !== undefined) {
      console.log(JSON.stringify({ id, official, ours: own }, null, 2));
    }
    const lines = judge(differences(official, own), announced.lines(scenario.name, id));
    problems.push(...lines.map((line) => `${id}: ${line}`));
    failed += lines.length > 0 ? 1 : 0;
  }
  problems.forEach((line) => console.log(line));
  console.log(`${runs.length} runs, ${problems.length} differences that are not announced`);
  console.log(`${Math.max(runs.length - failed, 0)} passed, ${failed} failed`);
  return failed === 0;
}

function readScenarios() {
  const files = readdirSync(`${DATA}scenarios`).filter((file) => file.endsWith(".json"));
  const scenarios = files.flatMap((file) =>
    JSON.parse(readFileSync(`${DATA}scenarios/${file}`, "utf8"), expand).map((scenario) => ({ ...scenario, name: `${file.replace(".json", "")}/${scenario.name}` })));
  const names = new Set(scenarios.map(({ name }) => name));
  if (names.size !== scenarios.length) {
    throw new Error("two scenarios have the same name");
  }
  if (scenarios.length < MINIMUM) {
    throw new Error(`there are ${scenarios.length} scenarios, expected at least ${MINIMUM}`);
  }
  return scenarios;
}

/** `{ "repeat": "x", "times": 3 }` stands for a long text. */
function expand(_, value) {
  return typeof value?.repeat === "string" ? value.repeat.repeat(value.times) : value;
}

/** The announced differences: a reason, and what differs in which scenarios. */
function readDifferences() {
  const entries = JSON.parse(readFileSync(`${DATA}differences.json`, "utf8"));
  const cases = entries.flatMap((entry) => entry.cases);
  return {
    reasons: entries.map(({ reason }) => reason),
    names: cases.flatMap(({ scenarios }) => scenarios),
    lines: (name, id) => cases.filter(({ scenarios }) => scenarios.includes(name) || scenarios.includes(id)).flatMap(({ lines }) => lines),
  };
}

/** The reasons that users cannot read in the README of our client. */
function undocumented({ reasons }) {
  const words = (text) => text.replace(/\s+/g, " ");
  const [, documented = ""] = readFileSync(README, "utf8").split("## Coming from JavaScript");
  return reasons.filter((reason) => !words(documented).includes(words(reason))).map((reason) => `not in the README of webpubsub-client: ${reason}`);
}

function unknown({ names }, scenarios) {
  const known = new Set(scenarios.flatMap(({ name }) => [name, ...PROTOCOLS.map((protocol) => `${name} on ${protocol}`)]));
  return names.filter((name) => !known.has(name)).map((name) => `${name}: named in differences.json, but there is no such scenario`);
}

/** Plays many at once, since the official client waits for seconds here and there. */
async function playAll(runs, service, ours) {
  const tasks = runs.map((run, index) => ({
    run,
    ours: async () => {
      const hub = `ours-${index}`;
      const createClient = (...settings) => ours.client(hub, ...settings);
      run.own = await play(run.scenario, run.protocol, { side: "ours", hub, service, createClient });
    },
    official: async (crashed) => {
      const createClient = (settings, record, signal) => {
        crashed?.((error) => signal.break(`the process ended: ${error.name}`));
        return new Official(settings, record, signal);
      };
      run.official = await play(run.scenario, run.protocol, { side: "official", hub: `official-${index}`, service, createClient });
    },
  }));
  tasks.sort((one, other) => Number(other.run.scenario.slow ?? false) - Number(one.run.scenario.slow ?? false));
  const queue = tasks.flatMap(({ run, ours, official }) => (run.scenario.crashes ? [ours] : [ours, official]));
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await next();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const { official } of tasks.filter(({ run }) => run.scenario.crashes)) {
    await withCrash(official);
  }
}

/** Plays where an error that nobody catches, and which would end a process, is an outcome. */
async function withCrash(official) {
  let tell;
  const crash = (error) => tell(error);
  process.on("uncaughtException", crash);
  await official((told) => {
    tell = told;
  });
  process.off("uncaughtException", crash);
}

const isEqual = await main(process.argv.slice(2));
// The official client's timers outlive it.
process.exit(isEqual ? 0 : 1);
