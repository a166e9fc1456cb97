//! Each package on its own: packed, unpacked elsewhere, built and tested from what it contains.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;
use crate::interop::{Tools, target_folder};
use crate::test::counts::{self, Counts};
use crate::test::process;
use crate::test::report::Outcome;

/// The most that a package may weigh. All of ours are far below; what is above has something in it by mistake.
const MOST_KIB: u64 = 300;

/// Packs all crates and checks their sizes.
pub(super) fn pack(all: &[Crate]) -> Result<Outcome> {
    let mut cargo = Tools::default().cargo();
    cargo.args(["package", "--quiet", "--no-verify"]);
    // A dirty tree has been reported by a step of its own.
    cargo.arg("--allow-dirty");
    for c in all {
        cargo.args(["--package", &c.name]);
    }
    process::run_ok(&mut cargo)?;
    let mut counts = Counts::default();
    for c in all {
        let kib = fs::metadata(archive(c))
            .with_context(|| format!("{}: no package was made", c.name))?
            .len()
            .div_ceil(1024);
        println!("{:24} {kib:>4} KiB", c.spec());
        if kib <= MOST_KIB {
            counts.passed += 1;
        } else {
            counts.failed += 1;
            println!(
                "{}: the package is larger than {MOST_KIB} KiB; look at `include`",
                c.name
            );
        }
    }
    Ok(Outcome::Ran(counts))
}

/// Builds and tests the chosen crates from the packages that [`pack`] made, with our other crates from theirs.
pub(super) fn test(all: &[Crate], chosen: &[Crate]) -> Result<Outcome> {
    let scratch = target_folder().join("alone");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot empty {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    for c in all {
        unpack(&archive(c), &scratch)?;
    }
    let mut counts = Counts::default();
    for c in chosen {
        let mut cargo = Tools::default().cargo();
        cargo
            .current_dir(scratch.join(c.spec()))
            .args(["test", "--quiet", "--all-features"]);
        for other in all {
            let path = scratch.join(other.spec());
            cargo.args([
                "--config",
                &format!("patch.crates-io.{}.path={path:?}", other.name),
            ]);
        }
        // What the workspace has compiled is used again: same folder, same profile.
        cargo
            .env("CARGO_TARGET_DIR", target_folder())
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        let finished = process::run(&mut cargo)?;
        if let Outcome::Ran(ran) = Outcome::of(&finished, counts::cargo_test(&finished.output)) {
            counts += ran;
        }
    }
    Ok(Outcome::Ran(counts))
}

fn archive(c: &Crate) -> PathBuf {
    target_folder()
        .join("package")
        .join(format!("{}.crate", c.spec()))
}

fn unpack(archive: &Path, into: &Path) -> Result<()> {
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(into)
        .status()
        .context("cannot start `tar`")?;
    if !status.success() {
        bail!("cannot unpack {}", archive.display());
    }
    Ok(())
}
