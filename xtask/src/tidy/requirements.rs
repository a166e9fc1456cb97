//! `spec/requirements.toml` and the tests that cite it.
//!
//! A test cites what it proves in a comment: `req:` and ids, separated by commas, in a Rust file
//! after `//` and in a script after `//` or `#`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{Finding, tree::Tree};

pub(crate) const PATH: &str = "spec/requirements.toml";

/// The client protocol's requirements, by section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirements {
    #[serde(rename = "section")]
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) number: String,
    pub(crate) title: String,
    pub(crate) requirements: Vec<Requirement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// `S` or `C`, the section and a number: `S-7.2-3`.
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) source: Source,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Must,
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Should => "should",
        })
    }
}

/// Where a requirement is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Source {
    /// Documentation or specification.
    Doc,
    /// Shipped code of the official SDKs.
    Sdk,
    /// Microsoft's emulator.
    Msemu,
    /// Recorded from the live service.
    Rec,
    /// Follows from neighbouring rules.
    Inferred,
    /// Ours, where the sources are silent.
    Choice,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Doc => "DOC",
            Self::Sdk => "SDK",
            Self::Msemu => "MSEMU",
            Self::Rec => "REC",
            Self::Inferred => "INFERRED",
            Self::Choice => "CHOICE",
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Not held yet, so that no test can cite it.
    #[default]
    Planned,
    /// Held, and a test proves it.
    Done,
}

impl Requirements {
    /// Reads the text of `spec/requirements.toml`.
    ///
    /// # Errors
    ///
    /// Names the line that does not fit.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).with_context(|| format!("cannot read {PATH}"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.sections
            .iter()
            .flat_map(|section| &section.requirements)
    }
}

/// Where each id is cited: files and lines.
#[derive(Debug, Default)]
pub(crate) struct Citations(BTreeMap<String, Vec<(String, usize)>>);

impl Citations {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut citations = Self::default();
        for (path, text) in tree.iter().filter(|(path, _)| may_cite(path)) {
            for (index, line) in text.lines().enumerate() {
                for id in cited(line) {
                    let places = citations.0.entry(id.to_owned()).or_default();
                    places.push((path.to_owned(), index + 1));
                }
            }
        }
        citations
    }

    #[cfg(test)]
    pub(crate) fn cited_once(id: &str, path: &str) -> Self {
        Self(BTreeMap::from([(
            id.to_owned(),
            vec![(path.to_owned(), 1)],
        )]))
    }

    /// The files that cite an id, each once, in order.
    pub(crate) fn files(&self, id: &str) -> BTreeSet<&str> {
        self.0
            .get(id)
            .into_iter()
            .flatten()
            .map(|(path, _)| path.as_str())
            .collect()
    }
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.get(PATH) else {
        return vec![Finding::new(PATH, 1, "requirements", "the file is missing")];
    };
    let requirements = match Requirements::parse(text) {
        Ok(requirements) => requirements,
        Err(error) => return vec![Finding::new(PATH, 1, "requirements", format!("{error:#}"))],
    };
    let citations = Citations::of(tree);
    let mut findings = ids(text, &requirements);
    findings.extend(unproved(text, &requirements, &citations));
    findings.extend(unknown(&requirements, &citations));
    findings
}

/// The requirements file with cited requirements marked as done; `None` when nothing changes.
pub(super) fn mark_cited_as_done(tree: &Tree) -> Result<Option<String>> {
    let text = tree
        .get(PATH)
        .with_context(|| format!("{PATH} is missing"))?;
    let citations = Citations::of(tree);
    let planned: BTreeSet<_> = Requirements::parse(text)?
        .iter()
        .filter(|requirement| requirement.state == State::Planned)
        .map(|requirement| requirement.id.clone())
        .filter(|id| !citations.files(id).is_empty())
        .collect();
    let mark = |line: &str| {
        let id = line
            .split('"')
            .nth(1)
            .filter(|_| line.trim_start().starts_with("{ id = "));
        let end = line
            .rfind(" }")
            .filter(|_| id.is_some_and(|id| planned.contains(id)));
        match end {
            Some(end) => format!("{}, state = \"done\"{}", &line[..end], &line[end..]),
            None => line.to_owned(),
        }
    };
    Ok((!planned.is_empty()).then(|| text.lines().map(mark).map(|line| line + "\n").collect()))
}

/// Ids are unique and say where they stand.
fn ids(text: &str, requirements: &Requirements) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for section in &requirements.sections {
        for Requirement { id, .. } in &section.requirements {
            let mut report = |advice: String| {
                findings.push(Finding::new(
                    PATH,
                    line_of_id(text, id),
                    "requirements",
                    advice,
                ));
            };
            let number = ["S-", "C-"]
                .iter()
                .find_map(|side| id.strip_prefix(side)?.strip_prefix(section.number.as_str()))
                .and_then(|rest| rest.strip_prefix('-')?.parse::<u32>().ok());
            if number.is_none() {
                let section = &section.number;
                report(format!(
                    "id `{id}` must be `S-{section}-<n>` or `C-{section}-<n>`"
                ));
            }
            if !seen.insert(id) {
                report(format!(
                    "id `{id}` stands twice; give the new one the next free number"
                ));
            }
        }
    }
    findings
}

fn unproved(text: &str, requirements: &Requirements, citations: &Citations) -> Vec<Finding> {
    requirements
        .iter()
        .filter_map(|requirement| {
            let Requirement {
                id, level, state, ..
            } = requirement;
            let is_cited = !citations.files(id).is_empty();
            let advice = match (state, level) {
                (State::Done, Level::Must) if !is_cited => {
                    format!("`{id}` is done but no test cites it; write `req: {id}` above the test")
                }
                (State::Planned, _) if is_cited => {
                    format!("a test cites `{id}`; run `cargo xtask tidy --fix` to mark it as done")
                }
                _ => return None,
            };
            Some(Finding::new(
                PATH,
                line_of_id(text, id),
                "requirements",
                advice,
            ))
        })
        .collect()
}

fn unknown(requirements: &Requirements, citations: &Citations) -> Vec<Finding> {
    let known: BTreeSet<_> = requirements
        .iter()
        .map(|requirement| &requirement.id)
        .collect();
    let unknown = citations.0.iter().filter(|(id, _)| !known.contains(id));
    unknown
        .flat_map(|(id, places)| places.iter().map(move |place| (id, place)))
        .map(|(id, (path, line))| {
            let advice = format!("no requirement has the id `{id}`; see {PATH}");
            Finding::new(path, *line, "requirements", advice)
        })
        .collect()
}

fn line_of_id(text: &str, id: &str) -> usize {
    let quoted = format!("\"{id}\"");
    text.lines()
        .position(|line| line.contains(&quoted))
        .map_or(1, |index| index + 1)
}

fn may_cite(path: &str) -> bool {
    let is_script = path.starts_with("tests/interop/")
        && [".js", ".mjs", ".ts", ".py", ".sh"]
            .iter()
            .any(|end| path.ends_with(end));
    // The rules of this module need citations in their own tests.
    is_script || path.ends_with(".rs") && !path.starts_with("xtask/")
}

fn cited(line: &str) -> impl Iterator<Item = &str> {
    let comment = line.trim_start();
    let comment = comment
        .strip_prefix("//")
        .or_else(|| comment.strip_prefix('#'));
    let list = comment.and_then(|comment| comment.trim_start().strip_prefix("req:"));
    list.into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "\
[[section]]
number = \"7.2\"
title = \"Recovery\"
requirements = [
  { id = \"S-7.2-1\", level = \"must\", source = \"DOC\", text = \"a { b }.\" },
  { id = \"C-7.2-1\", level = \"must\", source = \"MSEMU\", text = \"b\", state = \"done\" },
  { id = \"S-7.2-2\", level = \"should\", source = \"CHOICE\", text = \"c\", state = \"done\" },
]
";

    fn findings(spec: &str, test: &str) -> Vec<String> {
        let tree = Tree::from([(PATH, spec), ("crates/a/tests/b.rs", test)]);
        check(&tree)
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn a_done_must_is_cited_and_a_planned_one_is_not() {
        assert_eq!(findings(SPEC, "// req: C-7.2-1\n"), [""; 0]);
        let found = findings(SPEC, "");
        assert!(
            found.len() == 1 && found[0].starts_with("spec/requirements.toml:6: "),
            "{found:?}"
        );
        let found = findings(SPEC, "    //req: C-7.2-1, S-7.2-1\n");
        assert!(
            found.len() == 1 && found[0].contains("tidy --fix"),
            "{found:?}"
        );
    }

    #[test]
    fn citations_name_known_requirements() {
        let found = findings(
            SPEC,
            "// req: C-7.2-1\n\n// req: S-7.2-9\nlet a = \"// req: X\";\n",
        );
        let [found] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            found.starts_with("crates/a/tests/b.rs:3: [requirements] no requirement"),
            "{found}"
        );
    }

    #[test]
    fn scripts_of_the_interop_tests_cite_too() {
        let tree = Tree::from([
            ("tests/interop/a.py", "# req: S-1-1\n"),
            ("tests/interop/b.mjs", "// req: S-1-1, S-1-2\n"),
            ("tests/interop/c.md", "# req: S-1-3\n"),
            ("xtask/src/d.rs", "// req: S-1-4\n"),
        ]);
        let citations = Citations::of(&tree);
        let files: Vec<_> = citations.files("S-1-1").into_iter().collect();
        assert_eq!(files, ["tests/interop/a.py", "tests/interop/b.mjs"]);
        assert_eq!(citations.0.keys().collect::<Vec<_>>(), ["S-1-1", "S-1-2"]);
    }

    #[test]
    fn ids_are_unique_and_belong_to_their_section() {
        for (id, problem) in [
            ("C-7.2-1", "stands twice"),
            ("S-7-2-2", "must be"),
            ("X-7.2-2", "must be"),
        ] {
            let spec = SPEC.replace("S-7.2-2", id);
            let found = findings(&spec, "// req: C-7.2-1\n");
            assert!(
                found.len() == 1 && found[0].contains(problem),
                "{id}: {found:?}"
            );
        }
        assert_eq!(findings("[[section]]\nnumber = 1\n", "").len(), 1);
    }

    #[test]
    fn fixing_marks_what_is_cited_and_nothing_else() {
        let tree = Tree::from([(PATH, SPEC), ("a.rs", "// req: S-7.2-1\n")]);
        let fixed = mark_cited_as_done(&tree).unwrap().unwrap();
        let expected = SPEC.replace("\"a { b }.\" }", "\"a { b }.\", state = \"done\" }");
        assert_eq!(fixed, expected);
        let tree = Tree::from([(PATH, fixed.as_str()), ("a.rs", "// req: S-7.2-1\n")]);
        assert_eq!(mark_cited_as_done(&tree).unwrap(), None);
    }
}
