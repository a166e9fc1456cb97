//! What ran, what came of it, and what did not run and why.

use std::fmt::{self, Write as _};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::counts::Counts;
use super::process::{self, Finished};

/// What a suite came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran, and these are its tests.
    Ran(Counts),
    /// It could not run here; the text says what is missing and what to do.
    Skipped(String),
}

impl Outcome {
    /// That many checks, all of which held.
    pub(crate) fn passed(checks: usize) -> Self {
        Self::checked(checks, 0)
    }

    /// So many checks that held, and so many that did not.
    pub(crate) fn checked(passed: usize, failed: usize) -> Self {
        let count = |checks| u32::try_from(checks).unwrap_or(u32::MAX);
        Self::Ran(Counts {
            passed: count(passed),
            failed: count(failed),
            ..Counts::default()
        })
    }

    /// The outcome of a runner that closed with `counts`.
    ///
    /// A runner that fails without a failed test (it could not compile, it crashed) counts as one
    /// failure, and so does one that ran nothing: silence proves nothing.
    pub(crate) fn of(finished: &Finished, counts: Counts) -> Self {
        Self::judged(finished.status, counts)
    }

    /// The outcome of a check that has no tests to count.
    pub(crate) fn of_check(finished: &Finished) -> Self {
        let passed = u32::from(finished.status.success());
        Self::judged(
            finished.status,
            Counts {
                passed,
                ..Counts::default()
            },
        )
    }

    fn judged(status: ExitStatus, mut counts: Counts) -> Self {
        if counts.failed == 0 && !status.success() {
            process::say(&format!("the runner failed: {status}"));
            counts.failed = 1;
        } else if counts == Counts::default() {
            process::say("no test ran");
            counts.failed = 1;
        }
        Self::Ran(counts)
    }
}

/// Something failed and the summary says so: nothing may be printed after its closing line, which
/// CI reads.
#[derive(Debug)]
pub(crate) struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a suite failed")
    }
}

impl std::error::Error for Reported {}

/// Something that this machine lacks. A suite that meets it is skipped.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl Missing {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// The suites of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    suites: Vec<Suite>,
    /// The names of what is run; of everything when there are none.
    only: Vec<String>,
}

#[derive(Debug)]
struct Suite {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

impl Report {
    /// A report of the suites with these names, or of all without any.
    pub(crate) fn only(names: &[String]) -> Self {
        Self {
            only: names.to_vec(),
            ..Self::default()
        }
    }

    /// Runs a suite under a heading. An error of the suite is a failure like any other, so that the
    /// suites after it run too; only [`Missing`] is a skip.
    pub(crate) fn run(&mut self, name: &'static str, suite: impl FnOnce() -> Result<Outcome>) {
        if !self.only.is_empty() && self.only.iter().all(|only| only != name) {
            return;
        }
        println!("\n== {name}");
        self.suites.push(timed(name, suite));
    }

    /// Runs suites that do not disturb each other side by side, as many at a time as this machine has processors. Each
    /// shows its output when it has ended.
    pub(crate) fn run_side_by_side<S>(
        &mut self,
        suites: impl IntoIterator<Item = (&'static str, S)>,
    ) where
        S: FnOnce() -> Result<Outcome> + Send,
    {
        let mut suites: Vec<_> = suites.into_iter().enumerate().collect();
        suites.reverse();
        let waiting = Mutex::new(suites);
        let done = Mutex::new(Vec::new());
        let work = || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some((index, (name, suite))) = next else {
                    break;
                };
                let (suite, output) = process::held_back(|| timed(name, suite));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                println!("\n== {name}\n{}", output.trim_end());
                done.push((index, suite));
            }
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..processors {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        self.suites.extend(done.into_iter().map(|(_, suite)| suite));
    }

    /// Appends the suites of another run.
    pub(crate) fn extend(&mut self, other: Self) {
        self.suites.extend(other.suites);
    }

    /// Prints the summary.
    ///
    /// # Errors
    ///
    /// [`Reported`] when something failed.
    pub(crate) fn finish(&self) -> Result<()> {
        println!("\n{}", self.summary().trim_end());
        if self.is_success() {
            Ok(())
        } else {
            Err(Reported.into())
        }
    }

    /// Nothing failed, and what was asked for by name was there.
    fn is_success(&self) -> bool {
        self.total().failed == 0 && (self.only.is_empty() || !self.suites.is_empty())
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        for suite in &self.suites {
            if let Outcome::Ran(counts) = suite.outcome {
                total += counts;
            }
        }
        total
    }

    /// The table, then what was skipped, then the closing line that test runners have.
    fn summary(&self) -> String {
        let mut text = String::new();
        let width = self
            .suites
            .iter()
            .map(|suite| suite.name.len())
            .max()
            .unwrap_or(0)
            .max(5);
        let mut line = |line: fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("writing to a String does not fail");
        };
        line(format_args!("{:width$}  passed  failed    time", "suite"));
        for Suite {
            name,
            outcome,
            time,
        } in &self.suites
        {
            let time = show_time(*time);
            match outcome {
                Outcome::Ran(Counts { passed, failed, .. }) => {
                    line(format_args!(
                        "{name:width$}  {passed:>6}  {failed:>6}  {time:>6}"
                    ));
                }
                Outcome::Skipped(_) => {
                    line(format_args!("{name:width$}         skipped  {time:>6}"))
                }
            }
        }
        let skips = self.skips();
        line(format_args!("\nskipped: {}", skips.len()));
        for skip in &skips {
            line(format_args!("  {skip}"));
        }
        let Counts { passed, failed, .. } = self.total();
        line(format_args!("{passed} passed, {failed} failed"));
        text
    }

    fn skips(&self) -> Vec<String> {
        self.suites
            .iter()
            .filter_map(|Suite { name, outcome, .. }| match outcome {
                Outcome::Skipped(why) => Some(format!("{name}: {why}")),
                Outcome::Ran(Counts { skipped: 0, .. }) => None,
                Outcome::Ran(Counts { skipped, .. }) => Some(format!(
                    "{name}: {skipped} tests are switched off in their files"
                )),
            })
            .collect()
    }
}

/// An error of the suite is a failure like any other, unless something is [`Missing`].
fn timed(name: &'static str, suite: impl FnOnce() -> Result<Outcome>) -> Suite {
    let start = Instant::now();
    let outcome = suite().unwrap_or_else(|error| match error.downcast::<Missing>() {
        Ok(missing) => {
            process::say(&format!("skipped: {missing}"));
            Outcome::Skipped(missing.to_string())
        }
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            Outcome::checked(0, 1)
        }
    });
    Suite {
        name,
        outcome,
        time: start.elapsed(),
    }
}

fn show_time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1}s")
    } else {
        format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::test::process;
    use std::process::Command;

    fn ran(passed: u32, failed: u32, skipped: u32) -> Result<Outcome> {
        Ok(Outcome::Ran(Counts {
            passed,
            failed,
            skipped,
        }))
    }

    #[test]
    fn only_what_is_named_runs_and_a_name_that_is_none_is_a_failure() {
        let mut report = Report::only(&["unit".to_owned()]);
        report.run("wire", || ran(0, 1, 0));
        assert!(!report.is_success(), "nothing of that name has run yet");
        report.run("unit", || ran(1, 0, 0));
        assert!(report.is_success());
    }

    #[test]
    fn what_is_missing_is_a_skip_and_any_other_error_is_a_failure() {
        let mut report = Report::default();
        report.run("js", || Err(Missing::new("no Node.js; install it").into()));
        assert!(report.is_success());
        assert_eq!(report.skips(), ["js: no Node.js; install it"]);
        report.run("npm", || bail!("npm ci failed"));
        assert!(!report.is_success());
    }

    #[test]
    fn closes_with_what_was_skipped_and_the_sum() {
        let mut report = Report::default();
        report.run("unit", || ran(10, 0, 0));
        report.run("wire", || ran(800, 0, 0));
        assert!(report.is_success());
        assert!(
            report
                .summary()
                .ends_with("\nskipped: 0\n810 passed, 0 failed\n"),
            "{}",
            report.summary()
        );
    }

    #[test]
    fn names_what_was_skipped_and_why() {
        let mut report = Report::default();
        report.run("browser", || {
            Ok(Outcome::Skipped("no Chromium; install it".to_owned()))
        });
        report.run("unit", || ran(10, 0, 2));
        assert!(report.is_success());
        assert!(
            report.summary().ends_with(
                "\nskipped: 2\n  browser: no Chromium; install it\n  \
                 unit: 2 tests are switched off in their files\n10 passed, 0 failed\n"
            ),
            "{}",
            report.summary()
        );
    }

    #[test]
    fn one_failure_fails_the_whole_and_the_rest_still_runs() {
        let mut report = Report::default();
        report.run("broken", || bail!("no compiler"));
        report.run("unit", || ran(1, 0, 0));
        assert!(!report.is_success());
        assert!(report.summary().ends_with("1 passed, 1 failed\n"));
    }

    #[test]
    fn silence_and_crashes_are_failures() {
        let quiet = process::run(&mut Command::new("true")).unwrap();
        let crashed = process::run(&mut Command::new("false")).unwrap();
        let three = Counts {
            passed: 3,
            ..Counts::default()
        };
        let failures = |outcome| match outcome {
            Outcome::Ran(counts) => counts.failed,
            Outcome::Skipped(why) => panic!("skipped: {why}"),
        };
        assert_eq!(failures(Outcome::of(&quiet, Counts::default())), 1);
        assert_eq!(failures(Outcome::of(&crashed, three)), 1);
        assert_eq!(failures(Outcome::of(&quiet, three)), 0);
        assert_eq!(failures(Outcome::of_check(&quiet)), 0);
        assert_eq!(failures(Outcome::of_check(&crashed)), 1);
    }
}
