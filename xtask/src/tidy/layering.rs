//! Who may depend on whom, by `cargo metadata`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Finding;

/// Pure: wire types, codecs and state machines, without sockets and clock.
const PROTOCOL: &str = "webpubsub-protocol";

/// What must not be in the closure of [`PROTOCOL`].
const IMPURE: [&str; 9] = [
    "axum",
    "azure_core",
    "azure_identity",
    "hyper",
    "mio",
    "reqwest",
    "tokio",
    "tokio-tungstenite",
    "tungstenite",
];

/// The crates above the protocol, which never depend on each other.
const SIBLINGS: [&str; 4] = [
    "webpubsub",
    "webpubsub-axum",
    "webpubsub-client",
    "webpubsub-emulator",
];

/// The members of the workspace and the graph of their normal dependencies.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) members: Vec<Member>,
    names: BTreeMap<String, String>,
    normal: BTreeMap<String, Vec<String>>,
}

/// A crate of this workspace.
#[derive(Debug)]
pub(super) struct Member {
    id: String,
    pub(super) name: String,
    /// The crate's folder from the workspace root, with `/` between names.
    pub(super) folder: String,
    pub(super) license: Option<String>,
    dependencies: Vec<Dependency>,
}

impl Member {
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

impl Workspace {
    /// Asks cargo.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Self::parse(&output.stdout)
    }

    fn parse(metadata: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(metadata).context("cargo metadata changed its format")?;
        let root = metadata.workspace_root.replace('\\', "/");
        let names = metadata
            .packages
            .iter()
            .map(|p| (p.id.clone(), p.name.clone()))
            .collect();
        let mut members: Vec<_> = metadata
            .packages
            .into_iter()
            .filter(|package| metadata.workspace_members.contains(&package.id))
            .map(|package| package.into_member(&root))
            .collect();
        members.sort_by(|a: &Member, b| a.folder.cmp(&b.folder));
        let normal = metadata
            .resolve
            .nodes
            .into_iter()
            .map(Node::into_edges)
            .collect();
        Ok(Self {
            members,
            names,
            normal,
        })
    }

    /// The shortest way from a package to one of `targets` over normal dependencies, by names.
    fn way<'a>(&'a self, from: &'a str, targets: &[&str]) -> Option<Vec<&'a str>> {
        let mut seen = BTreeSet::from([from]);
        let mut pending = VecDeque::from([vec![from]]);
        while let Some(way) = pending.pop_front() {
            let last = way.last().copied().unwrap_or(from);
            if way.len() > 1 && targets.contains(&self.name(last)) {
                return Some(way.into_iter().map(|id| self.name(id)).collect());
            }
            for next in self.normal.get(last).into_iter().flatten() {
                if seen.insert(next) {
                    pending.push_back([way.as_slice(), &[next.as_str()]].concat());
                }
            }
        }
        None
    }

    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.names.get(id).map_or(id, String::as_str)
    }
}

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let mut report = |advice: String| {
            findings.push(Finding::new(&member.manifest(), 1, "layering", advice));
        };
        if member.name == PROTOCOL
            && let Some(way) = workspace.way(&member.id, &IMPURE)
        {
            let way = way.join(" -> ");
            report(format!(
                "{way}: the protocol crate does no IO; move the code up a layer"
            ));
        }
        for dependency in &member.dependencies {
            if let Some(advice) = check_dependency(member, dependency) {
                report(advice);
            }
        }
    }
    findings
}

fn check_dependency(member: &Member, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    let sibling = |name| SIBLINGS.contains(&name);
    if sibling(member.name.as_str()) && sibling(name) && member.name != name {
        if !dependency.is_dev() {
            return Some(format!(
                "depends on `{name}`; what both need belongs into `{PROTOCOL}`"
            ));
        }
        if dependency.has_version() {
            return Some(format!(
                "dev-dependency `{name}` has a version, so the crates could not be published; \
                 write `{name} = {{ path = \"../{name}\" }}`"
            ));
        }
    }
    (name == "anyhow" && member.folder.starts_with("crates/"))
        .then(|| "uses `anyhow`; libraries have typed errors".to_owned())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: String,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    license: Option<String>,
    dependencies: Vec<Dependency>,
}

impl Package {
    fn into_member(self, root: &str) -> Member {
        let manifest = self.manifest_path.replace('\\', "/");
        let folder = manifest.strip_suffix("/Cargo.toml").unwrap_or(&manifest);
        let folder = folder
            .strip_prefix(root)
            .unwrap_or(folder)
            .trim_start_matches('/');
        Member {
            id: self.id,
            name: self.name,
            folder: folder.to_owned(),
            license: self.license,
            dependencies: self.dependencies,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    kind: Option<String>,
}

impl Dependency {
    fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    fn has_version(&self) -> bool {
        self.req != "*"
    }
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

impl Node {
    fn into_edges(self) -> (String, Vec<String>) {
        let normal = self.deps.into_iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|dep_kind| dep_kind.kind.is_none())
        });
        (self.id, normal.map(|dependency| dependency.pkg).collect())
    }
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    /// Makes a workspace of empty crates, each a folder, a name and the rest of its manifest, and
    /// loads it the way the real one is loaded.
    pub(in crate::tidy) fn workspace(crates: &[(&str, &str, &str)]) -> Workspace {
        let root = tempfile::tempdir().unwrap();
        let write = |path: String, text: String| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let members: Vec<_> = crates.iter().map(|(folder, ..)| folder).collect();
        write(
            "Cargo.toml".into(),
            format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n"),
        );
        let mut lock = "version = 4\n".to_owned();
        for (folder, name, rest) in crates {
            let package = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n{rest}\n");
            write(format!("{folder}/Cargo.toml"), package);
            write(format!("{folder}/src/lib.rs"), String::new());
            let mut dependencies: Vec<_> = crates
                .iter()
                .filter(|(_, name, _)| rest.lines().any(|l| l.starts_with(&format!("{name} ="))))
                .map(|(_, name, _)| *name)
                .collect();
            dependencies.sort_unstable();
            lock += &format!("\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
            if !dependencies.is_empty() {
                lock += &format!("dependencies = {dependencies:?}\n");
            }
        }
        write("Cargo.lock".into(), lock);
        Workspace::load(root.path()).unwrap()
    }

    fn advice(crates: &[(&str, &str, &str)]) -> Vec<String> {
        check(&workspace(crates))
            .into_iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn the_protocol_reaches_no_runtime_even_through_others() {
        let found = advice(&[
            (
                "crates/p",
                PROTOCOL,
                "[dependencies]\nmiddle = { path = \"../m\" }",
            ),
            (
                "crates/m",
                "middle",
                "[dependencies]\ntokio = { path = \"../t\" }",
            ),
            ("crates/t", "tokio", ""),
        ]);
        let [found] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            found.starts_with("crates/p/Cargo.toml:1: [layering] "),
            "{found}"
        );
        assert!(
            found.contains("webpubsub-protocol -> middle -> tokio"),
            "{found}"
        );
    }

    #[test]
    fn a_runtime_is_fine_in_tests_of_the_protocol() {
        let found = advice(&[
            (
                "crates/p",
                PROTOCOL,
                "[dev-dependencies]\ntokio = { path = \"../t\" }",
            ),
            ("crates/t", "tokio", ""),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn siblings_meet_only_in_tests_and_without_a_version() {
        let emulator = ("crates/webpubsub-emulator", "webpubsub-emulator", "");
        let client = |table: &str, version: &str| {
            let rest = format!(
                "[{table}]\nwebpubsub-emulator = {{ path = \"../webpubsub-emulator\"{version} }}"
            );
            advice(&[("crates/webpubsub", "webpubsub", rest.as_str()), emulator])
        };
        assert_eq!(client("dev-dependencies", ""), [""; 0]);
        let found = client("dependencies", "");
        assert!(
            found.len() == 1 && found[0].contains("belongs into"),
            "{found:?}"
        );
        let found = client("dev-dependencies", ", version = \"0.1\"");
        assert!(
            found.len() == 1 && found[0].contains("has a version"),
            "{found:?}"
        );
    }

    #[test]
    fn anyhow_is_for_programs() {
        let uses = "[dependencies]\nanyhow = { path = \"../../anyhow\" }";
        let found = advice(&[
            ("crates/a", "a", uses),
            ("examples/b", "b", uses),
            ("tests/c", "c", uses),
            ("anyhow", "anyhow", ""),
        ]);
        assert!(
            found.len() == 1 && found[0].starts_with("crates/a/Cargo.toml"),
            "{found:?}"
        );
    }
}
