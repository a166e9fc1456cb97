//! The command line of `cargo xtask`.
//!
//! A new task is one variant of [`Task`] with the arguments struct of its own module, and one arm
//! in [`Cli::run`].

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::test::report::Outcome;
use crate::{
    azure, bench, ci, codegen, deps, dist, fuzz, interop, load, release, soak, test, tidy,
};

/// Workspace tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the code that is generated from `spec/`, or check that it is up to date.
    Codegen(codegen::Args),
    /// Check the rules of the workspace that no compiler checks.
    Tidy(tidy::Args),
    /// Run every test: unit, property, integration, doc, interop.
    Test {
        /// Run the tests that need no emulator, against the resource whose connection string is in
        /// `WEBPUBSUB_AZURE_CONNECTION_STRING`.
        #[arg(long)]
        azure: bool,
        /// With `--azure`: leave out what the resource does not have, streams or `group_state`.
        #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "azure")]
        without: Vec<String>,
    },
    /// Run the official packages and a browser against the programs of this workspace.
    Interop(interop::Args),
    /// Run the simulation of the hub and the session: as many seeds as you like, or with planted bugs.
    Soak(soak::Args),
    /// Run the fuzz targets behind libFuzzer.
    Fuzz(fuzz::Args),
    /// Check that the crates can be published, or publish them.
    Release(release::Args),
    /// Write what the crates depend on, why, and what that costs, or check that it is up to date.
    Deps(deps::Args),
    /// Build the emulator and what people install it from, and try each.
    Dist(dist::Args),
    /// Put the emulator under load over real sockets.
    Load(load::Args),
    /// Measure what things cost.
    Bench(bench::Args),
    /// Run all that a change must pass.
    Ci(ci::Args),
}

impl Cli {
    /// Runs the chosen task.
    ///
    /// # Errors
    ///
    /// Returns what made the task fail; the process then ends with code 1.
    pub(crate) fn run(self) -> Result<()> {
        match self.task {
            Task::Codegen(args) => codegen::run(&args),
            Task::Tidy(args) => tidy::run(&args),
            Task::Test {
                azure: true,
                without,
            } => azure::run(&without),
            Task::Test { .. } => test::run(),
            Task::Interop(args) => interop::run(&args),
            Task::Soak(args) => soak::run(&args),
            Task::Fuzz(args) => fuzz::run(&args),
            Task::Release(args) => release::run(&args),
            Task::Deps(args) => deps::run(&args),
            Task::Dist(args) => dist::run(&args),
            Task::Load(args) => load::run(&args),
            Task::Bench(args) => bench::run(&args),
            Task::Ci(args) => ci::run(&args),
        }
    }
}

/// Runs a task as a step of another one. It runs in this process, since the tests may replace the file that was started.
///
/// # Errors
///
/// Returns what made the task fail.
pub(crate) fn task(args: &[&str]) -> Result<Outcome> {
    Cli::try_parse_from([&["xtask"], args].concat())?.run()?;
    Ok(Outcome::passed(1))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
