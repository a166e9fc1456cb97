//! Who may depend on whom, by `cargo metadata`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

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

/// What `cargo metadata` says.
pub(super) fn metadata(root: &Path) -> Result<Value> {
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
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = items(&metadata["packages"]);
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let members: BTreeSet<&str> = items(&metadata["workspace_members"])
        .iter()
        .map(text)
        .collect();
    let root = text(&metadata["workspace_root"]);
    let mut findings = Vec::new();
    for package in packages {
        let id = text(&package["id"]);
        if !members.contains(id) {
            continue;
        }
        let manifest = text(&package["manifest_path"]);
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest);
        let manifest = manifest.trim_start_matches('/');
        let mut report = |advice| findings.push(Finding::new(manifest, 1, "layering", advice));
        let name = text(&package["name"]);
        if name == PROTOCOL
            && let Some(way) = way(metadata, &names, id)
        {
            let way = way.join(" -> ");
            report(format!(
                "{way}: the protocol crate does no IO; move the code up a layer"
            ));
        }
        for dependency in items(&package["dependencies"]) {
            let other = text(&dependency["name"]);
            let siblings = SIBLINGS.contains(&name) && SIBLINGS.contains(&other) && name != other;
            if siblings && dependency["kind"] != "dev" {
                report(format!(
                    "depends on `{other}`; what both need belongs in `{PROTOCOL}`"
                ));
            } else if siblings && dependency["req"] == "*" {
                report(format!(
                    "dev-dependency `{other}` has no version, so the package could not be tested on its own; write \
                     `{other}.workspace = true`"
                ));
            }
            if other == "anyhow" && manifest.starts_with("crates/") {
                report("uses `anyhow`; libraries have typed errors".to_owned());
            }
        }
    }
    findings
}

/// The shortest way from a package to one that is impure over normal dependencies, by names.
fn way<'a>(
    metadata: &'a Value,
    names: &BTreeMap<&str, &'a str>,
    from: &'a str,
) -> Option<Vec<&'a str>> {
    let edges: BTreeMap<&str, Vec<&str>> = items(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = items(&node["deps"]).iter().filter(|dependency| {
                items(&dependency["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            });
            let normal = normal.map(|dependency| text(&dependency["pkg"]));
            (text(&node["id"]), normal.collect())
        })
        .collect();
    let mut seen = BTreeSet::from([from]);
    let mut pending = VecDeque::from([vec![from]]);
    while let Some(way) = pending.pop_front() {
        let last = way.last().copied().unwrap_or(from);
        if names.get(last).is_some_and(|name| IMPURE.contains(name)) {
            return way.into_iter().map(|id| names.get(id).copied()).collect();
        }
        for next in edges.get(last).into_iter().flatten().copied() {
            if seen.insert(next) {
                pending.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A crate and its dependencies: their names, kinds and versions.
    type Crate<'a> = (&'a str, &'a [(&'a str, Option<&'a str>, &'a str)]);

    /// What is wrong with crates in a folder `crates`.
    fn advice(crates: &[Crate<'_>]) -> Vec<String> {
        let package = |(name, dependencies): &Crate<'_>| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|(name, kind, req)| json!({ "name": name, "kind": kind, "req": req }))
                .collect();
            let manifest = format!("/w/crates/{name}/Cargo.toml");
            json!({ "id": name, "name": name, "manifest_path": manifest, "dependencies": dependencies })
        };
        let node = |(name, dependencies): &Crate<'_>| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|(name, kind, _)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] }))
                .collect();
            json!({ "id": name, "deps": dependencies })
        };
        let metadata = json!({
            "workspace_root": "/w",
            "workspace_members": crates.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "packages": crates.iter().map(package).collect::<Vec<_>>(),
            "resolve": { "nodes": crates.iter().map(node).collect::<Vec<_>>() },
        });
        check(&metadata).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_real_workspace_is_read() {
        let metadata = metadata(crate::codegen::workspace_root()).unwrap();
        assert!(items(&metadata["workspace_members"]).len() > 5);
        assert_eq!(check(&metadata), []);
    }

    #[test]
    fn the_protocol_reaches_no_runtime_even_through_others() {
        let found = advice(&[
            (PROTOCOL, &[("middle", None, "1")]),
            ("middle", &[("tokio", None, "1")]),
            ("tokio", &[]),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/webpubsub-protocol/Cargo.toml:1: [layering] "));
        assert!(
            found[0].contains("webpubsub-protocol -> middle -> tokio"),
            "{found:?}"
        );
        let in_tests = advice(&[(PROTOCOL, &[("tokio", Some("dev"), "1")]), ("tokio", &[])]);
        assert_eq!(in_tests, [""; 0]);
    }

    #[test]
    fn siblings_meet_only_in_tests_and_with_a_version() {
        let client = |kind, req| advice(&[("webpubsub", &[("webpubsub-emulator", kind, req)])]);
        assert_eq!(client(Some("dev"), "^0.1"), [""; 0]);
        let found = client(None, "^0.1");
        assert!(
            found.len() == 1 && found[0].contains("belongs in"),
            "{found:?}"
        );
        let found = client(Some("dev"), "*");
        assert!(
            found.len() == 1 && found[0].contains("has no version"),
            "{found:?}"
        );
    }

    #[test]
    fn anyhow_is_for_programs() {
        let found = advice(&[("a", &[("anyhow", None, "1")])]);
        assert!(
            found.len() == 1 && found[0].contains("typed errors"),
            "{found:?}"
        );
    }
}
