//! `cargo xtask soak`: the simulation, with more seeds than a test run has.

use anyhow::{Result, bail};

use crate::interop::Tools;
use crate::test::process;

/// Run the simulation of the emulator's hub and of the client's session.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many seeds to run [default: 1000].
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them [default: 0].
    #[arg(long)]
    first: Option<u64>,
    /// Run this seed only.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Run this world only: hub or session.
    #[arg(long, value_name = "NAME")]
    world: Option<String>,
}

/// Builds the simulation and runs it.
///
/// # Errors
///
/// Fails when a seed failed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Tools::default().cargo();
    // The dev profile: it optimises what counts here, and shares its dependencies with the tests.
    command.args(["run", "--quiet", "--package", "simulation", "--bin", "soak"]);
    command.arg("--");
    let numbers = [
        ("--seeds", args.seeds),
        ("--first", args.first),
        ("--seed", args.seed),
    ];
    for (flag, value) in numbers {
        if let Some(value) = value {
            command.args([flag, &value.to_string()]);
        }
    }
    if let Some(world) = &args.world {
        command.args(["--world", world]);
    }
    // Panics are findings with the seed that shows them again; their traces would only be in the way.
    command.env("RUST_BACKTRACE", "0");
    let finished = process::run(&mut command)?;
    if !finished.status.success() {
        bail!("the simulation failed: {}", finished.status);
    }
    Ok(())
}
