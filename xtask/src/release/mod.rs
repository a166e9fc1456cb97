//! `cargo xtask release`: what must hold before a crate is published, and publishing itself.
//!
//! It only puts well-known tools in order: `cargo semver-checks` compares with the last release, `cargo release` changes
//! versions, `cargo publish` packs, builds and uploads. Tools that are not installed are skipped by name in a dry run and
//! required by `--execute`. `RELEASING.md` explains how to use it.

mod alone;
mod api;
mod changelog;
mod check;
mod crates;
mod features;
mod git;
mod packages;
mod publish;
mod toolchain;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::test::report::Report;
use crates::Crate;
use git::Repo;

/// Check that the crates can be published, or publish them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Option<Task>,
    /// Check everything and print what `--execute` would do. The default.
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Change versions and change logs, commit, tag and publish.
    #[arg(long)]
    execute: bool,
    /// How to raise the versions; without it the versions in the manifests are released.
    #[arg(value_enum)]
    level: Option<Level>,
    /// The crates to release [default: all that are published].
    #[arg(value_name = "CRATE", requires = "level")]
    crates: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Check everything that must hold before a release.
    Check {
        /// Write the listings of the public API instead of comparing them.
        #[arg(long)]
        fix: bool,
        /// Check only this, by its name in the summary; may be repeated. What is done with packages needs `packages`.
        #[arg(long, value_name = "NAME", conflicts_with = "fix")]
        only: Vec<String>,
    },
}

/// Which part of a version is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// 1.2.3 becomes 2.0.0.
    Major,
    /// 1.2.3 becomes 1.3.0. Before 1.0 this is the level for breaking changes.
    Minor,
    /// 1.2.3 becomes 1.2.4.
    Patch,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
        }
    }
}

/// Checks, and publishes when asked to.
///
/// # Errors
///
/// Fails with one line for each thing that stands in the way.
pub(crate) fn run(args: &Args) -> Result<()> {
    let all = crates::published()?;
    if let Some(Task::Check { fix, only }) = &args.task {
        return if *fix {
            api::write(&all)
        } else {
            check::run(&all, &all, None, only).finish()
        };
    }
    let chosen = choose(&all, &args.crates)?;
    if args.execute {
        Repo::here().expect_clean()?;
    }
    let report = check::run(&all, &chosen, args.level, &[]);
    if args.execute {
        report.finish()?;
        return publish::run(&chosen, args.level);
    }
    publish::print_plan(&chosen, args.level)?;
    report.finish()
}

/// All that `--dry-run` checks, for a longer report.
///
/// # Errors
///
/// Fails when the crates or what is published of them cannot be listed.
pub(crate) fn dry_run() -> Result<Report> {
    let all = crates::published()?;
    let report = check::run(&all, &all, None, &[]);
    publish::print_plan(&all, None)?;
    Ok(report)
}

/// The names of all published crates, each behind those that it depends on.
///
/// # Errors
///
/// Fails when cargo cannot list them.
pub(crate) fn names() -> Result<Vec<String>> {
    Ok(crates::published()?.into_iter().map(|c| c.name).collect())
}

fn choose(all: &[Crate], names: &[String]) -> Result<Vec<Crate>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|c| c.name != **name))
    {
        let known: Vec<_> = all.iter().map(|c| c.name.as_str()).collect();
        bail!(
            "`{unknown}` is not a published crate; there are {}",
            known.join(", ")
        );
    }
    let chosen = all
        .iter()
        .filter(|c| names.is_empty() || names.contains(&c.name));
    Ok(chosen.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_chosen_by_name_in_the_order_of_their_dependencies() {
        let all = crates::published().unwrap();
        assert_eq!(choose(&all, &[]).unwrap().len(), all.len());
        let names = [
            "webpubsub-client".to_owned(),
            "webpubsub-protocol".to_owned(),
        ];
        let chosen = choose(&all, &names).unwrap();
        let chosen: Vec<_> = chosen.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(chosen, ["webpubsub-protocol", "webpubsub-client"]);
        let error = choose(&all, &["webpubsubb".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("`webpubsubb` is not a published crate"),
            "{error}"
        );
    }
}
