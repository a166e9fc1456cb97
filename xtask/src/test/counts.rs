//! How many tests a runner ran, read from the lines with which it closes.

use std::ops::AddAssign;

/// Tests by what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that ran and held.
    pub(crate) passed: u32,
    /// Tests that ran and did not.
    pub(crate) failed: u32,
    /// Tests that were there and did not run.
    pub(crate) skipped: u32,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, one for each program that ran.
pub(crate) fn cargo_test(output: &str) -> Counts {
    let mut sum = Counts::default();
    for line in output
        .lines()
        .filter(|line| line.starts_with("test result:"))
    {
        sum += Counts {
            passed: before(line, "passed"),
            failed: before(line, "failed"),
            skipped: before(line, "ignored"),
        };
    }
    sum
}

/// `Summary [ 1.2s] 10 tests run: 8 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
pub(crate) fn nextest(output: &str) -> Counts {
    let line = last(output, |line| line.trim_start().starts_with("Summary ["));
    Counts {
        passed: before(line, "passed"),
        failed: before(line, "failed") + before(line, "timed") + before(line, "exec"),
        skipped: before(line, "skipped"),
    }
}

/// The lines `pass 3`, `fail 0`, `cancelled 0`, `skipped 0`, `todo 0`, each after a mark.
pub(crate) fn node(output: &str) -> Counts {
    let after = |word: &str| {
        let line = last(output, |line| {
            let mut words = line.split_whitespace();
            matches!(words.next(), Some("#" | "ℹ")) && words.next() == Some(word)
        });
        line.split_whitespace()
            .nth(2)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    };
    Counts {
        passed: after("pass"),
        failed: after("fail") + after("cancelled"),
        skipped: after("skipped") + after("todo"),
    }
}

/// `=== 1 failed, 12 passed, 2 skipped, 1 error in 3.21s ===`, with or without the rulers.
pub(crate) fn pytest(output: &str) -> Counts {
    let line = last(output, |line| {
        line.contains(" in ")
            && ["passed", "failed", "error"]
                .iter()
                .any(|word| line.contains(word))
    });
    Counts {
        passed: before(line, "passed"),
        failed: before(line, "failed") + before(line, "error") + before(line, "errors"),
        skipped: before(line, "skipped") + before(line, "xfailed"),
    }
}

/// `3 passed, 0 failed`, the line with which our own scripts close.
pub(crate) fn script(output: &str) -> Counts {
    let line = last(output, |line| {
        line.contains(" passed, ") && line.contains(" failed")
    });
    Counts {
        passed: before(line, "passed"),
        failed: before(line, "failed"),
        skipped: before(line, "skipped"),
    }
}

/// `852 calls, 0 differences`: a difference is a failure.
pub(crate) fn wire(output: &str) -> Counts {
    let line = last(output, |line| line.contains(" calls, "));
    let differences = before(line, "differences");
    Counts {
        passed: before(line, "calls").saturating_sub(differences),
        failed: differences,
        skipped: 0,
    }
}

fn last(output: &str, matches: impl Fn(&str) -> bool) -> &str {
    output
        .lines()
        .rfind(|line| matches(line))
        .unwrap_or_default()
}

/// The number in front of `word`, 0 when there is none.
fn before(line: &str, word: &str) -> u32 {
    let words: Vec<_> = line
        .split(|c: char| !c.is_alphanumeric() && c != '.')
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u32, failed: u32, skipped: u32) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn reads_cargo_test() {
        let output = "running 4 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            noise\n\
            test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(cargo_test(output), counts(8, 2, 1));
        assert_eq!(cargo_test("error: could not compile"), counts(0, 0, 0));
    }

    #[test]
    fn reads_nextest() {
        let output = "        PASS [   0.005s] xtask tests::one\n     \
            Summary [   1.204s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(nextest(output), counts(9, 3, 3));
        assert_eq!(
            nextest("     Summary [   0.1s] 1 test run: 1 passed, 0 skipped"),
            counts(1, 0, 0)
        );
    }

    #[test]
    fn reads_node_in_either_reporter() {
        let spec = "ℹ tests 12\nℹ suites 2\nℹ pass 9\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 5\n";
        assert_eq!(node(spec), counts(9, 2, 1));
        assert_eq!(
            node("# pass 3\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n"),
            counts(3, 0, 0)
        );
        assert_eq!(node("Error: Cannot find module"), counts(0, 0, 0));
    }

    #[test]
    fn reads_pytest() {
        let output = "tests passed in theory\n===== 1 failed, 12 passed, 2 skipped, 1 error in 3.21s =====\n";
        assert_eq!(pytest(output), counts(12, 2, 2));
        assert_eq!(pytest("30 passed in 1.05s"), counts(30, 0, 0));
        assert_eq!(pytest("no tests ran in 0.00s"), counts(0, 0, 0));
    }

    #[test]
    fn reads_scripts_and_the_wire() {
        assert_eq!(script("ok one\n14 passed, 1 failed\n"), counts(14, 1, 0));
        assert_eq!(
            wire("a: method: official 1, ours 2\n852 calls, 2 differences\n"),
            counts(850, 2, 0)
        );
        assert_eq!(wire("TypeError"), counts(0, 0, 0));
    }
}
