//! How a run fails, and what is printed then.

use std::fmt;
use std::time::Duration;

use crate::WorldName;

/// A check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) expected: String,
    pub(crate) seen: String,
}

/// Passed, or what did not hold.
pub(crate) type Check = Result<(), Finding>;

impl Finding {
    pub(crate) fn new(
        check: &'static str,
        expected: impl fmt::Display,
        seen: impl fmt::Display,
    ) -> Self {
        Self {
            check,
            expected: expected.to_string(),
            seen: seen.to_string(),
        }
    }

    /// Holds when both are the same.
    pub(crate) fn unless_same<T: PartialEq + fmt::Debug>(
        check: &'static str,
        expected: &T,
        seen: &T,
    ) -> Check {
        if expected == seen {
            return Ok(());
        }
        Err(Self::new(
            check,
            format_args!("{expected:?}"),
            format_args!("{seen:?}"),
        ))
    }
}

/// A seed that failed. Its `Display` is the report, with the command that runs it again.
#[derive(Debug, Clone)]
pub struct Failure {
    pub(crate) world: WorldName,
    pub(crate) seed: u64,
    /// The virtual time.
    pub(crate) at: Duration,
    pub(crate) finding: Finding,
    /// The last steps before it.
    pub(crate) tail: Vec<String>,
}

impl Failure {
    /// The seed that failed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The name of the check that failed.
    #[must_use]
    pub fn check(&self) -> &'static str {
        self.finding.check
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            check,
            expected,
            seen,
        } = &self.finding;
        let (world, seed) = (self.world.name(), self.seed);
        writeln!(
            f,
            "seed {seed} of the {world} failed after {:?}: {check}",
            self.at
        )?;
        writeln!(f, "  expected: {expected}")?;
        writeln!(f, "  seen:     {seen}")?;
        writeln!(f, "  the last steps:")?;
        for line in &self.tail {
            writeln!(f, "    {line}")?;
        }
        write!(f, "  again: cargo xtask soak --seed {seed} --world {world}")
    }
}

impl std::error::Error for Failure {}
