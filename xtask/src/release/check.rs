//! What must hold before anything is published, each as a line of a report.

use anyhow::Result;

use super::crates::Crate;
use super::git::Repo;
use super::{Level, alone, api, changelog, features, packages, toolchain};
use crate::cli::task;
use crate::interop::Tools;
use crate::test::process;
use crate::test::report::{Outcome, Report};

/// Runs all checks, or only those with these names; those after a failed one, too.
pub(super) fn run(
    all: &[Crate],
    chosen: &[Crate],
    level: Option<Level>,
    only: &[String],
) -> Report {
    let mut report = Report::only(only);
    report.run("clean tree", clean_tree);
    report.run("codegen", || task(&["codegen", "--check"]));
    report.run("dependencies", || task(&["deps", "--check"]));
    report.run("change logs", || {
        for c in chosen {
            changelog::check(c, level.is_some())?;
        }
        Ok(Outcome::passed(chosen.len()))
    });
    report.run("public API", || api::check(all));
    report.run("semver", || semver(chosen));
    report.run("features", || features::check(chosen));
    report.run("oldest Rust", || toolchain::check(all));
    report.run("packages", || packages::pack(all));
    report.run("minimal versions", || alone::minimal_versions(all));
    report.run("packages alone", || alone::test(all, chosen));
    report
}

/// Whoever only looks may have changes; `--execute` refuses them before it does anything.
fn clean_tree() -> Result<Outcome> {
    let changes = Repo::here().changes()?;
    if changes.is_empty() {
        return Ok(Outcome::passed(1));
    }
    println!("{changes}");
    Ok(Outcome::Skipped(
        "the work tree has changes, which `--execute` refuses".to_owned(),
    ))
}

fn semver(chosen: &[Crate]) -> Result<Outcome> {
    let repo = Repo::here();
    let mut compared = 0;
    for c in chosen {
        let Some(tag) = repo.latest(&c.tag("*"))? else {
            println!("{}: not released yet", c.name);
            continue;
        };
        if process::probe("cargo", &["semver-checks", "--version"]).is_none() {
            return Ok(Outcome::Skipped(
                "no cargo-semver-checks; `cargo install cargo-semver-checks --locked`".to_owned(),
            ));
        }
        let mut cargo = Tools::default().cargo();
        cargo.args(["semver-checks", "--package", &c.name]);
        cargo.args(["--baseline-rev", &tag]);
        process::run_ok(&mut cargo)?;
        compared += 1;
    }
    if compared == 0 {
        return Ok(Outcome::Skipped(
            "no crate has been released, so there is nothing to compare with".to_owned(),
        ));
    }
    Ok(Outcome::passed(compared))
}
