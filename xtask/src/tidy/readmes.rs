//! What the README of a published crate links to, must be there wherever it is shown: on crates.io, on docs.rs, in the
//! repository and in a package. Only whole URLs are.

use std::collections::BTreeSet;

use super::{Finding, tree::Tree};

const RULE: &str = "readme-link";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_shown =
        |path: &str| path.starts_with("crates/webpubsub") && path.ends_with("/README.md");
    for (path, text) in tree.iter().filter(|(path, _)| is_shown(path)) {
        let lines = prose(text);
        let defined: BTreeSet<_> = lines
            .iter()
            .filter_map(|(_, line)| definition(line))
            .map(|(name, _)| name)
            .collect();
        for (number, line) in &lines {
            for target in targets(line).filter(|target| !is_whole(target)) {
                let advice = format!(
                    "`{target}` is nothing on crates.io; link to the item's page on https://docs.rs"
                );
                findings.push(Finding::new(path, *number, RULE, advice));
            }
            for name in references(line).filter(|name| !defined.contains(name)) {
                let advice = format!(
                    "only rustdoc knows what [{name}] is; add `[{name}]: https://docs.rs/…` at the end"
                );
                findings.push(Finding::new(path, *number, RULE, advice));
            }
        }
    }
    findings
}

/// The lines outside of code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(|(index, line)| (index + 1, line)).collect()
}

/// `[name]: target`
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
    Some((name, target.trim()))
}

/// What a line links to: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1);
    let inline = inline.filter_map(|rest| Some(rest.split_once(')')?.0));
    inline.chain(definition(line).map(|(_, target)| target))
}

fn is_whole(target: &str) -> bool {
    target.starts_with('#') || target.starts_with("https://")
}

/// Names in code type that are links by themselves: `` [`Name`] ``.
fn references(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("[`").filter_map(|(at, _)| {
        let (name, rest) = line[at + 1..].split_once(']')?;
        let is_link = rest.starts_with('(') || rest.starts_with('[') || rest.starts_with(": ");
        (!is_link).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_whole_urls_or_headings() {
        for (line, expected) in [
            ("[a](https://docs.rs/a) and [b](#heading)", 0),
            ("[a](docs/limits.md)", 1),
            ("[`send`](Client::send)", 1),
            ("see [`Client`].", 1),
            (
                "see [`Client`].\n\n[`Client`]: https://docs.rs/a/latest/a/struct.Client.html",
                0,
            ),
            ("see [`Client`].\n\n[`Client`]: crate::Client", 1),
            ("```rust\nlet a = [`Client`](x);\n```", 0),
            ("an array[0] and a [remark]", 0),
        ] {
            let found = check(&Tree::from([("crates/webpubsub/README.md", line)]));
            assert_eq!(found.len(), expected, "{line}: {found:?}");
        }
        let other = check(&Tree::from([("docs/a.md", "[a](b.md)")]));
        assert_eq!(other, []);
    }
}
