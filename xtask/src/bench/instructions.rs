//! `cargo xtask bench --instructions`: how many instructions pieces of work need, beside what they needed before.
//!
//! Times differ from machine to machine and from one run to the next; instructions hardly do, so a check can judge them.
//! They depend on the compiler and the processor's family, though: the baseline names both, and nothing is judged where
//! they differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::interop::{Tools, root};
use crate::test::process;
use crate::test::report::Missing;

/// The share by which a count may differ from the baseline.
const TOLERANCE: f64 = 0.05;

/// How often a piece of work is done in the first run, and how much oftener in the second.
const WARM: u64 = 200;
const COUNTED: u64 = 400;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Baseline {
    /// What `rustc --version` prints.
    compiler: String,
    /// The processor's family.
    architecture: String,
    /// Instructions of each piece of work, done once.
    instructions: BTreeMap<String, u64>,
}

/// Counts and compares, or replaces the baseline; returns how many pieces of work were compared.
///
/// # Errors
///
/// Fails when a count differs by more than 5 % from its baseline, with all of those that do, and as [`Missing`] when
/// nothing can be compared here.
pub(crate) fn run(write: bool) -> Result<usize> {
    if process::probe("valgrind", &["--version"]).is_none() {
        return Err(Missing::new("no valgrind; install it as a package of your system").into());
    }
    let compiler = process::probe("rustc", &["--version"]).context("no rustc")?;
    let stored = load()?;
    let architecture = std::env::consts::ARCH.to_owned();
    let comparable =
        |stored: &Baseline| stored.compiler == compiler && stored.architecture == architecture;
    if !write && !stored.as_ref().is_some_and(comparable) {
        return Err(Missing::new(
            "the baseline is of another compiler or processor; `cargo xtask bench --instructions --write` makes one",
        )
        .into());
    }
    let program = Tools::default()
        .release(&["instructions"])?
        .join("instructions");
    let works = String::from_utf8(Command::new(&program).output()?.stdout)?;
    let mut counted = BTreeMap::new();
    for work in works.lines() {
        let each =
            (count(&program, work, WARM + COUNTED)? - count(&program, work, WARM)?) / COUNTED;
        counted.insert(work.to_owned(), each);
    }
    let before = stored.map(|stored| stored.instructions).unwrap_or_default();
    print(&before, &counted);
    if write {
        save(&Baseline {
            compiler,
            architecture,
            instructions: counted,
        })?;
        return Ok(before.len());
    }
    let differences = differences(&before, &counted);
    if !differences.is_empty() {
        bail!(
            "{}\nWhere this is meant, `cargo xtask bench --instructions --write` replaces the baseline.",
            differences.join("\n")
        );
    }
    Ok(counted.len())
}

fn path() -> PathBuf {
    root().join("tests/load/instructions/baseline.json")
}

fn load() -> Result<Option<Baseline>> {
    let path = path();
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)?;
    let baseline = serde_json::from_str(&text);
    Ok(Some(baseline.with_context(|| {
        format!("{} is no baseline", path.display())
    })?))
}

fn save(baseline: &Baseline) -> Result<()> {
    let text = serde_json::to_string_pretty(baseline)? + "\n";
    Ok(std::fs::write(path(), text)?)
}

/// The instructions of one run.
fn count(program: &Path, work: &str, times: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .env("RUST_BACKTRACE", "0")
        .arg(program)
        .args([work, &times.to_string()])
        .output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{work} failed: {report}");
    }
    total(&report).with_context(|| format!("valgrind counted nothing: {report}"))
}

/// The number of a line as `==42== I   refs:      1,234`.
fn total(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.contains("refs:"))?;
    let (_, number) = line.rsplit_once(':')?;
    number.trim().replace(',', "").parse().ok()
}

fn print(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) {
    println!("{:26} {:>10} {:>10}", "instructions", "baseline", "now");
    for (work, count) in now {
        let baseline = before.get(work).map_or("-".to_owned(), u64::to_string);
        println!("{work:26} {baseline:>10} {count:>10}");
    }
}

/// A line for each piece of work whose count is not what it was, or that only one side knows.
fn differences(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let changed = now.iter().filter_map(|(work, &count)| {
        let Some(&baseline) = before.get(work) else {
            return Some(format!("{work}: no baseline"));
        };
        let change = count as f64 / baseline.max(1) as f64 - 1.0;
        (change.abs() > TOLERANCE).then(|| {
            let percent = change * 100.0;
            format!("{work}: {count} instructions, {percent:+.1} % of {baseline}")
        })
    });
    let gone = before
        .keys()
        .filter(|work| !now.contains_key(*work))
        .map(|work| format!("{work}: in the baseline only"));
    changed.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_in_the_report() {
        let report = "==7== Cachegrind\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(total(report), Some(1_234_567));
        assert_eq!(total("==7== I refs:        12\n"), Some(12));
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn more_or_fewer_instructions_than_allowed_are_named() {
        let counts = |list: &[(&str, u64)]| {
            let list = list.iter().map(|&(work, count)| (work.to_owned(), count));
            list.collect::<BTreeMap<_, _>>()
        };
        let before = counts(&[("a", 100), ("b", 100), ("c", 100), ("gone", 1)]);
        let now = counts(&[("a", 104), ("b", 106), ("c", 94), ("new", 1)]);
        assert_eq!(
            differences(&before, &now),
            [
                "b: 106 instructions, +6.0 % of 100",
                "c: 94 instructions, -6.0 % of 100",
                "new: no baseline",
                "gone: in the baseline only",
            ]
        );
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn the_stored_baseline_can_be_read() {
        assert!(!load().unwrap().unwrap().instructions.is_empty());
    }
}
