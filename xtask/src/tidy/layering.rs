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

/// Its program is made of the clients, by [`PROGRAM`]; its library knows none of them.
const EMULATOR: &str = "webpubsub-emulator";

/// The feature of [`EMULATOR`] that builds its program.
const PROGRAM: &str = "cli";

/// The crates above the protocol, which never depend on each other, but for the emulator's program.
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
        for (feature, brings) in package["features"].as_object().into_iter().flatten() {
            let client = items(brings).iter().map(text).find(|brought| {
                let brought = brought.trim_start_matches("dep:");
                let brought = brought.split(['/', '?']).next().unwrap_or_default();
                brought != name && SIBLINGS.contains(&brought)
            });
            if let Some(client) = client
                && (name != EMULATOR || feature != PROGRAM)
            {
                report(format!(
                    "feature `{feature}` brings `{client}`; only `{PROGRAM}` of `{EMULATOR}` may"
                ));
            }
        }
        for dependency in items(&package["dependencies"]) {
            let other = text(&dependency["name"]);
            let siblings = SIBLINGS.contains(&name) && SIBLINGS.contains(&other) && name != other;
            let has_version = dependency["req"] != "*";
            let is_programs = name == EMULATOR && dependency["optional"] == true;
            if siblings && dependency["kind"] != "dev" && !is_programs {
                report(format!(
                    "depends on `{other}`; what both need belongs in `{PROTOCOL}`"
                ));
            } else if siblings && dependency["kind"] == "dev" && other == EMULATOR && has_version {
                report(format!(
                    "dev-dependency `{other}` has a version, so packages would depend on each other in a circle; write \
                     `{other}.workspace = true`"
                ));
            } else if siblings && other != EMULATOR && !has_version {
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

    /// A crate and its dependencies: their names, kinds (`optional` for an optional one) and versions.
    type Crate<'a> = (&'a str, &'a [(&'a str, Option<&'a str>, &'a str)]);

    /// What is wrong with crates in a folder `crates`. Optional dependencies belong to a feature `cli`.
    fn advice(crates: &[Crate<'_>]) -> Vec<String> {
        let package = |(name, dependencies): &Crate<'_>| {
            let optional = dependencies
                .iter()
                .filter(|(_, kind, _)| *kind == Some("optional"));
            let optional = optional.map(|(name, ..)| format!("dep:{name}"));
            let features = json!({ "cli": optional.collect::<Vec<_>>() });
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|(name, kind, req)| {
                    let is_optional = *kind == Some("optional");
                    let kind = kind.filter(|_| !is_optional);
                    json!({ "name": name, "kind": kind, "req": req, "optional": is_optional })
                })
                .collect();
            let manifest = format!("/w/crates/{name}/Cargo.toml");
            json!({
                "id": name,
                "name": name,
                "manifest_path": manifest,
                "dependencies": dependencies,
                "features": features,
            })
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
    fn siblings_meet_only_in_tests_and_without_a_circle() {
        let found = |kind, req| advice(&[("webpubsub-axum", &[("webpubsub-client", kind, req)])]);
        assert_eq!(found(Some("dev"), "^0.1"), [""; 0]);
        for (kind, req, expected) in [
            (None, "^0.1", "belongs in"),
            (Some("optional"), "^0.1", "belongs in"),
            (Some("dev"), "*", "has no version"),
        ] {
            let found = found(kind, req);
            assert!(found.iter().any(|f| f.contains(expected)), "{found:?}");
        }
        let client = |req| advice(&[("webpubsub", &[("webpubsub-emulator", Some("dev"), req)])]);
        assert_eq!(client("*"), [""; 0]);
        let found = client("^0.1");
        assert!(
            found.len() == 1 && found[0].contains("in a circle"),
            "{found:?}"
        );
    }

    #[test]
    fn the_program_of_the_emulator_may_know_the_clients() {
        let emulator = |kind| advice(&[("webpubsub-emulator", &[("webpubsub", kind, "^0.1")])]);
        assert_eq!(emulator(Some("optional")), [""; 0]);
        let found = emulator(None);
        assert!(
            found.len() == 1 && found[0].contains("belongs in"),
            "{found:?}"
        );
        let found = advice(&[(
            "webpubsub",
            &[("webpubsub-client", Some("optional"), "^0.1")],
        )]);
        assert!(found.iter().any(|f| f.contains("only `cli`")), "{found:?}");
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
