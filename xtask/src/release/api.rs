//! Listings of what each crate makes public, kept beside it in `api.txt`, so that a change of the API shows in a diff.
//!
//! The compiler writes them as JSON, which the library behind `cargo public-api` reads. That JSON has a version of its
//! own, which belongs to a version of the compiler; with another compiler the comparison is skipped by name.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;
use crate::interop::{Tools, target_folder};
use crate::test::process;
use crate::test::report::Outcome;

/// The compiler whose JSON the library reads.
const RUSTC: &str = "rustc 1.95.";

/// Compares each crate's API with its listing.
pub(super) fn check(crates: &[Crate]) -> Result<Outcome> {
    if let Some(why) = cannot() {
        return Ok(Outcome::Skipped(why));
    }
    document(crates)?;
    let (mut passed, mut failed) = (0, 0);
    for c in crates {
        let (now, listed) = (list(c)?, fs::read_to_string(file(c)).unwrap_or_default());
        if now == listed {
            passed += 1;
        } else {
            failed += 1;
            println!(
                "{}: its public API is not what api.txt lists:\n{}",
                c.name,
                difference(&listed, &now)
            );
        }
    }
    if failed > 0 {
        println!(
            "when this is meant, run `cargo xtask release check --fix` and commit the listings"
        );
    }
    Ok(Outcome::checked(passed, failed))
}

/// Writes the listings.
pub(super) fn write(crates: &[Crate]) -> Result<()> {
    if let Some(why) = cannot() {
        bail!("the listings cannot be made: {why}");
    }
    document(crates)?;
    for c in crates {
        fs::write(file(c), list(c)?)
            .with_context(|| format!("{}: cannot write api.txt", c.name))?;
    }
    Ok(())
}

fn file(c: &Crate) -> PathBuf {
    c.folder.join("api.txt")
}

fn folder() -> PathBuf {
    target_folder().join("api")
}

fn cannot() -> Option<String> {
    let version = process::probe("rustc", &["--version"]).unwrap_or_default();
    (!version.starts_with(RUSTC))
        .then(|| format!("the listings are made with {RUSTC}x, here is {version}"))
}

/// Lets rustdoc write its JSON, with all features.
fn document(crates: &[Crate]) -> Result<()> {
    let mut cargo = Tools::default().cargo();
    cargo
        .args(["doc", "--quiet", "--no-deps", "--lib", "--all-features"])
        // The format of the JSON is unstable; nothing that is shipped is built this way.
        .env("RUSTC_BOOTSTRAP", "1")
        // Some build scripts look at that variable: in the usual folder all that depends on them would be built again.
        .env("CARGO_TARGET_DIR", folder())
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    for c in crates {
        cargo.args(["--package", &c.name]);
    }
    process::run_ok(&mut cargo)
}

/// One line for each public item, sorted as the library sorts them.
fn list(c: &Crate) -> Result<String> {
    let json = folder()
        .join("doc")
        .join(format!("{}.json", c.name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| format!("{}: cannot read what rustdoc wrote", c.name))?;
    Ok(api.to_string())
}

/// The lines that were taken away, then those that were added.
fn difference(before: &str, after: &str) -> String {
    let mut text = String::new();
    for (mark, these, those) in [('-', before, after), ('+', after, before)] {
        for line in these
            .lines()
            .filter(|line| those.lines().all(|other| other != *line))
        {
            writeln!(text, "{mark} {line}").expect("writing to a String does not fail");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), "- a\n+ c\n");
        assert_eq!(difference("a\n", "a\n"), "");
    }
}
