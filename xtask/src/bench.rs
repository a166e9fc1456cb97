//! `cargo xtask bench`: what things cost, beside the official packages and beside what lies beneath.

use std::process::Command;

use anyhow::Result;

use crate::interop::{Tools, root};
use crate::test::process;

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
    /// Also put the tables of the measured groups into docs/performance.md; those of other groups stay.
    #[arg(long, conflicts_with_all = ["quick", "list"])]
    write: bool,
}

/// Builds the release programs and measures.
///
/// # Errors
///
/// Fails when something does not run; missing an aim is no failure.
pub(crate) fn run(args: &Args) -> Result<()> {
    let tools = Tools::default();
    let scripts = tools.npm_ci("tests/interop/js")?;
    let programs = tools.release(&["bench-peers", "load", "webpubsub-emulator"])?;
    let mut command = Command::new(programs.join("load-bench"));
    command.arg("--programs").arg(&programs);
    command.arg("--scripts").arg(scripts);
    command.arg("--out").arg(programs.with_file_name("bench"));
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
