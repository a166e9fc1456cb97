//! Single checks of a package, counted like tests.

use anyhow::Result;

use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::{Missing, Outcome};

/// What was checked, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Checks {
    counts: Counts,
    lacks: Vec<String>,
}

impl Checks {
    /// Does one check. One that lacks a tool is skipped by name.
    pub(super) fn check(&mut self, what: &str, check: impl FnOnce() -> Result<()>) {
        let one = || {
            check()?;
            process::say(&format!("ok: {what}"));
            Ok(Outcome::passed(1))
        };
        self.suite(what, one);
    }

    /// Does what counts its tests itself.
    pub(super) fn suite(&mut self, what: &str, suite: impl FnOnce() -> Result<Outcome>) {
        match suite() {
            Ok(Outcome::Ran(counts)) => self.counts += counts,
            Ok(Outcome::Skipped(why)) => self.lack(why),
            Err(error) if error.is::<Missing>() => self.lack(error.to_string()),
            Err(error) => {
                self.counts.failed += 1;
                process::say(&format!("FAILED: {what}: {error:#}"));
            }
        }
    }

    /// Notes what this machine lacks, and what to do.
    pub(super) fn lack(&mut self, why: String) {
        process::say(&format!("skipped: {why}"));
        self.lacks.push(why);
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn lacks(self) -> Vec<String> {
        self.lacks
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn failures_count_and_missing_tools_are_named() {
        let mut checks = Checks::default();
        checks.check("a", || Ok(()));
        checks.check("b", || Err(anyhow!("broken")));
        checks.check("c", || Err(Missing::new("no zsh; install zsh").into()));
        let Counts { passed, failed, .. } = checks.counts();
        assert_eq!((passed, failed), (1, 1));
        assert_eq!(checks.lacks(), ["no zsh; install zsh"]);
    }
}
