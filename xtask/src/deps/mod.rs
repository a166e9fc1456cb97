//! `cargo xtask deps [--check] [--measure]`: what the crates depend on, why, and what it costs whoever adds one of them.
//!
//! The reasons stand in the version table of the workspace and are rendered into `docs/dependencies.md`; the numbers stand
//! in each crate's README. `--check` fails when either is out of date, so that neither a dependency without a reason nor
//! one more crate in somebody's build goes unnoticed.

use anyhow::Result;

use crate::codegen;
use crate::release;

mod cost;
mod reasons;

/// Arguments of `cargo xtask deps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; list the files that are out of date and fail if there are any.
    #[arg(long, conflicts_with = "measure")]
    check: bool,
    /// Measure also how long a first build takes, which needs a quiet machine and some minutes.
    #[arg(long)]
    measure: bool,
}

/// Writes or checks the table and the numbers.
///
/// # Errors
///
/// Fails when a dependency has no reason, when cargo cannot be run, and, with `--check`, when a file is out of date.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut outputs = vec![reasons::output()?];
    for name in release::names()? {
        outputs.push(cost::output(&name, args.measure)?);
    }
    codegen::settle(outputs, args.check, "cargo xtask deps")
}
