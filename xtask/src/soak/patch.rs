//! Patches that plant a bug.
//!
//! A patch is a unified diff below a header of `Key: value` lines:
//!
//! ```text
//! What is wrong, for people.
//! World: session
//! Rule: the check of the simulation that must fail
//!
//! --- a/crates/webpubsub-protocol/src/session/life.rs
//! +++ b/crates/webpubsub-protocol/src/session/life.rs
//! @@
//!  context
//! -before
//! +after
//! ```
//!
//! A hunk is found by its lines, which must stand in the file exactly once: line numbers would be stale
//! after the next change.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

/// A bug that can be planted.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) name: String,
    /// The world of the simulation that must find it.
    pub(super) world: String,
    /// The check that must fail.
    pub(super) rule: String,
    pub(super) edits: Vec<Edit>,
}

/// What it changes in one file.
#[derive(Debug)]
pub(super) struct Edit {
    /// The file, from the root of the workspace.
    pub(super) path: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Default)]
struct Hunk {
    before: String,
    after: String,
}

impl Patch {
    /// # Errors
    ///
    /// Fails when the header lacks something, or when there is nothing to change.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let (header, diff) = text.split_at(text.find("\n--- a/").context("it has no diff")? + 1);
        let value = |key: &str| {
            let value = header.lines().find_map(|line| line.strip_prefix(key));
            let value = value.with_context(|| format!("its header has no line `{key}…`"))?;
            anyhow::Ok(value.trim().to_owned())
        };
        Ok(Self {
            name: name.to_owned(),
            world: value("World:")?,
            rule: value("Rule:")?,
            edits: edits(diff)?,
        })
    }
}

fn edits(diff: &str) -> Result<Vec<Edit>> {
    let mut edits: Vec<Edit> = Vec::new();
    for line in diff.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            edits.push(Edit {
                path: path.to_owned(),
                hunks: Vec::new(),
            });
            continue;
        }
        let hunks = &mut edits
            .last_mut()
            .context("a line before the first file")?
            .hunks;
        if line.starts_with("+++ ") {
            continue;
        }
        if line.starts_with("@@") {
            hunks.push(Hunk::default());
            continue;
        }
        let hunk = hunks.last_mut().context("a line before the first hunk")?;
        let (mark, rest) = line.split_at(line.len().min(1));
        let (is_before, is_after) = match mark {
            " " | "" => (true, true),
            "-" => (true, false),
            "+" => (false, true),
            _ => bail!("a line that begins with `{mark}`"),
        };
        for (is_meant, text) in [(is_before, &mut hunk.before), (is_after, &mut hunk.after)] {
            if is_meant {
                text.push_str(rest);
                text.push('\n');
            }
        }
    }
    let is_empty = |edit: &Edit| edit.hunks.is_empty();
    ensure!(
        !edits.is_empty() && !edits.iter().any(is_empty),
        "it changes nothing"
    );
    Ok(edits)
}

impl Edit {
    /// What it replaces in the text of its file, and by what.
    ///
    /// # Errors
    ///
    /// Fails when the lines of a hunk are not there, or in several places.
    pub(super) fn changes(&self, text: &str) -> Result<Vec<(Range<usize>, String)>> {
        let change = |hunk: &Hunk| {
            let places: Vec<_> = text.match_indices(&hunk.before).collect();
            ensure!(
                places.len() == 1,
                "it no longer applies to {}, where {} places have the lines\n{}",
                self.path,
                places.len(),
                hunk.before
            );
            let start = places[0].0;
            let (before, after) = (hunk.before.as_str(), hunk.after.as_str());
            let head = same_lines(before.split_inclusive('\n'), after.split_inclusive('\n'));
            let (before, after) = (&before[head..], &after[head..]);
            let (from_end, to_end) = (before.split_inclusive('\n'), after.split_inclusive('\n'));
            let tail = same_lines(from_end.rev(), to_end.rev());
            let place = start + head..start + head + before.len() - tail;
            Ok((place, after[..after.len() - tail].to_owned()))
        };
        self.hunks.iter().map(change).collect()
    }
}

/// The bytes of the lines that two texts begin with.
fn same_lines<'a>(
    one: impl Iterator<Item = &'a str>,
    other: impl Iterator<Item = &'a str>,
) -> usize {
    let pairs = one.zip(other).take_while(|(one, other)| one == other);
    pairs.map(|(one, _)| one.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "One is two.
World: hub
Rule: numbers add up

--- a/src/one.rs
+++ b/src/one.rs
@@ -7,3 +7,3 @@
 fn one() -> u32 {
-    1
+    2
 }
@@
 
+// The rest.
 fn rest() {}
";

    #[test]
    fn hunks_are_found_by_their_lines() {
        let patch = Patch::parse("one-is-two", PATCH).expect("a patch");
        assert_eq!((&*patch.world, &*patch.rule), ("hub", "numbers add up"));
        let edit = &patch.edits[0];
        assert_eq!(edit.path, "src/one.rs");
        let text = "//! One.\nfn one() -> u32 {\n    1\n}\n\nfn rest() {}\n";
        let changes = edit.changes(text).expect("it applies");
        assert_eq!(changes.len(), 2);
        let (place, with_bug) = &changes[0];
        assert_eq!(
            (&text[place.clone()], with_bug.as_str()),
            ("    1\n", "    2\n")
        );
        let (place, with_bug) = &changes[1];
        assert!(place.is_empty() && text[place.start..].starts_with("fn rest"));
        assert_eq!(with_bug, "// The rest.\n");

        assert!(edit.changes("fn one() {}\n").is_err(), "it is gone");
        assert!(edit.changes(&text.repeat(2)).is_err(), "it is there twice");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (gone, expected) in [
            ("World: hub\n", "World:"),
            ("Rule: numbers add up\n", "Rule:"),
        ] {
            let error = Patch::parse("p", &PATCH.replace(gone, "")).expect_err("it lacks a line");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(Patch::parse("p", "World: hub\nRule: r\n").is_err());
    }
}
