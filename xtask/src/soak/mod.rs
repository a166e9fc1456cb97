//! `cargo xtask soak`: the simulation, with more seeds than a test run has, or with planted bugs; and the stress
//! tests of the real-time client, for longer.

use anyhow::{Result, bail};

use crate::interop::Tools;
use crate::test::process;

mod graft;
mod patch;
mod planted;
mod scratch;

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
    /// Run this world only: hub, session or sockets.
    #[arg(long, value_name = "NAME")]
    world: Option<String>,
    /// Plant bugs in a copy of the workspace, and fail unless the simulation finds each of them. With a
    /// NAME: this one only.
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        conflicts_with_all = ["seeds", "first", "seed", "world"]
    )]
    planted: Option<Option<String>>,
    /// With `--planted`: only the few whose turn it is today.
    #[arg(long, requires = "planted")]
    today: bool,
    /// Afterwards, run each stress test of the real-time client for so many seconds, on real threads and sockets.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", conflicts_with = "planted")]
    stress: Option<u64>,
}

/// Builds the simulation and runs it.
///
/// # Errors
///
/// Fails when a seed or a stress test failed, or when a planted bug was not found.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.planted {
        Some(Some(name)) => return planted::run(&planted::Choice::Named(name)),
        Some(None) if args.today => return planted::run(&planted::Choice::Today),
        Some(None) => return planted::run(&planted::Choice::All),
        None => {}
    }
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
    args.stress.map_or(Ok(()), stress)
}

fn stress(seconds: u64) -> Result<()> {
    let mut command = Tools::default().cargo();
    command.args(["test", "--package", "webpubsub-client", "--test", "stress"]);
    command.env("WEBPUBSUB_STRESS_SECONDS", seconds.to_string());
    process::run_ok(&mut command)
}
