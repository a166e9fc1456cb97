//! Change logs in the format of Keep a Changelog, written by hand.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::crates::Crate;

const UNRELEASED: &str = "## [Unreleased]";

/// Checks that the next release of a crate has something to say. A version that has its heading already is one whose
/// release stopped half-way.
pub(super) fn check(c: &Crate, is_raised: bool) -> Result<()> {
    let text = read(c)?;
    let is_promoted = !is_raised && text.contains(&heading(&c.version));
    if !is_promoted && unreleased(&text).is_none_or(str::is_empty) {
        bail!(
            "{}: CHANGELOG.md has nothing under `{UNRELEASED}`; write what users should know",
            c.name
        );
    }
    Ok(())
}

/// Gives what is unreleased a version and a date, below an empty section for what comes; once.
pub(super) fn promote(c: &Crate, date: &str) -> Result<()> {
    let text = read(c)?;
    let promoted = promoted(&text, &c.version, date);
    fs::write(c.folder.join("CHANGELOG.md"), promoted)
        .with_context(|| format!("{}: cannot write CHANGELOG.md", c.name))
}

fn read(c: &Crate) -> Result<String> {
    fs::read_to_string(c.folder.join("CHANGELOG.md"))
        .with_context(|| format!("{}: cannot read CHANGELOG.md", c.name))
}

fn heading(version: &str) -> String {
    format!("## [{version}]")
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
    let heading = heading(version);
    if text.contains(&heading) {
        return text.to_owned();
    }
    text.replacen(
        UNRELEASED,
        &format!("{UNRELEASED}\n\n{heading} - {date}"),
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
    fn missing_notes_are_one_clear_line_and_a_release_that_goes_on_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let c = Crate::example("it", "0.2.0", folder.path());
        let log = folder.path().join("CHANGELOG.md");
        fs::write(&log, LOG).unwrap();
        check(&c, true).unwrap();
        promote(&c, "2026-12-01").unwrap();
        check(&c, false).unwrap();
        assert_eq!(
            check(&c, true).unwrap_err().to_string(),
            "it: CHANGELOG.md has nothing under `## [Unreleased]`; write what users should know"
        );
    }

    #[test]
    fn a_release_gets_a_heading_of_its_own_once() {
        let text = promoted(LOG, "0.2.0", "2026-12-01");
        assert!(
            text.contains(
                "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- Streams.\n"
            )
        );
        assert_eq!(unreleased(&text), Some(""));
        assert_eq!(promoted(&text, "0.2.0", "2026-12-02"), text);
    }
}
