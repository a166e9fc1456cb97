//! Change logs in the format of Keep a Changelog, written by hand.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;

const UNRELEASED: &str = "## [Unreleased]";

/// Checks that the next release of a crate has something to say.
pub(super) fn check(c: &Crate) -> Result<()> {
    let text = read(c)?;
    if unreleased(&text).is_none_or(str::is_empty) {
        bail!("{}: CHANGELOG.md has nothing under `{UNRELEASED}`", c.name);
    }
    Ok(())
}

/// Gives what is unreleased a version and a date, below an empty section for what comes.
pub(super) fn promote(c: &Crate, version: &str, date: &str) -> Result<()> {
    let text = read(c)?;
    let promoted = promoted(&text, version, date);
    fs::write(c.folder.join("CHANGELOG.md"), promoted)
        .with_context(|| format!("{}: cannot write CHANGELOG.md", c.name))
}

fn read(c: &Crate) -> Result<String> {
    fs::read_to_string(c.folder.join("CHANGELOG.md"))
        .with_context(|| format!("{}: cannot read CHANGELOG.md", c.name))
}

/// What stands under the heading of the next release: `None` without one, empty where only headings stand.
fn unreleased(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(UNRELEASED)?;
    let section = rest.split("\n## ").next().unwrap_or_default().trim();
    let says_something = section
        .lines()
        .any(|line| !line.trim().is_empty() && !line.starts_with('#'));
    Some(if says_something { section } else { "" })
}

fn promoted(text: &str, version: &str, date: &str) -> String {
    text.replacen(
        UNRELEASED,
        &format!("{UNRELEASED}\n\n## [{version}] - {date}"),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Change log\n\n## [Unreleased]\n\n### Added\n\n- Streams.\n\n## [0.1.0] - 2026-11-24\n\n- First.\n";

    #[test]
    fn the_next_release_has_something_to_say() {
        assert_eq!(unreleased(LOG), Some("### Added\n\n- Streams."));
        assert_eq!(
            unreleased("## [Unreleased]\n\n### Added\n\n## [0.1.0]\n- First."),
            Some("")
        );
        assert_eq!(unreleased("# Change log\n"), None);
    }

    #[test]
    fn a_release_gets_a_heading_of_its_own() {
        let text = promoted(LOG, "0.2.0", "2026-12-01");
        assert!(
            text.contains(
                "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- Streams.\n"
            )
        );
        assert_eq!(unreleased(&text), Some(""));
    }
}
