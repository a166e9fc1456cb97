//! The lines in a crate's README that say how many crates it brings along and how long a first build takes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, thread};

use anyhow::{Context as _, Result, bail};

use crate::codegen::{Output, workspace_root};
use crate::interop::{Tools, target_folder};
use crate::test::process;

const START: &str = "<!-- dependencies: written by `cargo xtask deps` -->\n";
const END: &str = "<!-- /dependencies -->\n";
/// How the sentence starts that only a measurement changes.
const MEASURED: &str = "A first `cargo build`";

/// The README of a crate with the numbers of today.
pub(super) fn output(name: &str, measure: bool) -> Result<Output> {
    let path = PathBuf::from(format!("crates/{name}/README.md"));
    let readme = workspace_root().join(&path);
    let readme =
        fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let (usual, least) = (count(name, &[])?, count(name, &["--no-default-features"])?);
    let counted = if usual == least {
        format!("On Linux this crate brings {usual} others along.\n")
    } else {
        format!(
            "On Linux this crate brings {usual} others along, without its default features {least}.\n"
        )
    };
    let measured = measure.then(|| measured(name)).transpose()?;
    Ok(Output {
        contents: replace(&readme, &counted, measured.as_deref())
            .with_context(|| format!("{}: no place for the numbers", path.display()))?,
        path,
    })
}

/// The other crates in a build for Linux. Wherever this runs, the number is the same.
fn count(name: &str, features: &[&str]) -> Result<usize> {
    let mut cargo = Tools::default().cargo();
    cargo
        .args(["tree", "--locked", "--package", name, "--edges", "normal"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}"])
        .args(features);
    let output = cargo.output().context("cannot start `cargo tree`")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name}: `cargo tree` failed: {}", said.trim());
    }
    let tree = String::from_utf8_lossy(&output.stdout);
    // The first one is the crate itself.
    Ok(tree.lines().collect::<BTreeSet<_>>().len() - 1)
}

/// Builds a crate from nothing and says how long that took.
fn measured(name: &str) -> Result<String> {
    process::run_ok(Tools::default().cargo().args(["fetch", "--locked"]))?;
    let folder = target_folder().join("cold");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut cargo = Tools::default().cargo();
    cargo
        .args(["build", "--quiet", "--locked", "--package", name])
        .env("CARGO_TARGET_DIR", &folder);
    let start = Instant::now();
    process::run_ok(&mut cargo)?;
    let seconds = start.elapsed().as_secs();
    fs::remove_dir_all(&folder)?;
    let rust = process::probe("rustc", &["--version"]).unwrap_or_default();
    let rust = rust.split_whitespace().nth(1).unwrap_or("?").to_owned();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(format!(
        "{MEASURED} takes about {seconds} s (one measurement: Rust {rust}, {cores} cores of {}).\n",
        processor()
    ))
}

fn processor() -> String {
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = listed.lines();
    let name = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    match name {
        Some((_, name)) => format!("an {}", name.trim()),
        None => format!("an {} machine", env::consts::ARCH),
    }
}

/// Replaces what stands between the marks. What was measured stays until it is measured again.
fn replace(readme: &str, counted: &str, measured: Option<&str>) -> Option<String> {
    let (before, rest) = readme.split_once(START)?;
    let (block, after) = rest.split_once(END)?;
    let kept = block.find(MEASURED).map_or("", |at| &block[at..]);
    let measured = measured.unwrap_or(kept);
    Some(format!("{before}{START}{counted}{measured}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_stays_until_it_is_measured_again() {
        let readme = format!("a\n{START}old\n{MEASURED} takes 5 s.\n{END}b\n");
        let counted = replace(&readme, "7 crates.\n", None).unwrap();
        assert_eq!(
            counted,
            format!("a\n{START}7 crates.\n{MEASURED} takes 5 s.\n{END}b\n")
        );
        let measured = replace(&counted, "7 crates.\n", Some("6 s.\n")).unwrap();
        assert_eq!(measured, format!("a\n{START}7 crates.\n6 s.\n{END}b\n"));
        assert_eq!(replace("no marks", "", None), None);
    }

    #[test]
    fn the_count_leaves_the_crate_itself_out() {
        let all = count("webpubsub-protocol", &["--all-features"]).unwrap();
        let least = count("webpubsub-protocol", &["--no-default-features"]).unwrap();
        assert!(0 < least && least < all, "{least} of {all}");
    }
}
