//! The emulator as a program, with the commands around it. `--help` lists them.

mod banner;
mod cli;
mod config;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
