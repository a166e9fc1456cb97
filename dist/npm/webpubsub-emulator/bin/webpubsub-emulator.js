#!/usr/bin/env node
// Finds the program for this machine and becomes as good as it: arguments, standard streams, signals and the exit code
// are passed on.

"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");

/** The platforms that have a package, by the end of its name. */
const PLATFORMS = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"];

/** One Ctrl+C arrives twice where npm passes it on besides the terminal. For the emulator a second one means: at once. */
const SAME_SIGNAL_MS = 200;

/** How often we look whether npm's shell still lives. */
const LEFT_BEHIND_MS = 500;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

function find() {
  const platform = `${process.platform}-${process.arch}`;
  if (!PLATFORMS.includes(platform)) {
    throw new Error(
      `there is no program for ${platform}, only for ${PLATFORMS.join(", ")}; ` +
        "`cargo install webpubsub-emulator` builds one",
    );
  }
  const file = process.platform === "win32" ? "webpubsub-emulator.exe" : "webpubsub-emulator";
  try {
    return require.resolve(`@webpubsub-emulator/${platform}/bin/${file}`);
  } catch {
    throw new Error(
      `the package @webpubsub-emulator/${platform} is not installed; install again, without --no-optional or ` +
        "--omit=optional, and on this machine if node_modules came from another",
    );
  }
}

function run(program) {
  // Listens before the program is there: it may be ready, and somebody may stop us, before `spawn` returns.
  let child;
  const last = new Map();
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const now = Date.now();
      const isSame = now - (last.get(signal) ?? -Infinity) < SAME_SIGNAL_MS;
      last.set(signal, now);
      // On Windows the console has told the program already.
      if (!isSame && process.platform !== "win32") {
        child.kill(signal);
      }
    });
  }
  // In a process group of its own the program gets no signal from the terminal, and each of ours exactly once.
  child = spawn(program, process.argv.slice(2), { stdio: "inherit", detached: process.platform !== "win32" });
  // npm passes SIGTERM to the shell that it starts us by, which ends and leaves us behind.
  if (process.env.npm_lifecycle_event !== undefined && process.platform !== "win32") {
    const shell = process.ppid;
    const look = setInterval(() => {
      if (process.ppid !== shell) {
        // Once: for the emulator a second signal means at once.
        clearInterval(look);
        child.kill("SIGTERM");
      }
    }, LEFT_BEHIND_MS);
  }
  child.on("error", fail);
  child.on("exit", (code, signal) => {
    // As shells report a program that was ended by a signal.
    process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0));
  });
}

function fail(error) {
  console.error(`webpubsub-emulator: ${error.message}`);
  process.exit(1);
}

try {
  run(find());
} catch (error) {
  fail(error);
}
