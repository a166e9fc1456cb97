//! Workspace tasks: `cargo xtask --help` lists them.
//!
//! A library with a program around it, so that `cargo test --doc` chooses the features of this
//! crate's dependencies too: without them it would compile half of the workspace a second time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

use std::process::ExitCode;

use clap::Parser as _;

mod azure;
mod bench;
mod ci;
mod cli;
mod codegen;
mod deps;
mod dist;
mod docs;
mod fuzz;
mod interop;
mod load;
mod release;
mod soak;
mod test;
mod tidy;

/// Runs the task that the command line names.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = fuzz::wrapped_compiler() {
        return code;
    }
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<test::report::Reported>() {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
