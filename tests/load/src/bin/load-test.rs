//! Puts the emulator under load and says what held. `cargo xtask load` builds and starts it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use load::report::Findings;
use load::scenario::{self, SCENARIOS, Scenario};
use load::usage;
use load::world::Settings;

/// Sockets of the largest scenario, on either side.
const FILES: u64 = 4_000;

/// Load tests of the emulator.
#[derive(Debug, Parser)]
#[command(name = "load-test")]
struct Args {
    /// The emulator's program.
    #[arg(long, value_name = "FILE")]
    emulator: PathBuf,
    /// Smaller numbers, for every change: at most 90 s.
    #[arg(long)]
    quick: bool,
    /// Run these scenarios only.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = scenario)]
    only: Vec<&'static Scenario>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            format!("the scenarios are {}", names.join(", "))
        })
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for scenario in SCENARIOS {
            println!("{:15} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    let files = usage::raise_file_limit();
    if files < FILES {
        eprintln!(
            "this needs {FILES} open files, and the limit is {files}: raise it with `ulimit -n`"
        );
        return ExitCode::FAILURE;
    }
    let chosen = if args.only.is_empty() {
        SCENARIOS.iter().collect()
    } else {
        args.only
    };
    let settings = Settings {
        emulator: args.emulator,
        quick: args.quick,
    };
    let began = Instant::now();
    let mut findings = Findings::default();
    for scenario in chosen {
        scenario::run(scenario, &settings, &mut findings);
    }
    println!("{:.0} s", began.elapsed().as_secs_f64());
    println!("{findings}");
    if findings.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        let args = [
            "load-test",
            "--emulator",
            "e",
            "--quick",
            "--only",
            "large,silence",
        ];
        let args = Args::try_parse_from(args).unwrap();
        let names: Vec<_> = args.only.iter().map(|scenario| scenario.name).collect();
        assert!(args.quick);
        assert_eq!(names, ["large", "silence"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let args = ["load-test", "--emulator", "e", "--only", "nothing"];
        let error = Args::try_parse_from(args).unwrap_err().to_string();
        assert!(error.contains("self-burst"), "{error}");
    }
}
