//! `cargo xtask fuzz`: the targets of `tests/fuzz` behind libFuzzer, on the stable toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

use crate::interop::{root, target_folder};
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::Outcome;

mod build;

pub(crate) use build::wrapped_compiler;

/// How long a crash is made smaller.
const MINIMISE_SECONDS: u64 = 20;

/// One input may take this long, in seconds, and this much memory, in MiB.
const SLOWEST_SECONDS: u64 = 10;
const MEMORY_MIB: u64 = 1024;

/// All targets together in a run of CI, without the build.
const SHORT: Duration = Duration::from_secs(70);

/// Run the fuzz targets, all in turn or one, and keep what they find.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this target only.
    target: Option<String>,
    /// How long to run in all, without the build.
    #[arg(long, default_value_t = 5.0, value_name = "N")]
    minutes: f64,
    /// List the targets.
    #[arg(long)]
    list: bool,
}

/// Builds and runs the targets.
///
/// # Errors
///
/// Fails when something does not build, or a target found something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = build::program()?;
    let targets = Target::all(&program)?;
    if args.list {
        for Target { name, about, .. } in &targets {
            println!("{name:<18} {about}");
        }
        return Ok(());
    }
    let chosen: Vec<_> = match &args.target {
        None => targets.iter().collect(),
        Some(name) => targets
            .iter()
            .filter(|target| target.name == *name)
            .collect(),
    };
    ensure!(
        !chosen.is_empty(),
        "there is no such target: see `cargo xtask fuzz --list`"
    );
    ensure!(
        args.minutes.is_finite() && args.minutes > 0.0,
        "--minutes must be more than 0"
    );
    let time = Duration::from_secs_f64(args.minutes * 60.0);
    let counts = fuzz(&program, &chosen, time, None)?;
    ensure!(
        counts.failed == 0,
        "{} of {} targets found something",
        counts.failed,
        chosen.len()
    );
    println!("{} targets found nothing", counts.passed);
    Ok(())
}

/// The short form, with the same inputs each time as far as the machine is as fast.
///
/// # Errors
///
/// Fails when something does not build.
pub(crate) fn suite() -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "libFuzzer is built here on Linux only".to_owned(),
        ));
    }
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if process::probe(&compiler, &["--version"]).is_none() {
        return Ok(Outcome::Skipped(
            "no C++ compiler; libFuzzer needs one".to_owned(),
        ));
    }
    let program = build::program()?;
    let targets = Target::all(&program)?;
    let chosen: Vec<_> = targets.iter().collect();
    Ok(Outcome::Ran(fuzz(&program, &chosen, SHORT, Some(1))?))
}

fn fuzz(program: &Path, targets: &[&Target], time: Duration, seed: Option<u32>) -> Result<Counts> {
    let engine = build::engine()?;
    let count = u32::try_from(targets.len()).context("too many targets")?;
    let seconds = (time / count).as_secs().max(1);
    let mut counts = Counts::default();
    for target in targets {
        match target.fuzz(program, &engine, seconds, seed)? {
            true => counts.passed += 1,
            false => counts.failed += 1,
        }
    }
    Ok(counts)
}

/// A target, as the program of `tests/fuzz` lists it.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    name: String,
    longest: String,
    about: String,
}

impl Target {
    fn all(program: &Path) -> Result<Vec<Self>> {
        let list = Command::new(program)
            .arg("list")
            .output()
            .context("cannot list the targets")?;
        ensure!(
            list.status.success(),
            "{}",
            String::from_utf8_lossy(&list.stderr)
        );
        let text = String::from_utf8(list.stdout).context("the list is not UTF-8")?;
        text.lines().map(Self::read).collect()
    }

    fn read(line: &str) -> Result<Self> {
        let mut parts = line.split('\t').map(str::to_owned);
        let (Some(name), Some(longest), Some(about)) = (parts.next(), parts.next(), parts.next())
        else {
            bail!("`{line}` is no line of the list of targets");
        };
        Ok(Self {
            name,
            longest,
            about,
        })
    }

    /// Fuzzes for so long; whether nothing was found.
    fn fuzz(&self, program: &Path, engine: &Path, seconds: u64, seed: Option<u32>) -> Result<bool> {
        let Self { name, longest, .. } = self;
        let folder = target_folder().join("fuzz").join(name);
        let (grown, crashes) = (folder.join("corpus"), folder.join("crashes"));
        for folder in [&grown, &crashes] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        process::run_ok(Command::new(program).arg("prepare").arg(name).arg(&folder))?;
        let before = files(&crashes)?;
        let mut command = self.command(engine);
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={longest}"))
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args(["-verbosity=0", "-print_final_stats=1"]);
        let words = folder.join("words.dict");
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        if let Some(seed) = seed {
            command.arg(format!("-seed={seed}"));
        }
        command.arg(&grown).arg(folder.join("seeds"));
        let committed = root().join("tests/fuzz/corpus").join(name);
        if committed.is_dir() {
            command.arg(committed);
        }
        // Most of what it prints is for people who work on fuzzers.
        let (finished, output) = process::held_back(|| process::run(&mut command));
        let finished = finished?;
        if finished.status.success() {
            let (runs, new) = (
                stat(&output, "number_of_executed_units"),
                stat(&output, "new_units_added"),
            );
            process::say(&format!("{name:<18} {runs:>9} runs, {new} new inputs"));
            return Ok(true);
        }
        process::say(output.trim_end());
        let found = files(&crashes)?;
        let found: Vec<_> = found.iter().filter(|file| !before.contains(file)).collect();
        for file in &found {
            self.report(engine, file)?;
        }
        if found.is_empty() {
            process::say(&format!(
                "{name}: ended with {}, and left no input",
                finished.status
            ));
        }
        Ok(false)
    }

    fn command(&self, engine: &Path) -> Command {
        let mut command = Command::new(engine);
        command
            .current_dir(root())
            .env("FUZZ_TARGET", &self.name)
            .env("RUST_BACKTRACE", "0")
            .arg(format!("-timeout={SLOWEST_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"));
        command
    }

    /// Makes an input smaller, and says how to see and to keep it.
    fn report(&self, engine: &Path, file: &Path) -> Result<()> {
        let name = &self.name;
        let small = file.with_extension("min");
        let mut command = self.command(engine);
        command
            .args(["-minimize_crash=1", "-verbosity=0"])
            .arg(format!("-max_total_time={MINIMISE_SECONDS}"))
            .arg(format!("-exact_artifact_path={}", small.display()))
            .arg(file);
        // Its output is the finding, over and over.
        command.output().context("cannot start the fuzzer again")?;
        let file = if small.is_file() { &small } else { file };
        let shown = file.strip_prefix(root()).unwrap_or(file).display();
        process::say(&format!("{name}: found {shown}"));
        process::say(&format!(
            "  see it:  cargo run --package fuzz -- run {name} {shown}"
        ));
        process::say(&format!(
            "  keep it: cp {shown} tests/fuzz/corpus/{name}/WHAT-IT-SHOWS"
        ));
        Ok(())
    }
}

/// A number that libFuzzer prints at its end.
fn stat<'o>(output: &'o str, name: &str) -> &'o str {
    let value = |line: &'o str| {
        line.strip_prefix("stat::")?
            .strip_prefix(name)?
            .strip_prefix(':')
    };
    output.lines().find_map(value).unwrap_or("?").trim()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_is_a_target() {
        let target = Target::read("json_client\t4096\tframes of clients").unwrap();
        assert_eq!((&*target.name, &*target.longest), ("json_client", "4096"));
        assert!(Target::read("warning: unused").is_err());
    }

    #[test]
    fn reads_what_the_fuzzer_counted() {
        let output =
            "noise\nstat::number_of_executed_units: 37009\nstat::new_units_added:          547\n";
        assert_eq!(stat(output, "number_of_executed_units"), "37009");
        assert_eq!(stat(output, "new_units_added"), "547");
        assert_eq!(stat(output, "peak_rss_mb"), "?");
    }
}
