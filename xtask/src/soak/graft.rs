//! Builds many bugs into one program, which then has the one that it is told to have.
//!
//! Building the simulation takes far longer than finding a bug with it. So a function that patches change gets one body
//! for each of them beside its own:
//!
//! ```text
//! fn one() -> u32 {
//!     if webpubsub_protocol::planted::is("one-is-two") {
//!         2
//!     } else {
//!         1
//!     }
//! }
//! ```
//!
//! Functions are found by the way rustfmt indents them.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

use super::patch::{Edit, Patch};

/// The variable of the environment that names the bug.
pub(super) const VARIABLE: &str = "PLANTED_BUG";

/// The crate that all others depend on.
const BASE: &str = "crates/webpubsub-protocol/";

/// Where the base crate gets what chooses a bug.
pub(super) const SWITCH_FILE: &str = "crates/webpubsub-protocol/src/lib.rs";

/// What chooses a bug.
const SWITCH: &str = r#"
#[allow(missing_docs, reason = "for a copy that is thrown away")]
pub mod planted {
    static NAME: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("PLANTED_BUG").unwrap_or_default());

    pub fn is(name: &str) -> bool {
        *NAME == name
    }
}
"#;

/// The base crate's root with the switch.
pub(super) fn with_switch(root: &str) -> String {
    format!("{root}{SWITCH}")
}

/// All patches, for each file that they change.
pub(super) fn by_file(patches: &[Patch]) -> BTreeMap<&str, Vec<(&str, &Edit)>> {
    let mut files = BTreeMap::<_, Vec<_>>::new();
    for patch in patches {
        for edit in &patch.edits {
            files
                .entry(edit.path.as_str())
                .or_default()
                .push((patch.name.as_str(), edit));
        }
    }
    files
}

/// The text of a file with the bodies of all edits.
///
/// # Errors
///
/// Fails when an edit does not apply, or changes something else than bodies of functions; the error names its patch.
pub(super) fn graft(path: &str, text: &str, edits: &[(&str, &Edit)]) -> Result<String> {
    let mut functions = BTreeMap::<usize, (Function, Vec<(&str, String)>)>::new();
    for (name, edit) in edits {
        let changed = changed_bodies(text, edit);
        for (function, body) in changed.with_context(|| format!("the planted bug `{name}`"))? {
            let (_, bodies) = functions
                .entry(function.line)
                .or_insert_with(|| (function, Vec::new()));
            bodies.push((name, body));
        }
    }
    let root = if path.starts_with(BASE) {
        "crate"
    } else {
        "webpubsub_protocol"
    };
    let mut grafted = text.to_owned();
    // From the last to the first, so that the places of the others stay.
    for (function, bodies) in functions.into_values().rev() {
        let head = &text[function.line..function.body.start];
        // Bodies of a function that returns some type of iterator have a type each.
        let (open, close) = match head.contains("-> impl Iterator<") {
            true => ("{\nBox::new({\n", "})\n}"),
            false => ("{\n", "}"),
        };
        let mut branches = String::new();
        for (name, body) in bodies {
            branches += &format!("if {root}::planted::is(\"{name}\") {open}{body}{close} else ");
        }
        let own = &text[function.body.clone()];
        let body = format!("{branches}{open}{own}{close}\n");
        let head = head
            // What chooses is not constant.
            .replacen("const fn ", "fn ", 1)
            .replace("-> impl Iterator<", "-> Box<dyn Iterator<")
            .replace("> {\n", if open.contains("Box") { "> + '_> {\n" } else { "> {\n" });
        grafted.replace_range(function.line..function.body.end, &format!("{head}{body}"));
    }
    Ok(grafted)
}

/// The functions that an edit changes, and their bodies with the bug.
fn changed_bodies(text: &str, edit: &Edit) -> Result<Vec<(Function, String)>> {
    let mut changed = BTreeMap::new();
    for (place, with_bug) in edit.changes(text)? {
        let function = Function::around(text, &place)?;
        changed
            .entry(function.line)
            .or_insert_with(|| (function, Vec::new()))
            .1
            .push((place, with_bug));
    }
    let with_changes = |(function, mut changes): (Function, Vec<(Range<usize>, String)>)| {
        changes.sort_unstable_by_key(|(place, _)| place.start);
        let mut body = text[function.body.clone()].to_owned();
        for (place, with_bug) in changes.into_iter().rev() {
            let start = function.body.start;
            body.replace_range(place.start - start..place.end - start, &with_bug);
        }
        (function, body)
    };
    Ok(changed.into_values().map(with_changes).collect())
}

/// Where a function is in its file.
#[derive(Debug)]
struct Function {
    /// The beginning of the line with its name.
    line: usize,
    /// The lines between its braces.
    body: Range<usize>,
}

impl Function {
    /// The innermost function around a place, as rustfmt lays it out.
    ///
    /// # Errors
    ///
    /// Fails when the place is in none.
    fn around(text: &str, place: &Range<usize>) -> Result<Self> {
        let lines: Vec<_> = lines(text).collect();
        let above = lines.partition_point(|(start, _)| *start < place.start);
        for (index, (line, head)) in lines[..above].iter().enumerate().rev() {
            if !is_function(head) {
                continue;
            }
            let indent = &head[..head.len() - head.trim_start().len()];
            let in_column = |line: &str| {
                line.strip_prefix(indent)
                    .is_some_and(|rest| !rest.starts_with(' '))
            };
            // A signature of several lines ends in the column in which it begins.
            let mut below = lines[index..].iter();
            let opening = below.find(|(_, line)| in_column(line) && line.ends_with('{'));
            let closing = below.find(|(_, line)| line.strip_prefix(indent) == Some("}"));
            let (Some((opening, last)), Some((end, _))) = (opening, closing) else {
                continue;
            };
            let body = opening + last.len() + 1..*end;
            if body.start <= place.start && place.end <= body.end {
                return Ok(Self { line: *line, body });
            }
        }
        bail!(
            "it changes line {}, which is in no body of a function",
            text[..place.start].matches('\n').count() + 1
        )
    }
}

/// The lines of a text, and where each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    text.split('\n').map(move |line| {
        let start = next;
        next += line.len() + 1;
        (start, line)
    })
}

fn is_function(line: &str) -> bool {
    let qualifiers = ["async", "const", "pub", "pub(crate)", "pub(super)"];
    let mut words = line.split_whitespace();
    words.find(|word| !qualifiers.contains(word)) == Some("fn")
}

/// Fails when a name cannot stand in the program.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    ensure!(is_plain, "`{name}` is no name for a patch");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "impl One {
    fn one(
        &self,
    ) -> u32 {
        if self.is_on {
            let one = || {
                1
            };
            return one();
        }
        1
    }

    pub(super) const fn two() -> u32 {
        2
    }

    fn all(&self) -> impl Iterator<Item = u32> {
        self.all.iter()
    }
}
";

    fn patch(name: &str, diff: &str) -> Patch {
        let path = "crates/webpubsub-emulator/src/one.rs";
        let text = format!("A bug.\nWorld: hub\nRule: r\n\n--- a/{path}\n+++ b/{path}\n@@\n{diff}");
        Patch::parse(name, &text).expect("a patch")
    }

    fn grafted(patches: &[Patch]) -> Result<String> {
        let files = by_file(patches);
        let (path, edits) = files.first_key_value().expect("a file");
        graft(path, FILE, edits)
    }

    #[test]
    fn each_bug_is_a_body_of_its_own() {
        let patches = [
            patch(
                "early",
                "         if self.is_on {\n-            let one = || {\n+            let one = || {};\n+            let one = || {\n",
            ),
            patch("late", "         }\n-        1\n+        3\n"),
            patch("two", "-        2\n+        3\n"),
            patch(
                "all",
                "-        self.all.iter()\n+        self.all.iter().rev()\n",
            ),
        ];
        let own = "        if self.is_on {
            let one = || {
                1
            };
            return one();
        }
        1
";
        let is = "webpubsub_protocol::planted::is";
        let early = own.replace("let one =", "let one = || {};\n            let one =");
        let late = own.replace("\n        1\n", "\n        3\n");
        let branches = [
            format!("if {is}(\"early\") {{\n{early}"),
            format!("if {is}(\"late\") {{\n{late}"),
            format!("{{\n{own}}}\n"),
        ];
        let expected = FILE.replace(own, &branches.join("} else "));
        let expected = expected.replacen(
            "        2\n",
            &format!("if {is}(\"two\") {{\n        3\n}} else {{\n        2\n}}\n"),
            1,
        );
        let expected = expected.replace("const fn two", "fn two");
        let all = |body| format!("{{\nBox::new({{\n        {body}\n}})\n}}");
        let expected = expected
            .replace(
                "-> impl Iterator<Item = u32> {",
                "-> Box<dyn Iterator<Item = u32> + '_> {",
            )
            .replace(
                "        self.all.iter()\n",
                &format!(
                    "if {is}(\"all\") {} else {}\n",
                    all("self.all.iter().rev()"),
                    all("self.all.iter()"),
                ),
            );
        assert_eq!(grafted(&patches).expect("they apply"), expected);
    }

    #[test]
    fn only_bodies_can_be_changed() {
        let error = grafted(&[patch(
            "sign",
            "     fn one(\n-        &self,\n+        self,\n",
        )]);
        let error = format!("{:#}", error.expect_err("a signature"));
        assert!(
            error.contains("`sign`") && error.contains("line 3"),
            "{error}"
        );
    }

    #[test]
    fn names_are_plain() {
        assert!(check_name("ttl-long-2").is_ok());
        for name in ["a b", "a\"", "A"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_switch_is_that_of_the_variable() {
        assert!(with_switch("").contains(&format!("\"{VARIABLE}\"")));
    }
}
