//! `cargo xtask load`: the emulator's program under load over real sockets.

use std::process::Command;

use anyhow::Result;

use crate::interop::Tools;
use crate::test::report::Outcome;
use crate::test::{counts, process};

/// Put the emulator under load, and check who is closed, who gets everything in order, and what memory it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Smaller numbers: at most 90 s.
    #[arg(long)]
    quick: bool,
    /// Run these scenarios only.
    #[arg(long, value_name = "NAME,…")]
    only: Option<String>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

/// Builds the release programs and runs the scenarios.
///
/// # Errors
///
/// Fails when something did not hold.
pub(crate) fn run(args: &Args) -> Result<()> {
    let programs = Tools::default().release(&["load", "webpubsub-emulator"])?;
    let mut flags = Vec::new();
    if args.quick {
        flags.push("--quick");
    }
    if args.list {
        flags.push("--list");
    }
    if let Some(names) = &args.only {
        flags.extend(["--only", names]);
    }
    process::run_ok(
        Command::new(programs.join("load-test"))
            .arg("--emulator")
            .arg(programs.join("webpubsub-emulator"))
            .args(flags),
    )
}

/// The short form, with the programs that the other suites use too.
///
/// # Errors
///
/// Fails when the workspace does not build.
pub(crate) fn suite(tools: &Tools) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "memory is read from /proc, which only Linux has".to_owned(),
        ));
    }
    let mut command = Command::new(tools.program("load-test")?);
    command
        .arg("--emulator")
        .arg(tools.program("webpubsub-emulator")?);
    let finished = process::run(command.arg("--quick"))?;
    Ok(Outcome::of(&finished, counts::script(&finished.output)))
}
