//! `cargo xtask tidy [--fix]`: the rules of this workspace that no compiler checks.
//!
//! A rule is a function from what it looks at to [`Finding`]s. Those that read files get a
//! [`Tree`], so that tests can plant violations in one made of strings.

use std::{fmt, fs};

use anyhow::{Context as _, Result, bail};

use crate::codegen::workspace_root;

mod docs;
mod layering;
mod machine;
mod manifests;
mod named_tests;
mod requirements;
mod rust;
mod source;
mod tree;

use layering::Workspace;
use tree::Tree;

pub(crate) use requirements::{Citations, Level, PATH as REQUIREMENTS_PATH, Requirements, State};

/// Arguments of `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Mark planned requirements that tests cite as done.
    #[arg(long)]
    fix: bool,
}

/// One violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 1 also when the whole file is meant.
    line: usize,
    rule: &'static str,
    /// What is wrong, and what to do.
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            advice,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {advice}")
    }
}

/// Checks every rule and prints what violates them.
///
/// # Errors
///
/// Fails when there is a finding, and when git, cargo or a file cannot be read.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = workspace_root();
    let mut tree = Tree::load(root)?;
    if args.fix
        && let Some(text) = requirements::mark_cited_as_done(&tree)?
    {
        let path = root.join(requirements::PATH);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("updated {}", requirements::PATH);
        tree = Tree::load(root)?;
    }
    let findings = check(&tree, &Workspace::load(root)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} finding(s)", findings.len());
    }
    println!("tidy: no findings in {} files", tree.len());
    Ok(())
}

/// The citations of requirements in the files of this workspace.
///
/// # Errors
///
/// Fails when git or a file cannot be read.
pub(crate) fn citations() -> Result<Citations> {
    Ok(Citations::of(&Tree::load(workspace_root())?))
}

fn check(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let mut findings = layering::check(workspace);
    findings.extend(manifests::check(tree, workspace));
    findings.extend(docs::check(tree, workspace));
    findings.extend(named_tests::check(tree));
    findings.extend(requirements::check(tree));
    findings.extend(rust::check(tree));
    findings.extend(machine::check(tree));
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_place_rule_and_remedy() {
        let finding = Finding::new("a/b.rs", 7, "todo", "finish it");
        assert_eq!(finding.to_string(), "a/b.rs:7: [todo] finish it");
    }
}
