//! What happened in a run, line by line.

use std::collections::VecDeque;
use std::time::Duration;

/// The last lines of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    /// How many are kept.
    most: usize,
    lines: VecDeque<String>,
}

impl Trace {
    /// Keeps so many lines; with zero, lines are not even made.
    pub(crate) const fn of(most: usize) -> Self {
        Self {
            most,
            lines: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, now: Duration, line: impl FnOnce() -> String) {
        if self.most == 0 {
            return;
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        let line = format!("{:>9.3} {}", now.as_secs_f64(), line());
        self.lines.push_back(line);
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
