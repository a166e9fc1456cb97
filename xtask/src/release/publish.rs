//! Publishing, step by step, so that a run which stopped half-way goes on where it was.

use anyhow::{Context as _, Result, bail};

use super::crates::{self, Crate};
use super::git::Repo;
use super::{Level, changelog};
use crate::interop::Tools;
use crate::test::process;

/// Prints what `--execute` would do.
pub(super) fn print_plan(chosen: &[Crate], level: Option<Level>) -> Result<()> {
    println!("\nThe plan, in this order:");
    let repo = Repo::here();
    for c in chosen {
        let step = match level {
            Some(level) => format!("raise {} ({}), then publish", c.version, level.name()),
            None => match step_of(&repo, c) {
                Ok(step) => step.describe(c),
                Err(error) => format!("refused: {error}"),
            },
        };
        println!("  {:24} {step}", c.name);
    }
    Ok(())
}

/// Raises versions, commits, tags and publishes.
pub(super) fn run(chosen: &[Crate], level: Option<Level>) -> Result<()> {
    let repo = Repo::here();
    repo.expect_clean()?;
    if let Some(level) = level {
        raise(chosen, level)?;
    }
    // The versions may have changed.
    let names: Vec<_> = chosen.iter().map(|c| c.name.as_str()).collect();
    let mut chosen = crates::published()?;
    chosen.retain(|c| names.contains(&c.name.as_str()));
    let steps = chosen.iter().map(|c| Ok((c, step_of(&repo, c)?)));
    let steps = steps.collect::<Result<Vec<_>>>()?;
    expect_work(&steps)?;
    let date = process::probe("date", &["-u", "+%F"]).context("cannot start `date`")?;
    commit(&repo, &steps, &date)?;
    for (c, step) in steps {
        if step.is_published() {
            println!("{} is published already", c.spec());
            continue;
        }
        let mut cargo = Tools::default().cargo();
        cargo.args(["publish", "--package", &c.name]);
        process::run_ok(&mut cargo).with_context(|| {
            format!(
                "{} is not published; run `cargo xtask release --execute` to go on",
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
fn commit(repo: &Repo, steps: &[(&Crate, Step)], date: &str) -> Result<()> {
    let untagged = steps
        .iter()
        .filter(|(_, step)| *step == Step::TagAndPublish);
    let untagged: Vec<_> = untagged.map(|(c, _)| *c).collect();
    for c in &untagged {
        changelog::promote(c, date)?;
    }
    let specs: Vec<_> = untagged.iter().map(|c| c.spec()).collect();
    repo.commit(&format!("Release {}", specs.join(", ")))?;
    for c in untagged {
        repo.tag(&c.tag(&c.version))?;
    }
    Ok(())
}

/// What is left to do for the version of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It was published from an earlier commit.
    Earlier,
    /// It was published from this commit.
    Done,
    Publish,
    TagAndPublish,
}

impl Step {
    fn is_published(self) -> bool {
        matches!(self, Self::Earlier | Self::Done)
    }

    fn describe(self, c: &Crate) -> String {
        let version = &c.version;
        match self {
            Self::Earlier | Self::Done => format!("{version} is published already: nothing to do"),
            Self::Publish => format!("publish {version}, which is tagged already"),
            Self::TagAndPublish => format!("tag and publish {version}"),
        }
    }
}

fn step_of(repo: &Repo, c: &Crate) -> Result<Step> {
    step(
        c,
        repo.tagged(&c.tag(&c.version))?.as_deref(),
        &repo.head()?,
        is_published(c),
    )
}

/// What has its tag is published from the commit that bears it, and from no other.
fn step(c: &Crate, tagged: Option<&str>, head: &str, is_published: bool) -> Result<Step> {
    match tagged {
        Some(commit) if is_published && commit == head => Ok(Step::Done),
        _ if is_published => Ok(Step::Earlier),
        None => Ok(Step::TagAndPublish),
        Some(commit) if commit == head => Ok(Step::Publish),
        Some(_) => bail!(
            "{} is the tag of another commit; check that out to publish it, or name a level to raise the version",
            c.tag(&c.version)
        ),
    }
}

/// Fails when every version exists and this commit has released none of them.
fn expect_work(steps: &[(&Crate, Step)]) -> Result<()> {
    if steps.iter().all(|(_, step)| *step == Step::Earlier) {
        let specs: Vec<_> = steps.iter().map(|(c, _)| c.spec()).collect();
        bail!(
            "published already: {}; name a level to raise the versions",
            specs.join(", ")
        );
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::git::tests::repo;
    use super::*;

    const LOG: &str = "# Change log\n\n## [Unreleased]\n\n- Streams.\n";

    #[test]
    fn a_version_that_exists_is_left_alone_and_without_others_there_is_nothing_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let a = Crate::example("a", "0.1.0", folder.path());
        let b = Crate::example("b", "0.2.0", folder.path());
        assert_eq!(step(&a, None, "1", true).unwrap(), Step::Earlier);
        assert_eq!(step(&a, Some("1"), "2", true).unwrap(), Step::Earlier);
        assert_eq!(step(&a, Some("1"), "1", true).unwrap(), Step::Done);
        expect_work(&[(&a, Step::Earlier), (&b, Step::Publish)]).unwrap();
        expect_work(&[(&a, Step::Earlier), (&b, Step::Done)]).unwrap();
        let error = expect_work(&[(&a, Step::Earlier), (&b, Step::Earlier)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "published already: a-0.1.0, b-0.2.0; name a level to raise the versions"
        );
    }

    #[test]
    fn what_is_tagged_is_published_from_that_commit_only() {
        let folder = tempfile::tempdir().unwrap();
        let c = Crate::example("it", "0.1.0", folder.path());
        assert_eq!(step(&c, None, "1", false).unwrap(), Step::TagAndPublish);
        assert_eq!(step(&c, Some("1"), "1", false).unwrap(), Step::Publish);
        let error = step(&c, Some("1"), "2", false).unwrap_err().to_string();
        assert!(
            error.starts_with("it-v0.1.0 is the tag of another commit"),
            "{error}"
        );
    }

    #[test]
    fn a_release_that_stopped_goes_on_without_a_second_commit() {
        let folder = tempfile::tempdir().unwrap();
        let repo = repo(folder.path(), &[("CHANGELOG.md", LOG)]);
        let c = Crate::example("it", "0.1.0", folder.path());
        let first = repo.head().unwrap();
        let run = || {
            let tagged = repo.tagged("it-v0.1.0").unwrap();
            let step = step(&c, tagged.as_deref(), &repo.head().unwrap(), false).unwrap();
            commit(&repo, &[(&c, step)], "2026-12-01").unwrap();
        };
        run();
        let released = repo.head().unwrap();
        assert_ne!(released, first);
        assert_eq!(repo.tagged("it-v0.1.0").unwrap(), Some(released.clone()));
        let log = fs::read_to_string(folder.path().join("CHANGELOG.md")).unwrap();
        assert!(log.contains("## [0.1.0] - 2026-12-01"), "{log}");
        run();
        assert_eq!(repo.head().unwrap(), released);
    }
}
