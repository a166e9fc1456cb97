//! What is uploaded: one archive for each crate, small enough to have nothing in it by mistake.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;
use crate::interop::{Tools, root, target_folder};
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::Outcome;

/// The document with the table of sizes.
const SIZES: &str = "RELEASING.md";

/// Packs all crates, does with them all of publishing but the upload, and checks their sizes.
pub(super) fn pack(all: &[Crate]) -> Result<Outcome> {
    for task in [&["package"][..], &["publish", "--dry-run"]] {
        let mut cargo = Tools::default().cargo();
        // They are built by a step of their own, and a dirty tree is reported by another.
        cargo
            .args(task)
            .args(["--quiet", "--no-verify", "--allow-dirty"]);
        for c in all {
            cargo.args(["--package", &c.name]);
        }
        process::run_ok(&mut cargo)?;
    }
    let table =
        fs::read_to_string(root().join(SIZES)).with_context(|| format!("cannot read {SIZES}"))?;
    let mut counts = Counts::default();
    for c in all {
        let kib = fs::metadata(archive(c))
            .with_context(|| format!("{}: no package was made", c.name))?
            .len()
            .div_ceil(1024);
        match judge(&c.name, kib, &table) {
            Ok(()) => {
                counts.passed += 1;
                println!("{:24} {kib:>4} KiB", c.spec());
            }
            Err(error) => {
                counts.failed += 1;
                println!("{error}");
            }
        }
    }
    Ok(Outcome::Ran(counts))
}

/// Where [`pack`] leaves the package of a crate.
pub(super) fn archive(c: &Crate) -> PathBuf {
    target_folder()
        .join("package")
        .join(format!("{}.crate", c.spec()))
}

/// Compares a size with the table's.
fn judge(name: &str, kib: u64, table: &str) -> Result<()> {
    let most = most(name, table)
        .with_context(|| format!("{name}: {SIZES} has no line `| `{name}` | … KiB |`"))?;
    if kib > most {
        bail!(
            "{name}: the package has {kib} KiB, {SIZES} allows {most}; look at `include`, or raise the number"
        );
    }
    Ok(())
}

fn most(name: &str, table: &str) -> Option<u64> {
    let row = format!("| `{name}` | ");
    let cell = table.lines().find_map(|line| line.strip_prefix(&row))?;
    cell.split_once(" KiB")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_grew_beyond_the_table_is_named() {
        let table = "| crate | at most |\n|---|---|\n| `it` | 300 KiB |\n";
        judge("it", 300, table).unwrap();
        let error = judge("it", 301, table).unwrap_err().to_string();
        assert!(
            error.starts_with("it: the package has 301 KiB, RELEASING.md allows 300"),
            "{error}"
        );
        assert!(judge("other", 1, table).is_err());
    }
}
