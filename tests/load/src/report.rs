//! What was looked at, and whether it held.

use std::fmt::{self, Display};

/// Findings of a run; each is printed when it is made.
#[derive(Debug, Default)]
pub struct Findings {
    held: usize,
    failed: usize,
}

impl Findings {
    /// Records that something holds, or does not, with what was found.
    pub fn hold(&mut self, what: impl Display, holds: bool, found: impl Display) {
        if holds {
            self.held += 1;
        } else {
            self.failed += 1;
        }
        let mark = if holds { "ok  " } else { "FAIL" };
        println!("  {mark} {what}: {found}");
    }

    /// Records an error that kept a scenario from its end.
    pub fn error(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        println!("  FAIL it did not come to its end: {error:#}");
    }

    /// A number that nobody judges.
    pub fn note(&self, text: impl Display) {
        println!("       {text}");
    }

    /// Whether all of it held, and something was looked at.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.held > 0
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.held, self.failed)
    }
}

/// Bytes as people read them.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_looked_at_nothing_is_no_success() {
        let mut findings = Findings::default();
        assert!(!findings.is_success());
        findings.hold("one", true, 1);
        assert!(findings.is_success());
        findings.hold("two", false, 2);
        assert!(!findings.is_success());
        assert_eq!(findings.to_string(), "1 passed, 1 failed");
    }

    #[test]
    fn bytes_are_shown_in_mebibytes() {
        assert_eq!(mebibytes(3 << 19), "1.5 MiB");
    }
}
