//! The machine on which something was measured.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// What matters for numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of its threads there are.
    pub threads: usize,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rust: String,
    /// Node.js, for the peers.
    pub node: String,
    /// Processes that wanted to run, as a mean over the minute before the first round: with more than none the numbers
    /// are disturbed.
    pub load: String,
}

impl Machine {
    /// Looks at this one. What cannot be found out is empty.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let version = |program: &str| {
            let output = Command::new(program).arg("--version").output();
            let text = output.map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        Self {
            processor: processor(&read("/proc/cpuinfo")),
            threads: thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rust: version("rustc"),
            node: version("node"),
            load: first_word(&read("/proc/loadavg")),
        }
    }

    /// In one paragraph.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{} ({} threads), Linux {}, {}, Node.js {}; load before the first round: {}.",
            self.processor, self.threads, self.kernel, self.rust, self.node, self.load
        )
    }
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or_else(String::new, |(_, name)| name.trim().to_owned())
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_once() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: Other\n";
        assert_eq!(processor(text), "Some CPU @ 2.0GHz");
        assert_eq!(processor(""), "");
    }

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        assert_eq!(first_word("0.52 0.58 0.59 1/467 12345\n"), "0.52");
        assert_eq!(first_word(""), "");
    }
}
