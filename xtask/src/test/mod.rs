//! `cargo xtask test`: every test there is, on a machine with Rust and Node.js.
//!
//! What a machine lacks is skipped by name. It closes with a table, `skipped: N` and a line like
//! that of a test runner.

use anyhow::Result;

use crate::interop::{self, Tools};
use crate::load;
use process::Finished;
use report::{Outcome, Report};

pub(crate) mod counts;
pub(crate) mod process;
pub(crate) mod report;

/// Runs everything and prints the summary.
///
/// # Errors
///
/// Fails when a test failed, or a suite ran none.
pub(crate) fn run() -> Result<()> {
    let report = suites();
    report.finish()
}

/// Runs every suite.
pub(crate) fn suites() -> Report {
    let mut report = Report::default();
    let tools = Tools::default();
    report.run("tests", || tests(&tools));
    report.run("doc tests", || doc_tests(&tools));
    report.run("other TLS", || other_tls(&tools));
    report.run("load", || load::suite(&tools));
    report.run("spec", || interop::spec(&tools));
    report.extend(interop::suites(&tools, &interop::Suite::EACH));
    report
}

/// Unit, property and integration tests of the workspace, by nextest where it is installed.
fn tests(tools: &Tools) -> Result<Outcome> {
    if process::probe("cargo", &["nextest", "--version"]).is_some() {
        let args = ["nextest", "run", "--workspace", "--no-fail-fast"];
        let finished = process::run(tools.cargo().args(args))?;
        return Ok(outcome(&finished, counts::nextest));
    }
    // Everything but the doc tests, which come next.
    let args = [
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
        "--no-fail-fast",
    ];
    let finished = process::run(tools.cargo().args(args))?;
    Ok(outcome(&finished, counts::cargo_test))
}

fn doc_tests(tools: &Tools) -> Result<Outcome> {
    let finished =
        process::run(
            tools
                .cargo()
                .args(["test", "--doc", "--workspace", "--no-fail-fast"]),
        )?;
    Ok(outcome(&finished, counts::cargo_test))
}

/// The client's connector with the TLS libraries that are not the default.
fn other_tls(tools: &Tools) -> Result<Outcome> {
    let mut sum = counts::Counts::default();
    for features in ["ring,platform-verifier", "native-tls"] {
        let mut cargo = tools.cargo();
        cargo
            .args(["test", "--package", "webpubsub-client"])
            .args(["--test", "connector"])
            .args(["--no-default-features", "--features", features]);
        let finished = process::run(&mut cargo)?;
        if let Outcome::Ran(ran) = outcome(&finished, counts::cargo_test) {
            sum += ran;
        }
    }
    Ok(Outcome::Ran(sum))
}

fn outcome(finished: &Finished, read: fn(&str) -> counts::Counts) -> Outcome {
    Outcome::of(finished, read(&finished.output))
}
