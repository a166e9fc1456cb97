//! The crates that are published, as cargo knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::interop::Tools;

/// A crate that is published.
#[derive(Debug, Clone)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// The folder of its manifest.
    pub(super) folder: PathBuf,
    /// The oldest compiler that it promises to build with.
    pub(super) rust: String,
    /// Each feature with what it switches on.
    pub(super) features: BTreeMap<String, Vec<String>>,
    /// What its tests need besides its package: dev-dependencies without a version, which packages leave out. Each with
    /// whether its default features are on.
    pub(super) left_out: BTreeMap<String, bool>,
    needs: BTreeSet<String>,
}

impl Crate {
    /// The tag of a version of this crate.
    pub(super) fn tag(&self, version: &str) -> String {
        format!("{}-v{version}", self.name)
    }

    /// A crate for tests, without dependencies and features.
    #[cfg(test)]
    pub(super) fn example(name: &str, version: &str, folder: &std::path::Path) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            folder: folder.to_owned(),
            rust: String::new(),
            features: BTreeMap::new(),
            left_out: BTreeMap::new(),
            needs: BTreeSet::new(),
        }
    }

    /// Name and version, as in the name of its package.
    pub(super) fn spec(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// All published crates, each behind those that it depends on, also for its tests: a package must be complete when its
/// dependants are packed.
pub(super) fn published() -> Result<Vec<Crate>> {
    let output = Tools::default()
        .cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` wrote something else")?;
    in_order(metadata)
}

fn in_order(metadata: Metadata) -> Result<Vec<Crate>> {
    let packages = metadata.packages.into_iter();
    // `publish = false` is an empty list of registries.
    let published =
        packages.filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()));
    let mut left: Vec<_> = published.map(Crate::from).collect();
    let names: BTreeSet<_> = left.iter().map(|c| c.name.clone()).collect();
    let mut ordered: Vec<Crate> = Vec::new();
    while !left.is_empty() {
        let is_ready = |c: &Crate| {
            let mut ours = c.needs.iter().filter(|name| names.contains(*name));
            ours.all(|name| ordered.iter().any(|done| done.name == *name))
        };
        let Some(next) = left.iter().position(is_ready) else {
            let names: Vec<_> = left.iter().map(|c| c.name.as_str()).collect();
            bail!(
                "these crates depend on each other in a circle: {}",
                names.join(", ")
            );
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    publish: Option<Vec<String>>,
    #[serde(default)]
    rust_version: Option<String>,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    kind: Option<String>,
    #[serde(default)]
    uses_default_features: bool,
}

impl From<Package> for Crate {
    fn from(package: Package) -> Self {
        // A development dependency without a version is left out of the package.
        let is_packed = |d: &Dependency| d.kind.as_deref() != Some("dev") || d.req != "*";
        let (needs, left_out): (Vec<_>, Vec<_>) =
            package.dependencies.into_iter().partition(is_packed);
        let left_out = left_out.into_iter();
        Self {
            name: package.name,
            version: package.version,
            folder: package
                .manifest_path
                .parent()
                .map(Into::into)
                .unwrap_or_default(),
            rust: package.rust_version.unwrap_or_default(),
            features: package.features,
            left_out: left_out
                .map(|d| (d.name, d.uses_default_features))
                .collect(),
            needs: needs.into_iter().map(|d| d.name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, publish: Option<Vec<String>>, needs: &[(&str, &str, &str)]) -> Package {
        let needs = needs.iter().map(|(name, req, kind)| Dependency {
            name: (*name).to_owned(),
            req: (*req).to_owned(),
            kind: (!kind.is_empty()).then(|| (*kind).to_owned()),
            uses_default_features: true,
        });
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            manifest_path: format!("crates/{name}/Cargo.toml").into(),
            publish,
            rust_version: None,
            features: BTreeMap::new(),
            dependencies: needs.collect(),
        }
    }

    #[test]
    fn what_is_needed_comes_first_and_what_stays_here_is_left_out() {
        let packages = vec![
            package("b", None, &[("a", "^0.1", ""), ("serde", "^1", "")]),
            package("tool", Some(vec![]), &[]),
            package("c", None, &[("b", "^0.1", "dev"), ("d", "*", "dev")]),
            package("a", None, &[]),
            package("d", None, &[("c", "^0.1", "")]),
        ];
        let ordered = in_order(Metadata { packages }).unwrap();
        let names: Vec<_> = ordered.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(ordered[0].tag("1.2.3"), "a-v1.2.3");
        assert_eq!(ordered[2].left_out, [("d".to_owned(), true)].into());
    }

    #[test]
    fn a_circle_is_named() {
        let packages = vec![
            package("a", None, &[("b", "^0.1", "")]),
            package("b", None, &[("a", "^0.1", "dev")]),
        ];
        let error = in_order(Metadata { packages }).unwrap_err().to_string();
        assert_eq!(error, "these crates depend on each other in a circle: a, b");
    }
}
