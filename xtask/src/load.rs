//! `cargo xtask load`: the emulator's program under load over real sockets.

use std::process::Command;

use anyhow::Result;

use crate::interop::Tools;
use crate::test::process;

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
