//! Rules for the documents that lead through the workspace.

use super::{
    Finding,
    layering::{Member, Workspace},
    tree::Tree,
};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Longer than this, nobody reads it to the end.
const MAX_LINES: usize = 300;

pub(super) fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let mut findings = architecture(tree, workspace);
    for member in workspace
        .members
        .iter()
        .filter(|member| member.folder.starts_with("crates/"))
    {
        let path = format!("{}/README.md", member.folder);
        if tree.get(&path).is_none_or(|text| text.trim().is_empty()) {
            let advice = "a crate's README is its front page; write it and include it in lib.rs";
            findings.push(Finding::new(&path, 1, "readme", advice));
        }
    }
    findings
}

fn architecture(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let Some(text) = tree.get(ARCHITECTURE) else {
        let advice = "missing; it explains the house to someone who has never seen it";
        return vec![Finding::new(ARCHITECTURE, 1, "architecture", advice)];
    };
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let advice =
            format!("{lines} lines; move details into the crates, at most {MAX_LINES} here");
        findings.push(Finding::new(
            ARCHITECTURE,
            MAX_LINES + 1,
            "architecture",
            advice,
        ));
    }
    for member in workspace
        .members
        .iter()
        .filter(|member| !names(text, member))
    {
        let folder = &member.folder;
        let advice = format!("does not name `{folder}`; say what it is for");
        findings.push(Finding::new(ARCHITECTURE, 1, "architecture", advice));
    }
    findings
}

/// By its folder, or by its name where that is no everyday word.
fn names(text: &str, member: &Member) -> bool {
    let is_distinct = member.name.contains("webpubsub");
    stands_alone(text, &member.folder) || is_distinct && stands_alone(text, &member.name)
}

fn stands_alone(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + name.len()..].chars();
        // The dot at the end of a sentence is not a part of the name.
        let joined = match after.next() {
            Some('.') => after.next().is_some_and(is_part),
            next => next.is_some_and(is_part),
        };
        !joined && before.is_none_or(|c| !is_part(c))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::layering::tests::workspace, *};

    fn findings(architecture: Option<&str>) -> Vec<String> {
        let workspace = workspace(&[
            ("crates/webpubsub", "webpubsub", ""),
            ("crates/webpubsub-axum", "webpubsub-axum", ""),
            ("examples/chat", "chat", ""),
        ]);
        let readmes = [
            ("crates/webpubsub/README.md", "# a"),
            ("crates/webpubsub-axum/README.md", "# b"),
        ];
        let tree = match architecture {
            Some(text) => Tree::from([readmes[0], readmes[1], (ARCHITECTURE, text)]),
            None => Tree::from(readmes),
        };
        check(&tree, &workspace)
            .into_iter()
            .map(|finding| finding.advice)
            .collect()
    }

    #[test]
    fn the_architecture_names_every_crate() {
        assert_eq!(
            findings(Some("`webpubsub`, `webpubsub-axum` and `examples/chat`.")),
            [""; 0]
        );
        let found = findings(Some("crates/webpubsub-axum and a chat"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`crates/webpubsub`") && found[1].contains("`examples/chat`"));
        assert_eq!(findings(None).len(), 1);
    }

    #[test]
    fn the_architecture_stays_short() {
        let text = "webpubsub webpubsub-axum examples/chat\n".repeat(301);
        let found = findings(Some(&text));
        assert!(
            found.len() == 1 && found[0].contains("301 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn crates_have_a_readme() {
        let workspace = workspace(&[("crates/a", "a", ""), ("examples/b", "b", "")]);
        let tree = Tree::from([
            (ARCHITECTURE, "crates/a examples/b"),
            ("crates/a/README.md", "\n"),
        ]);
        let found = check(&tree, &workspace);
        assert!(
            found.len() == 1 && found[0].path == "crates/a/README.md",
            "{found:?}"
        );
    }
}
