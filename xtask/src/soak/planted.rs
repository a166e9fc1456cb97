//! Bugs that are planted to see that the simulation finds them.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use super::patch::Patch;
use super::scratch::Scratch;
use crate::interop::{Tools, root, target_folder};

/// Where the patches are.
const FOLDER: &str = "crates/simulation/planted";

/// Seeds within which a bug must be found.
const SEEDS: &str = "100";

/// How many bugs a test run plants: about a minute of building on two cores.
const PER_DAY: usize = 3;

/// Which bugs to plant.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    All,
    Named(&'a str),
    /// The ones whose turn it is. In some weeks, each had its turn.
    Today,
}

/// Plants the bugs and looks for each.
///
/// # Errors
///
/// Fails when a patch does not apply or build, or when the simulation does not find the bug by the
/// rule that the patch names. The others are tried all the same.
pub(super) fn run(choice: &Choice<'_>) -> Result<()> {
    let patches = choose(all()?, choice)?;
    let scratch = Scratch::new(root(), target_folder().join("planted"))?;
    let mut failures = Vec::new();
    for patch in &patches {
        let line = match find(&scratch, patch) {
            Ok(seeds) => format!("found with {seeds} of {SEEDS} seeds: {}", patch.rule),
            Err(error) => {
                failures.push(patch.name.as_str());
                format!("NOT FOUND: {error:#}")
            }
        };
        println!("{:<28} {line}", patch.name);
    }
    // What was built last has a bug in it.
    fs::remove_file(program()).ok();
    ensure!(
        failures.is_empty(),
        "{} of {} planted bugs were not found: {}",
        failures.len(),
        patches.len(),
        failures.join(", ")
    );
    println!("{} planted bugs found", patches.len());
    Ok(())
}

/// All patches, by name.
///
/// # Errors
///
/// Fails when one cannot be read.
pub(super) fn all() -> Result<Vec<Patch>> {
    let folder = root().join(FOLDER);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no folder {FOLDER}"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)?;
        Patch::parse(&name, &text).with_context(|| format!("the planted bug `{name}`"))
    };
    paths.into_iter().map(read).collect()
}

fn choose(mut patches: Vec<Patch>, choice: &Choice<'_>) -> Result<Vec<Patch>> {
    match choice {
        Choice::All => {}
        Choice::Named(name) => {
            let names: Vec<_> = patches.iter().map(|patch| patch.name.clone()).collect();
            patches.retain(|patch| patch.name == *name);
            if patches.is_empty() {
                bail!(
                    "no planted bug is called `{name}`; there are {}",
                    names.join(", ")
                );
            }
        }
        Choice::Today => {
            let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / (24 * 60 * 60);
            let turns = patches.len().div_ceil(PER_DAY).max(1);
            let turn = usize::try_from(days)? % turns;
            patches = patches
                .into_iter()
                .skip(turn * PER_DAY)
                .take(PER_DAY)
                .collect();
        }
    }
    Ok(patches)
}

/// Builds the simulation with this bug; how many seeds failed by the rule that must catch it.
fn find(scratch: &Scratch, patch: &Patch) -> Result<u64> {
    scratch.reset()?;
    for edit in &patch.edits {
        scratch.change(&edit.path, |text| edit.apply(text))?;
    }
    build(scratch)?;
    let mut command = Command::new(program());
    command
        .args(["--world", &patch.world, "--seeds", SEEDS])
        // Panics of planted bugs are findings; their traces would only be in the way.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    let output = command.output().context("the simulation does not start")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = printed.lines().filter_map(failed_check).collect();
    let by_rule = failed.iter().find(|(_, check)| *check == patch.rule);
    match by_rule {
        Some((seeds, _)) => Ok(*seeds),
        None if failed.is_empty() => bail!("no seed failed ({})", output.status),
        None => bail!("`{}` did not fail, but {failed:?}", patch.rule),
    }
}

/// `soak` counts the failures of each check: "  12  failed: CHECK, with the seeds [..]".
fn failed_check(line: &str) -> Option<(u64, &str)> {
    let (seeds, rest) = line.trim_start().split_once("  failed: ")?;
    let (check, _) = rest.split_once(", with the seeds [")?;
    Some((seeds.parse().ok()?, check))
}

/// Builds `soak` of the copy. The copy shares its dependencies with the tests of the workspace: it is
/// built with the features that all its packages ask for, and into the same folder.
fn build(scratch: &Scratch) -> Result<()> {
    let mut cargo = Tools::default().cargo();
    cargo
        .args([
            "test",
            "--quiet",
            "--workspace",
            "--test",
            "seeds",
            "--no-run",
        ])
        .current_dir(scratch.folder())
        .env("CARGO_TARGET_DIR", target_folder())
        // A build that was broken off must not leave half of an object behind for the next one.
        .env("CARGO_INCREMENTAL", "0")
        .stdin(Stdio::null());
    let output = cargo.output().context("cargo does not start")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("it does not build:\n{errors}");
    }
    Ok(())
}

/// Cargo builds the programs of a package for its integration tests.
fn program() -> PathBuf {
    let name = format!("soak{}", env::consts::EXE_SUFFIX);
    target_folder().join("debug").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_still_applies() {
        for patch in all().expect("patches that can be read") {
            for edit in &patch.edits {
                let text = fs::read_to_string(root().join(&edit.path));
                let text = text.unwrap_or_else(|_| panic!("{}: no {}", patch.name, edit.path));
                let changed = edit.apply(&text);
                let changed = changed.unwrap_or_else(|error| panic!("{}: {error:#}", patch.name));
                assert_ne!(changed, text, "{}", patch.name);
            }
        }
    }

    #[test]
    fn every_planted_bug_has_its_turn() {
        let patches = all().expect("patches that can be read");
        let turns = patches.len().div_ceil(PER_DAY);
        assert!(turns * PER_DAY >= patches.len() && turns <= 31, "{turns}");
    }

    #[test]
    fn failed_checks_are_read_from_the_summary() {
        let line = "        12  failed: nothing panics, with the seeds [1, 2]";
        assert_eq!(failed_check(line), Some((12, "nothing panics")));
        assert_eq!(failed_check("        12  SessionRestarted"), None);
    }
}
