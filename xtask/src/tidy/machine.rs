//! Nothing in the repository may depend on the machine that it was written on.
//!
//! This file holds the patterns, and is therefore not looked at itself.

use super::{Finding, tree::Tree};

const THIS_FILE: &str = "xtask/src/tidy/machine.rs";

/// Folders of a machine. Each counts only at the start of a path, not inside a URL.
const FOLDERS: [&str; 7] = [
    "/home/",
    "/root/",
    "/Users/",
    "/work/",
    "/tmp/",
    "C:\\Users\\",
    "C:/Users/",
];

/// What names a registry, or a mirror of one, instead of leaving it to the user's settings.
const REGISTRIES: [&str; 11] = [
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "files.pythonhosted.org",
    "pypi.org/simple",
    "static.crates.io",
    "index.crates.io",
    "--index-url",
    "--extra-index-url",
    "proxy.golang.org",
    "\"resolved\": \"http",
    "registry=http",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| *path != THIS_FILE) {
        for (index, line) in text.lines().enumerate() {
            let mut report = |rule, advice: String| {
                findings.push(Finding::new(path, index + 1, rule, advice));
            };
            if let Some(folder) = FOLDERS.iter().find(|folder| has_folder(line, folder)) {
                report(
                    "machine-path",
                    format!("`{folder}` exists on one machine; use a relative path"),
                );
            }
            if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
                let advice = format!("`{host}` names a registry; leave it to the user's settings");
                report("registry-host", advice);
            }
        }
    }
    findings
}

fn has_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-/*}>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_registries_are_found_and_urls_and_relative_paths_are_not() {
        for (line, expected) in [
            ("cd /work/main", Some("machine-path")),
            ("(/root/.cargo)", Some("machine-path")),
            ("C:\\Users\\ana", Some("machine-path")),
            ("https://host/home/x", None),
            ("./work/a", None),
            ("client/tmp/x", None),
            ("${TMPDIR:-/tmp}", None),
            ("{}/home/", None),
            (
                "  \"resolved\": \"https://mirror/x.tgz\",",
                Some("registry-host"),
            ),
            ("registry=https://mirror/", Some("registry-host")),
            ("omit-lockfile-registry-resolved=true", None),
        ] {
            let text = format!("ok\n{line}\n");
            let found = check(&Tree::from([("a", text.as_str())]));
            let rules: Vec<_> = found.iter().map(|it| (it.line, it.rule)).collect();
            let expected: Vec<_> = expected.map(|rule| (2, rule)).into_iter().collect();
            assert_eq!(rules, expected, "{line}");
        }
    }
}
