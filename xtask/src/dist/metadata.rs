//! What cargo knows about the packages in the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::PROGRAM;
use super::build::Build;
use super::target::Target;
use crate::interop::{Tools, root};

/// The packages that were compiled for the program, by their ids.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) packages: BTreeMap<String, Package>,
    /// The id of the program's own package.
    pub(super) program: String,
    pub(super) version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// `None` for the packages of this workspace.
    pub(super) source: Option<String>,
    pub(super) manifest_path: PathBuf,
    /// SHA-256 of the package as the registry has it.
    #[serde(skip)]
    pub(super) checksum: Option<String>,
    /// The ids of what it depends on.
    #[serde(skip)]
    pub(super) needs: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Metadata {
    /// Cargo's metadata covers the whole workspace with all its features; what was compiled says which of it is true
    /// for the program.
    pub(super) fn read(tools: &Tools, target: &Target, build: &Build) -> Result<Self> {
        let mut cargo = tools.cargo();
        cargo.args(["metadata", "--locked", "--format-version", "1"]);
        let output = cargo
            .args(["--filter-platform", &target.triple])
            .output()
            .context("cannot start `cargo metadata`")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`cargo metadata` failed: {}", said.trim());
        }
        let document: Document = serde_json::from_slice(&output.stdout)
            .context("`cargo metadata` wrote something else")?;
        let lock =
            fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
        let lock: Lock = toml::from_str(&lock).context("cannot understand Cargo.lock")?;
        Self::of(document, lock, build)
    }

    fn of(document: Document, lock: Lock, build: &Build) -> Result<Self> {
        let compiled = |id: &String| build.packages.contains(id);
        let packages = document.packages.into_iter();
        let packages = packages.filter(|package| compiled(&package.id));
        let mut packages: BTreeMap<_, _> = packages
            .map(|package| (package.id.clone(), package))
            .collect();
        for node in document.resolve.nodes {
            if let Some(package) = packages.get_mut(&node.id) {
                package.needs = node.dependencies.into_iter().filter(compiled).collect();
                package.needs.sort_unstable();
            }
        }
        let checksums: BTreeMap<_, _> = lock
            .package
            .into_iter()
            .map(|locked| ((locked.name, locked.version), locked.checksum))
            .collect();
        for package in packages.values_mut() {
            let key = (package.name.clone(), package.version.clone());
            package.checksum = checksums.get(&key).cloned().flatten();
        }
        let program = packages
            .values()
            .find(|package| package.name == PROGRAM)
            .with_context(|| format!("cargo did not compile {PROGRAM}"))?;
        Ok(Self {
            program: program.id.clone(),
            version: program.version.clone(),
            packages,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_compiled_is_left_out() {
        let package = |id: &str, name: &str| json!({ "id": id, "name": name, "version": "1.0.0", "manifest_path": "Cargo.toml" });
        let document = json!({
            "packages": [package("p", PROGRAM), package("a", "used"), package("b", "of another target")],
            "resolve": { "nodes": [{ "id": "p", "dependencies": ["b", "a"] }, { "id": "a", "dependencies": [] }] },
        });
        let lock =
            toml::from_str("[[package]]\nname = 'used'\nversion = '1.0.0'\nchecksum = 'c0ffee'");
        let build = Build {
            program: PathBuf::new(),
            packages: ["p", "a"].map(str::to_owned).into(),
        };
        let document = serde_json::from_value(document).unwrap();
        let metadata = Metadata::of(document, lock.unwrap(), &build).unwrap();
        assert_eq!(metadata.program, "p");
        assert_eq!(metadata.packages["p"].needs, ["a"]);
        assert_eq!(metadata.packages["a"].checksum.as_deref(), Some("c0ffee"));
        assert_eq!(metadata.packages.len(), 2);
    }
}
