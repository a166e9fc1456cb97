// The pages of the examples in a real browser, against the built programs.
//
//   node run.mjs [--chat-bin PATH] [--emulator-bin PATH] [--notifications-bin PATH] [--artifacts FOLDER]
//
// The same by environment: CHAT_BIN, EMULATOR_BIN, NOTIFICATIONS_BIN, ARTIFACTS; CHROMIUM names the browser. Prints a
// line per check and `N passed, M failed`; the exit code is 1 when a check failed.

import { section, summary } from "./checks.mjs";
import { conversation } from "./conversation.mjs";
import { cuts } from "./cuts.mjs";
import { browser } from "./page.mjs";
import { handler } from "./handler.mjs";
import { notifications } from "./notifications.mjs";
import { terminal } from "./terminal.mjs";

try {
  await section("conversation", conversation);
  await section("cuts", cuts);
  await section("terminal", terminal);
  await section("handler", handler);
  await section("notifications", notifications);
} finally {
  await browser.close();
}
process.exit(summary() ? 0 : 1);
