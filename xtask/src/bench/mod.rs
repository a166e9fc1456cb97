//! `cargo xtask bench`: what things cost, beside the official packages and beside what lies beneath.

mod instructions;

use std::process::Command;

use anyhow::Result;

use crate::interop::{Tools, root};
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::Outcome;

/// Measure rates, CPU time and memory, and write tables, numbers and charts to `target/bench/`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer and shorter rounds: to see that everything runs, not to judge it.
    #[arg(long)]
    quick: bool,
    /// Run these groups or rows only.
    #[arg(long, value_name = "NAME,…")]
    only: Option<String>,
    /// List groups and rows.
    #[arg(long)]
    list: bool,
    /// Count instructions and compare them with the stored baseline, in place of measuring times.
    #[arg(long, conflicts_with_all = ["quick", "only", "list"])]
    instructions: bool,
    /// Also put the tables of the measured groups into docs/performance.md; those of other groups stay. With
    /// `--instructions`, replace the baseline.
    #[arg(long, conflicts_with_all = ["quick", "list"])]
    write: bool,
}

/// Every benchmark in short, to see that it runs; times are not judged.
///
/// # Errors
///
/// Fails when one does not run, or a tool is missing.
pub(crate) fn smoke() -> Result<Outcome> {
    let args = Args {
        quick: true,
        only: None,
        list: false,
        instructions: false,
        write: false,
    };
    run(&args).map(|()| passed(1))
}

/// The instructions beside their baseline.
///
/// # Errors
///
/// Fails when nothing could be counted although the tools are there.
pub(crate) fn instructions() -> Result<Outcome> {
    instructions::run(false).map(passed)
}

fn passed(count: usize) -> Outcome {
    Outcome::Ran(Counts {
        passed: u32::try_from(count).unwrap_or(u32::MAX),
        ..Counts::default()
    })
}

/// Builds the release programs and measures.
///
/// # Errors
///
/// Fails when something does not run; missing an aim is no failure.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.instructions {
        return instructions::run(args.write).map(drop);
    }
    let tools = Tools::default();
    let scripts = tools.npm_ci("tests/interop/js")?;
    let programs = tools.release(&["bench-peers", "load", "webpubsub-emulator"])?;
    let mut command = Command::new(programs.join("load-bench"));
    // A backtrace for every error, also for those that are handled, costs more than what is measured.
    command.env("RUST_BACKTRACE", "0");
    command.arg("--programs").arg(&programs);
    command.arg("--scripts").arg(scripts);
    command.arg("--out").arg(programs.with_file_name("bench"));
    match tools.python() {
        Ok(python) => {
            command.arg("--python").arg(python.get_program());
        }
        Err(error) => println!("without the official packages for Python: {error:#}"),
    }
    if args.quick {
        command.arg("--quick");
    }
    if args.list {
        command.arg("--list");
    }
    if let Some(names) = &args.only {
        command.args(["--only", names]);
    }
    if args.write {
        command
            .arg("--write")
            .arg(root().join("docs/performance.md"));
    }
    process::run_ok(&mut command)
}
