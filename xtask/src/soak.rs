//! `cargo xtask soak`: the simulation, with more seeds than a test run has, or with planted bugs.

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
    #[arg(long, value_name = "NAME", conflicts_with_all = ["planted", "plant"])]
    world: Option<String>,
    /// Plant each bug of the list, and fail unless all are found.
    #[arg(long, conflicts_with_all = ["plant", "seed", "seeds"])]
    planted: bool,
    /// Plant this bug.
    #[arg(long, value_name = "NAME")]
    plant: Option<String>,
}

/// Builds the simulation and runs it.
///
/// # Errors
///
/// Fails when a seed failed, or a plant was not found.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Tools::default().cargo();
    // The dev profile: it optimises what counts here, and shares its dependencies with the tests.
    command.args(["run", "--quiet", "--package", "simulation", "--bin", "soak"]);
    if args.planted || args.plant.is_some() {
        command.args(["--features", "planted"]);
    }
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
    if args.planted {
        command.arg("--planted");
    }
    if let Some(plant) = &args.plant {
        command.args(["--plant", plant]);
    }
    // Panics of planted bugs are findings; their traces would only be in the way.
    command.env("RUST_BACKTRACE", "0");
    let finished = process::run(&mut command)?;
    if !finished.status.success() {
        bail!("the simulation failed: {}", finished.status);
    }
    Ok(())
}
