// Runs checks and counts them.

const counts = { passed: 0, failed: 0 };

export async function check(name, run) {
  try {
    await run();
    counts.passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error?.stack ?? error).replaceAll("\n", "\n      ")}`);
  }
}

/** Runs checks that build on each other; what breaks between them fails as one more. */
export async function section(name, run) {
  try {
    await run();
  } catch (error) {
    await check(name, () => { throw error; });
  }
}

/** Prints the last line; true when every check passed. */
export function summary() {
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0;
}
