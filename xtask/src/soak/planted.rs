//! Bugs that are planted to see that the simulation finds them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use super::graft;
use super::patch::Patch;
use super::scratch::Scratch;
use crate::interop::{Tools, root, target_folder};

/// Where the patches are.
const FOLDER: &str = "crates/simulation/planted";

/// Seeds within which a bug must be found.
const SEEDS: &str = "100";

/// How many bugs a test run plants. Building them takes most of its time, however many they are.
const PER_DAY: usize = 10;

/// A bug that makes the simulation hang is one that it does not find.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Which bugs to plant.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    All,
    Named(&'a str),
    /// The ones whose turn it is. Within some days, each has its turn.
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
    let scratch = Scratch::new(root(), target_folder().join("planted"));
    scratch.fill(&with_bugs(&patches)?)?;
    build(&scratch)?;
    // What finds bugs where there are none proves nothing.
    simulate("", &["--seeds", "20"]).context("without a bug")?;
    let mut failures = Vec::new();
    for patch in &patches {
        let arguments = ["--world", &patch.world, "--until", &patch.rule];
        let line = match simulate(&patch.name, &[&arguments[..], &["--seeds", SEEDS]].concat()) {
            Ok(()) => format!("found: {}", patch.rule),
            Err(error) => {
                failures.push(patch.name.as_str());
                format!("NOT FOUND: {error:#}")
            }
        };
        println!("{:<34} {line}", patch.name);
    }
    // Nobody should take it for the program without bugs.
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
        graft::check_name(&name)?;
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

/// The texts of the files in which bugs are planted.
fn with_bugs(patches: &[Patch]) -> Result<BTreeMap<String, String>> {
    let text = |path: &str| {
        fs::read_to_string(root().join(path)).with_context(|| format!("there is no {path}"))
    };
    let switch = graft::with_switch(&text(graft::SWITCH_FILE)?);
    let mut texts = BTreeMap::from([(graft::SWITCH_FILE.to_owned(), switch)]);
    for (path, edits) in graft::by_file(patches) {
        texts.insert(path.to_owned(), graft::graft(path, &text(path)?, &edits)?);
    }
    Ok(texts)
}

/// Runs the simulation with a bug.
///
/// # Errors
///
/// Fails when the run did, with the checks that failed.
fn simulate(bug: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env(graft::VARIABLE, bug)
        // Panics of planted bugs are findings; their traces would only be in the way.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().context("the simulation does not start")?;
    let mut output = child.stdout.take().context("it has no output")?;
    let (report, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = output.read_to_string(&mut text);
        // Nobody listens any more once the time is over.
        let _ = report.send(text);
    });
    let Ok(printed) = printed.recv_timeout(TIME_LIMIT) else {
        child.kill()?;
        child.wait()?;
        bail!("it takes more than {} s", TIME_LIMIT.as_secs());
    };
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let failed: Vec<_> = printed
        .lines()
        .filter(|it| it.contains("  failed: "))
        .collect();
    match &failed[..] {
        [] => bail!("no seed failed ({status})"),
        failed => bail!("other checks failed: {}", failed.join("; ")),
    }
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
        let patches = all().expect("patches that can be read");
        let errors = patches.chunks(1).filter_map(|one| with_bugs(one).err());
        let errors: Vec<_> = errors.map(|error| format!("{error:#}")).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }

    #[test]
    fn every_planted_bug_has_its_turn() {
        let patches = all().expect("patches that can be read");
        let turns = patches.len().div_ceil(PER_DAY);
        assert!(turns * PER_DAY >= patches.len() && turns <= 14, "{turns}");
    }
}
