// Compares what two clients did, line by line, with what may differ.

/** The differences of two runs as `part: -line` (only the official client) and `part: +line` (only ours). */
export function differences(official, ours) {
  const parts = new Set([...Object.keys(official), ...Object.keys(ours)]);
  return [...parts].flatMap((part) => changes(official[part] ?? [], ours[part] ?? []).map((change) => `${part}: ${change}`));
}

/** What is wrong with the differences of a scenario: those that nobody announced, and the announced that are not there. */
export function judge(found, announced) {
  const missing = [...announced];
  const surprises = found.filter((line) => {
    const at = missing.indexOf(line);
    if (at >= 0) {
      missing.splice(at, 1);
    }
    return at < 0;
  });
  return [...surprises, ...missing.map((line) => `no longer differs, remove it from differences.json: ${line}`)];
}

/** Removed and added lines, by the longest common subsequence. */
function changes(before, after) {
  const length = Array.from({ length: before.length + 1 }, () => new Array(after.length + 1).fill(0));
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      length[i][j] = before[i] === after[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      i += 1;
      j += 1;
    } else if (j === after.length || (i < before.length && length[i + 1][j] >= length[i][j + 1])) {
      lines.push(`-${before[i]}`);
      i += 1;
    } else {
      lines.push(`+${after[j]}`);
      j += 1;
    }
  }
  return lines;
}
