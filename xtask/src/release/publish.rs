//! Publishing, step by step, so that a run which stopped half-way goes on where it was.

use anyhow::{Context as _, Result, bail};

use super::check::{git, is_clean};
use super::crates::{self, Crate};
use super::{Level, changelog};
use crate::interop::Tools;
use crate::test::process;

/// Prints what `--execute` would do.
pub(super) fn print_plan(chosen: &[Crate], level: Option<Level>) -> Result<()> {
    println!("\nThe plan, in this order:");
    for c in chosen {
        let step = match level {
            Some(level) => format!("raise {} ({}), then publish", c.version, level.name()),
            None => state(c)?.describe(c),
        };
        println!("  {:24} {step}", c.name);
    }
    Ok(())
}

/// Raises versions, commits, tags and publishes.
pub(super) fn run(chosen: &[Crate], level: Option<Level>) -> Result<()> {
    is_clean()?;
    if let Some(level) = level {
        raise(chosen, level)?;
    }
    // The versions may have changed.
    let names: Vec<_> = chosen.iter().map(|c| c.name.as_str()).collect();
    let chosen: Vec<_> = crates::published()?;
    let chosen: Vec<_> = chosen
        .into_iter()
        .filter(|c| names.contains(&c.name.as_str()))
        .collect();
    commit(&chosen)?;
    for c in &chosen {
        if is_published(c) {
            println!("{} is published already", c.spec());
            continue;
        }
        let mut cargo = Tools::default().cargo();
        cargo.args(["publish", "--package", &c.name]);
        process::run_ok(&mut cargo).with_context(|| {
            format!(
                "{} is not published; run the command again to go on",
                c.spec()
            )
        })?;
    }
    println!("published; now run `git push --follow-tags`");
    Ok(())
}

/// Raises the versions of the crates and of what requires them.
fn raise(chosen: &[Crate], level: Level) -> Result<()> {
    if process::probe("cargo", &["release", "--version"]).is_none() {
        bail!("no cargo-release; `cargo install cargo-release --locked`");
    }
    let mut cargo = Tools::default().cargo();
    cargo.args([
        "release",
        "version",
        level.name(),
        "--execute",
        "--no-confirm",
    ]);
    for c in chosen {
        cargo.args(["--package", &c.name]);
    }
    process::run_ok(&mut cargo)
}

/// Gives the change logs their headings, commits and tags; what has its tag is left alone.
fn commit(chosen: &[Crate]) -> Result<()> {
    let mut fresh = Vec::new();
    for c in chosen {
        if !is_tagged(c)? {
            fresh.push(c);
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let date = process::probe("date", &["-u", "+%F"]).context("cannot start `date`")?;
    for c in &fresh {
        changelog::promote(c, &c.version, &date)?;
    }
    let specs: Vec<_> = fresh.iter().map(|c| c.spec()).collect();
    git(&[
        "commit",
        "--all",
        "--message",
        &format!("Release {}", specs.join(", ")),
    ])?;
    for c in fresh {
        let tag = c.tag(&c.version);
        git(&["tag", "--annotate", &tag, "--message", &tag])?;
    }
    Ok(())
}

struct State {
    tagged: bool,
    published: bool,
}

impl State {
    fn describe(&self, c: &Crate) -> String {
        match (self.tagged, self.published) {
            (_, true) => format!("{} is published already: nothing to do", c.version),
            (true, false) => format!("publish {}, which is tagged already", c.version),
            (false, false) => format!("tag and publish {}", c.version),
        }
    }
}

fn state(c: &Crate) -> Result<State> {
    Ok(State {
        tagged: is_tagged(c)?,
        published: is_published(c),
    })
}

fn is_tagged(c: &Crate) -> Result<bool> {
    Ok(!git(&["tag", "--list", &c.tag(&c.version)])?.is_empty())
}

/// Whether the registry has this version.
fn is_published(c: &Crate) -> bool {
    let version = format!("{}@{}", c.name, c.version);
    // Elsewhere than here: cargo would describe the crate of the workspace.
    let elsewhere = std::env::temp_dir();
    let mut cargo = Tools::default().cargo();
    cargo
        .current_dir(elsewhere)
        .args(["info", "--quiet", "--registry", "crates-io", &version]);
    cargo.output().is_ok_and(|output| output.status.success())
}
