//! The oldest compiler that the crates promise to build with.

use std::process::Command;

use anyhow::Result;

use super::crates::Crate;
use crate::interop::root;
use crate::test::process;
use crate::test::report::Outcome;

/// Builds the crates with it, where it is installed.
pub(super) fn check(all: &[Crate]) -> Result<Outcome> {
    let Some(rust) = all.first().map(|c| c.rust.as_str()) else {
        return Ok(Outcome::Skipped("no crate is published".to_owned()));
    };
    if process::probe("rustup", &["run", rust, "rustc", "--version"]).is_none() {
        return Ok(Outcome::Skipped(format!(
            "no Rust {rust}; `rustup toolchain install {rust} --profile minimal`"
        )));
    }
    let mut cargo = Command::new("rustup");
    cargo
        .current_dir(root())
        .args(["run", rust, "cargo", "check", "--quiet", "--locked"])
        .arg("--all-features");
    for c in all {
        cargo.args(["--package", &c.name]);
    }
    Ok(Outcome::of_check(&process::run(&mut cargo)?))
}
