//! Tables that promise something: each row names the test that holds it, and the test is there.

use super::{Finding, tree::Tree};

/// The documents with such tables, each with the folder from which it names tests.
const DOCUMENTS: [(&str, &str); 3] = [
    ("docs/compatibility.md", ""),
    (
        "crates/webpubsub-axum/GUARANTEES.md",
        "crates/webpubsub-axum/",
    ),
    (
        "crates/webpubsub-client/GUARANTEES.md",
        "crates/webpubsub-client/",
    ),
];
const RULE: &str = "named-tests";

/// The last column of the tables that this rule reads.
const COLUMN: &str = "Test";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = DOCUMENTS.iter();
    documents
        .flat_map(|(path, base)| check_document(tree, path, base))
        .collect()
}

fn check_document(tree: &Tree, path: &str, base: &str) -> Vec<Finding> {
    let Some(text) = tree.get(path) else {
        let advice = "missing; its tables say what is promised and which test holds it";
        return vec![Finding::new(path, 1, RULE, advice)];
    };
    let mut findings = Vec::new();
    let (mut in_table, mut rows) = (false, 0);
    for (index, line) in text.lines().enumerate() {
        let mut report = |advice: String| {
            findings.push(Finding::new(path, index + 1, RULE, advice));
        };
        let Some(last) = last_cell(line) else {
            in_table = false;
            continue;
        };
        if last == COLUMN {
            in_table = true;
            continue;
        }
        if !in_table || last.starts_with("---") {
            continue;
        }
        rows += 1;
        let cited: Vec<&str> = cited(last).collect();
        if cited.is_empty() {
            report("names no test; write `path::name` into the last column".to_owned());
        }
        for citation in cited {
            if let Err(problem) = look_up(tree, base, citation) {
                report(format!("`{citation}`: {problem}"));
            }
        }
    }
    if rows == 0 {
        let advice = format!("has no table whose last column is `{COLUMN}`");
        findings.push(Finding::new(path, 1, RULE, advice));
    }
    findings
}

/// The last cell of a table's row.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

/// What stands between backticks.
fn cited(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn look_up(tree: &Tree, base: &str, citation: &str) -> Result<(), &'static str> {
    let (path, name) = citation.split_once("::").ok_or("is not `path::name`")?;
    let text = tree
        .get(&format!("{base}{path}"))
        .ok_or("there is no such file")?;
    let is_there = match path.rsplit('.').next() {
        Some("rs") => has_rust_test(text, name),
        Some("py") => text
            .lines()
            .map(|line| line.trim_start().trim_start_matches("async "))
            .filter_map(|line| line.strip_prefix("def "))
            .any(|rest| rest.split('(').next() == Some(name) && name.starts_with("test_")),
        Some("mjs") => ["\"", "'", "`"]
            .iter()
            .any(|quote| text.contains(&format!("test({quote}{name}{quote}"))),
        _ => return Err("tests are in `.rs`, `.py` and `.mjs` files"),
    };
    is_there.then_some(()).ok_or("there is no such test in it")
}

/// Whether there is a function of this name with a test attribute.
fn has_rust_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let rest = line.split("fn ").nth(1);
        rest.and_then(|rest| rest.split(['(', '<']).next()) == Some(name)
    };
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_it(line))
        .any(|(index, _)| {
            let above = lines[..index].iter().rev();
            above
                .take_while(|line| !line.is_empty() && **line != "}")
                .any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = "\
#[test]
fn one() {}

#[tokio::test(flavor = \"multi_thread\")]
#[expect(lint, reason = \"x\")]
// req: S-1-1
async fn two() {
    helper();
}
fn helper() {}
";

    fn advice(document: &str) -> Vec<String> {
        let tree = Tree::from([
            ("doc.md", document),
            ("a.rs", RUST),
            ("b.test.mjs", "test(\"streams end\", async () => {});"),
            ("c.py", "    async def test_it(self):\ndef other():\n"),
        ]);
        let findings = check_document(&tree, "doc.md", "");
        findings.into_iter().map(|f| f.advice).collect()
    }

    fn table(cell: &str) -> String {
        format!("# Title\n\n| Feature | Test |\n|---|---|\n| x | {cell} |\n")
    }

    #[test]
    fn tests_of_each_language_are_found() {
        for cell in [
            "`a.rs::one`",
            "`a.rs::one`, `a.rs::two`",
            "`b.test.mjs::streams end`",
            "`c.py::test_it`",
        ] {
            assert_eq!(advice(&table(cell)), [""; 0], "{cell}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (cell, expected) in [
            ("", "names no test"),
            ("by hand", "names no test"),
            ("`a.rs`", "is not `path::name`"),
            ("`x.rs::one`", "no such file"),
            ("`a.rs::three`", "no such test"),
            ("`a.rs::helper`", "no such test"),
            ("`a.rs::one`, `a.rs::on`", "no such test"),
            ("`b.test.mjs::streams`", "no such test"),
            ("`c.py::other`", "no such test"),
        ] {
            let found = advice(&table(cell));
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{cell}: {found:?}"
            );
        }
        let missing = check(&Tree::default());
        assert_eq!(missing.len(), DOCUMENTS.len(), "the documents themselves");
    }

    #[test]
    fn paths_start_at_the_folder_of_the_document() {
        let document = table("`d.rs::one`");
        let tree = Tree::from([("doc.md", document.as_str()), ("base/d.rs", RUST)]);
        assert!(check_document(&tree, "doc.md", "base/").is_empty());
        assert_eq!(check_document(&tree, "doc.md", "").len(), 1);
    }

    #[test]
    fn other_tables_are_not_looked_at_and_one_is_needed() {
        let found = advice("| a | b |\n|---|---|\n| c | d |\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("no table"), "{found:?}");
    }
}
