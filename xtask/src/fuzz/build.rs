//! Building the fuzzer: this workspace's crates instrumented, all others as they are.
//!
//! Cargo calls what `RUSTC_WORKSPACE_WRAPPER` names in place of rustc for the members of the workspace only. That is this
//! program, which adds what libFuzzer needs to see where an input leads. So nothing else is compiled again: what the
//! tests have compiled of other crates fits, and generic code of theirs is instrumented where we use it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::interop::{Tools, target_folder};
use crate::test::process;

/// Set where this program is called in place of rustc.
const INSTRUMENT: &str = "XTASK_FUZZ_INSTRUMENT";

/// What cargo-fuzz passes, too: counters on each edge, and comparisons, whose operands the fuzzer tries.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Runs rustc with instrumentation, if that is what this program was started for.
pub(crate) fn wrapped_compiler() -> Option<ExitCode> {
    env::var_os(INSTRUMENT)?;
    let mut arguments = env::args_os().skip(1);
    let rustc = arguments.next()?;
    let status = Command::new(rustc).args(arguments).args(FLAGS).status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Builds the fuzzer and returns its path.
///
/// # Errors
///
/// Fails when it does not build.
pub(super) fn engine() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot find this program")?;
    let mut cargo = Tools::default().cargo();
    // The whole workspace is chosen, as in the tests, so that dependencies have the features that they have there.
    cargo
        .args([
            "test",
            "--no-run",
            "--workspace",
            "--test",
            "libfuzzer",
            "--features",
            "libfuzzer/engine",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .env("RUSTC_WORKSPACE_WRAPPER", this)
        .env(INSTRUMENT, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    process::say("building the fuzzer");
    let output = cargo.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the fuzzer does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "libfuzzer")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo does not say where the fuzzer is")
}

/// The program with the targets and without a fuzzer.
///
/// # Errors
///
/// Fails when it does not build.
pub(super) fn program() -> Result<PathBuf> {
    // Cargo builds the programs of a package before its tests.
    let mut cargo = Tools::default().cargo();
    process::run_ok(cargo.args(["build", "--quiet", "--workspace", "--test", "replay"]))?;
    Ok(target_folder()
        .join("debug")
        .join(format!("fuzz{}", env::consts::EXE_SUFFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_no_compiler() {
        assert!(wrapped_compiler().is_none());
    }
}
