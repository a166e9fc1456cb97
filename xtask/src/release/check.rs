//! What must hold before anything is published, each as a line of a report.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Parser as _;

use super::crates::Crate;
use super::{alone, api, changelog};
use crate::cli::Cli;
use crate::interop::{Tools, root};
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::{Outcome, Report};

/// Runs all checks; those after a failed one, too.
pub(super) fn run(all: &[Crate], chosen: &[Crate]) -> Report {
    let mut report = Report::default();
    report.run("clean tree", || {
        is_clean()?;
        Ok(passed(1))
    });
    report.run("generated code", || {
        Cli::try_parse_from(["xtask", "codegen", "--check"])?.run()?;
        Ok(passed(1))
    });
    report.run("change logs", || {
        for c in chosen {
            changelog::check(c)?;
        }
        Ok(passed(chosen.len()))
    });
    report.run("public API", || api::check(all));
    report.run("semver", || semver(chosen));
    report.run("features", || features(chosen));
    report.run("packages", || alone::pack(all));
    report.run("packages alone", || alone::test(all, chosen));
    report
}

/// Fails with what git sees changed.
pub(super) fn is_clean() -> Result<()> {
    let output = git(&["status", "--porcelain"])?;
    if !output.is_empty() {
        bail!("the work tree has changes; commit them first:\n{output}");
    }
    Ok(())
}

/// What git prints.
pub(super) fn git(args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`git {}` failed: {}", args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The latest tag of a crate.
fn baseline(c: &Crate) -> Result<Option<String>> {
    let tags = git(&["tag", "--list", &c.tag("*"), "--sort=-version:refname"])?;
    Ok(tags.lines().next().map(str::to_owned))
}

fn semver(chosen: &[Crate]) -> Result<Outcome> {
    let mut compared = 0;
    for c in chosen {
        let Some(tag) = baseline(c)? else {
            println!("{}: not released yet", c.name);
            continue;
        };
        if process::probe("cargo", &["semver-checks", "--version"]).is_none() {
            return Ok(missing("cargo-semver-checks"));
        }
        let mut cargo = Tools::default().cargo();
        cargo.args([
            "semver-checks",
            "--package",
            &c.name,
            "--baseline-rev",
            &tag,
        ]);
        process::run_ok(&mut cargo)?;
        compared += 1;
    }
    if compared == 0 {
        return Ok(Outcome::Skipped(
            "no crate has been released, so there is nothing to compare with".to_owned(),
        ));
    }
    Ok(passed(compared))
}

fn features(chosen: &[Crate]) -> Result<Outcome> {
    if process::probe("cargo", &["hack", "--version"]).is_none() {
        return Ok(missing("cargo-hack"));
    }
    for c in chosen {
        let mut cargo = Tools::default().cargo();
        cargo.args([
            "hack",
            "check",
            "--quiet",
            "--each-feature",
            "--no-dev-deps",
            "--package",
            &c.name,
        ]);
        process::run_ok(&mut cargo)?;
    }
    Ok(passed(chosen.len()))
}

fn missing(tool: &str) -> Outcome {
    Outcome::Skipped(format!("no {tool}; `cargo install {tool} --locked`"))
}

fn passed(checks: usize) -> Outcome {
    Outcome::Ran(Counts {
        passed: u32::try_from(checks).unwrap_or(u32::MAX),
        ..Counts::default()
    })
}
