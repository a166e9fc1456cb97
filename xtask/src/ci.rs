//! `cargo xtask ci`: what a change must pass. Every step runs, also after one that failed.

use std::process::Command;

use anyhow::Result;
use clap::Parser as _;

use crate::cli::Cli;
use crate::interop::Tools;
use crate::test;
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::{Outcome, Report};

/// Runs every step and prints the summary.
///
/// # Errors
///
/// Fails when a step did.
pub(crate) fn run() -> Result<()> {
    let tools = Tools::default();
    let mut report = Report::default();
    report.run("fmt", || {
        check(tools.cargo().args(["fmt", "--all", "--check"]))
    });
    report.run("codegen", || task(&["codegen", "--check"]));
    report.run("tidy", || task(&["tidy"]));
    report.run("deny", || deny(&tools));
    report.run("clippy", || {
        check(tools.cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    report.extend(test::suites());
    report.run("docs", || {
        check(
            tools
                .cargo()
                .args(["doc", "--no-deps", "--workspace"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    report.finish()
}

fn check(command: &mut Command) -> Result<Outcome> {
    Ok(Outcome::of_check(&process::run(command)?))
}

/// Another task of this program. It runs in this process, since the tests may replace the file
/// that was started.
fn task(args: &[&str]) -> Result<Outcome> {
    Cli::try_parse_from([&["xtask"], args].concat())?.run()?;
    Ok(Outcome::Ran(Counts {
        passed: 1,
        ..Counts::default()
    }))
}

fn deny(tools: &Tools) -> Result<Outcome> {
    if process::probe("cargo", &["deny", "--version"]).is_none() {
        return Ok(Outcome::Skipped(
            "no cargo-deny; `cargo install cargo-deny --locked`".to_owned(),
        ));
    }
    check(tools.cargo().args([
        "deny",
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}
