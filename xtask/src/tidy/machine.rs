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
const REGISTRIES: [&str; 9] = [
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "files.pythonhosted.org",
    "pypi.org/simple",
    "static.crates.io",
    "index.crates.io",
    "--index-url",
    "--extra-index-url",
    "proxy.golang.org",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| *path != THIS_FILE) {
        let name = path.rsplit('/').next().unwrap_or(path);
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
            if let Some(advice) = registry(name, line) {
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

fn registry(name: &str, line: &str) -> Option<String> {
    let trimmed = line.trim_start();
    match name {
        "Cargo.lock" => {
            let source = trimmed.strip_prefix("source = ")?;
            let known = "\"registry+https://github.com/rust-lang/crates.io-index\"";
            (source != known)
                .then(|| "a source other than crates.io; update the lockfile".to_owned())
        }
        "package-lock.json" if trimmed.starts_with("\"resolved\": \"http") => Some(
            "names a registry; run `npm config set omit-lockfile-registry-resolved true` and \
             write the lockfile again"
                .to_owned(),
        ),
        ".npmrc" if trimmed.starts_with("registry") => {
            Some("names a registry; leave it to the user's settings".to_owned())
        }
        _ => {
            let host = REGISTRIES.iter().find(|host| line.contains(**host))?;
            Some(format!(
                "`{host}` names a registry; leave it to the user's settings"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let findings = check(&Tree::from([(path, text)]));
        findings
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for line in [
            "cd /work/main",
            "\"/home/ana/x\"",
            "(/root/.cargo)",
            "/tmp/a",
            "C:\\Users\\ana",
        ] {
            assert_eq!(
                rules("a.md", &format!("ok\n{line}\n")),
                [(2, "machine-path")],
                "{line}"
            );
        }
    }

    #[test]
    fn urls_and_relative_paths_are_not_paths_of_a_machine() {
        for line in [
            "https://host/home/x",
            "./work/a",
            "client/tmp/x",
            "${TMPDIR:-/tmp}",
            "{}/home/",
        ] {
            assert_eq!(rules("a.md", line), [], "{line}");
        }
    }

    #[test]
    fn registries_are_found() {
        let resolved = "{\n  \"resolved\": \"https://registry.npmjs.org/x.tgz\",\n}";
        assert_eq!(
            rules("a/package-lock.json", resolved),
            [(2, "registry-host")]
        );
        assert_eq!(
            rules(".npmrc", "registry=https://mirror/"),
            [(1, "registry-host")]
        );
        assert_eq!(rules(".npmrc", "omit-lockfile-registry-resolved=true"), []);
        assert_eq!(
            rules("requirements.txt", "--index-url https://mirror\n"),
            [(1, "registry-host")]
        );
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(rules("Cargo.lock", lock), []);
        assert_eq!(
            rules("Cargo.lock", "source = \"sparse+https://mirror/\"\n"),
            [(1, "registry-host")]
        );
    }
}
