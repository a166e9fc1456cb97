// What the command line and the environment say.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = new URL("../../../", import.meta.url);
const inRepository = (path) => fileURLToPath(new URL(path, root));

export const { values: options } = parseArgs({
  options: {
    "chat-bin": { type: "string", default: process.env.CHAT_BIN ?? inRepository("target/debug/chat") },
    "notifications-bin": { type: "string", default: process.env.NOTIFICATIONS_BIN ?? inRepository("target/debug/notifications") },
    "emulator-bin": { type: "string", default: process.env.EMULATOR_BIN ?? inRepository("target/debug/webpubsub-emulator") },
    artifacts: { type: "string", default: process.env.ARTIFACTS ?? inRepository("artifacts/browser") },
  },
});
await mkdir(options.artifacts, { recursive: true });
