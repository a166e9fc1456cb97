//! Rules for the manifests of the crates: one version table, and a licence.

use anyhow::Context as _;
use toml::{Table, Value};

use super::{Finding, layering::Workspace, tree::Tree};

const LICENSE: &str = "MIT";

pub(super) fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let path = member.manifest();
        if member.license.as_deref() != Some(LICENSE) {
            let advice = "no licence; write `license.workspace = true`";
            findings.push(Finding::new(&path, 1, "licence", advice));
        }
        match tree.get(&path) {
            Some(text) => version_table(&path, text, workspace, &mut findings),
            None => findings.push(Finding::new(
                &path,
                1,
                "manifest",
                "git ignores this manifest",
            )),
        }
    }
    if tree
        .get("LICENSE")
        .is_none_or(|text| !text.contains("MIT License"))
    {
        findings.push(Finding::new(
            "LICENSE",
            1,
            "licence",
            "the licence's text is missing",
        ));
    }
    findings
}

fn version_table(path: &str, text: &str, workspace: &Workspace, findings: &mut Vec<Finding>) {
    let manifest = match text.parse::<Table>().context("not TOML") {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(Finding::new(path, 1, "manifest", format!("{error:#}")));
            return;
        }
    };
    for (kind, name, dependency) in dependencies(&manifest) {
        let is_member = workspace.members.iter().any(|member| member.name == *name);
        let is_bare_path = is_member
            && kind == "dev-dependencies"
            && dependency.get("path").is_some()
            && dependency.get("version").is_none();
        let from_table = dependency.get("workspace") == Some(&Value::Boolean(true));
        if !from_table && !is_bare_path {
            let line = 1 + text
                .lines()
                .take_while(|line| !line.starts_with(name.as_str()))
                .count();
            let advice = format!(
                "`{name}` is not from the version table; put it into the workspace's Cargo.toml \
                 and write `{name}.workspace = true`"
            );
            findings.push(Finding::new(path, line, "version-table", advice));
        }
    }
}

/// Kind, name and value of every dependency, those for one platform included.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&'static str, &String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest).chain(targets).flat_map(|table| {
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .into_iter()
            .flat_map(|kind| {
                let table = table.get(kind).and_then(Value::as_table);
                table
                    .into_iter()
                    .flatten()
                    .map(move |(name, value)| (kind, name, value))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::{super::layering::tests::workspace, *};

    const LICENSED: &str = "license = \"MIT\"";

    fn findings(manifest: &str) -> Vec<String> {
        let workspace = workspace(&[("crates/a", "a", LICENSED), ("crates/b", "b", LICENSED)]);
        let tree = Tree::from([
            ("LICENSE", "MIT License"),
            ("crates/a/Cargo.toml", manifest),
            ("crates/b/Cargo.toml", ""),
        ]);
        check(&tree, &workspace)
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn dependencies_come_from_the_table() {
        let good = "[dependencies]\nbytes.workspace = true\n\
                    serde = { workspace = true, features = [\"x\"] }\n\
                    [dev-dependencies]\nb = { path = \"../b\" }\n";
        assert_eq!(findings(good), [""; 0]);
        for bad in [
            "[dependencies]\nserde = \"1\"\n",
            "[dev-dependencies]\nserde = { version = \"1\" }\n",
            "[target.'cfg(unix)'.dependencies]\nserde = { git = \"x\" }\n",
        ] {
            let found = findings(bad);
            assert!(found.len() == 1, "{found:?}");
            assert!(
                found[0].starts_with("crates/a/Cargo.toml:2: [version-table] `serde`"),
                "{found:?}"
            );
        }
        assert_eq!(
            findings("[dependencies]\nb = { path = \"../b\" }\n").len(),
            1
        );
        assert_eq!(
            findings("[dev-dependencies]\nb = { path = \"../b\", version = \"0.1\" }\n").len(),
            1
        );
    }

    #[test]
    fn licences_are_declared_and_present() {
        let workspace = workspace(&[("crates/a", "a", "")]);
        let found = check(&Tree::from([("crates/a/Cargo.toml", "")]), &workspace);
        let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["licence", "licence"]);
    }
}
