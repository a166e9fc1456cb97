//! `cargo xtask ci`: what a change must pass. Every step runs, also after one that failed.

use std::process::Command;

use anyhow::Result;

use crate::cli::task;
use crate::interop::Tools;
use crate::test::report::{Outcome, Report};
use crate::test::{counts, process};
use crate::{azure, bench, dist, docs, fuzz, release, test};

/// Run all that a change must pass.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also what takes long: packages and their installation, the dry run of a release, planted bugs, fuzzing, benchmarks
    /// and the tests for a resource in Azure, against an emulator.
    #[arg(long)]
    full: bool,
}

/// Runs every step and prints the summary.
///
/// # Errors
///
/// Fails when a step did.
pub(crate) fn run(args: &Args) -> Result<()> {
    let tools = Tools::default();
    let mut report = Report::default();
    report.run("fmt", || {
        check(tools.cargo().args(["fmt", "--all", "--check"]))
    });
    report.run("codegen", || task(&["codegen", "--check"]));
    report.run("tidy", || task(&["tidy"]));
    report.run("workflows", || workflows(&tools));
    report.run("deny", || deny(&tools, &["bans", "licenses", "sources"]));
    report.run("advisories", || deny(&tools, &["advisories"]));
    report.run("clippy", || {
        let args = ["clippy", "--workspace", "--all-targets"];
        check(tools.cargo().args(args).args(["--", "-D", "warnings"]))
    });
    report.extend(test::suites());
    report.run("docs", || docs::suite(&tools));
    if args.full {
        full(&tools, &mut report)?;
    }
    report.finish()
}

/// The steps of `--full`.
fn full(tools: &Tools, report: &mut Report) -> Result<()> {
    report.run("azure runner", || azure::suite(tools));
    report.extend(dist::suites());
    report.run("planted bugs", || task(&["soak", "--planted", "--today"]));
    report.run("fuzz", fuzz::suite);
    report.run("benches", bench::smoke);
    report.run("instructions", bench::instructions);
    report.extend(release::dry_run()?);
    Ok(())
}

fn check(command: &mut Command) -> Result<Outcome> {
    Ok(Outcome::of_check(&process::run(command)?))
}

fn workflows(tools: &Tools) -> Result<Outcome> {
    let folder = tools.npm_ci("tests/workflows")?;
    let finished = process::run(tools.node()?.arg(folder.join("lint.mjs")))?;
    Ok(Outcome::of(&finished, counts::script(&finished.output)))
}

fn deny(tools: &Tools, checks: &[&str]) -> Result<Outcome> {
    if process::probe("cargo", &["deny", "--version"]).is_none() {
        return Ok(Outcome::Skipped(
            "no cargo-deny; `cargo install cargo-deny --locked`".to_owned(),
        ));
    }
    let mut cargo = tools.cargo();
    cargo.args(["deny", "--workspace", "check"]).args(checks);
    let finished = process::run(&mut cargo)?;
    if process::is_offline(&finished) {
        return Ok(Outcome::Skipped(
            "the list of advisories cannot be reached".to_owned(),
        ));
    }
    Ok(Outcome::of_check(&finished))
}
