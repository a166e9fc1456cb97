//! Every combination of features that differs from the others is checked: none, each alone, each pair, the default and all.
//!
//! This is what `cargo hack check --feature-powerset --depth 2` does, without a tool to install, and without repeating
//! what comes to the same because a feature brings another along.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::crates::Crate;
use crate::interop::Tools;
use crate::test::counts::Counts;
use crate::test::process;
use crate::test::report::Outcome;

/// Checks the combinations of each crate; a warning is a failure, since code that only one of them leaves unused shows
/// nowhere else.
pub(super) fn check(crates: &[Crate]) -> Result<Outcome> {
    let mut counts = Counts::default();
    for c in crates {
        for features in combinations(&c.features) {
            let features = features.into_iter().collect::<Vec<_>>().join(",");
            let mut cargo = Tools::default().cargo();
            cargo
                .args(["check", "--quiet", "--package", &c.name])
                .args(["--no-default-features", "--features", &features]);
            let finished = process::run(&mut cargo)?;
            if finished.status.success() && !finished.output.contains("warning:") {
                counts.passed += 1;
            } else {
                counts.failed += 1;
            }
        }
    }
    Ok(Outcome::Ran(counts))
}

/// Sets of features, none of which switches on the same as another.
fn combinations(features: &BTreeMap<String, Vec<String>>) -> Vec<BTreeSet<&str>> {
    let all: Vec<_> = features.keys().map(String::as_str).collect();
    let public: Vec<_> = all
        .iter()
        .copied()
        .filter(|name| !name.starts_with("__") && *name != "default")
        .collect();
    let mut sets = vec![BTreeSet::new()];
    sets.extend(public.iter().map(|name| BTreeSet::from([*name])));
    for (index, first) in public.iter().enumerate() {
        let pairs = public[index + 1..].iter();
        sets.extend(pairs.map(|second| BTreeSet::from([*first, *second])));
    }
    if all.contains(&"default") {
        sets.push(BTreeSet::from(["default"]));
    }
    sets.push(all.into_iter().collect());
    let mut seen = BTreeSet::new();
    sets.retain(|set| seen.insert(closure(features, set)));
    sets
}

/// All that a set switches on in its crate and beyond.
fn closure<'a>(
    features: &'a BTreeMap<String, Vec<String>>,
    set: &BTreeSet<&'a str>,
) -> BTreeSet<&'a str> {
    let mut on = BTreeSet::new();
    let mut pending: Vec<_> = set.iter().copied().collect();
    while let Some(next) = pending.pop() {
        if on.insert(next) {
            pending.extend(features.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    on.remove("default");
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alone_each_pair_none_and_all_once() {
        let features = [
            ("default", vec!["tls"]),
            ("tls", vec!["socket"]),
            ("socket", vec![]),
            ("json", vec![]),
            ("__private", vec![]),
        ];
        let features = features.map(|(name, brings)| {
            let brings = brings.into_iter().map(str::to_owned).collect();
            (name.to_owned(), brings)
        });
        let features = features.into();
        let sets = combinations(&features);
        let sets: Vec<Vec<_>> = sets.into_iter().map(Vec::from_iter).collect();
        let all = vec!["__private", "default", "json", "socket", "tls"];
        assert_eq!(
            sets,
            [
                vec![],
                vec!["json"],
                vec!["socket"],
                vec!["tls"],
                vec!["json", "socket"],
                vec!["json", "tls"],
                all,
            ],
            "the default is `tls`, which brings `socket` along"
        );
    }
}
