//! What git knows about a work tree.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::interop::root;

/// A work tree of git.
#[derive(Debug)]
pub(super) struct Repo(PathBuf);

impl Repo {
    /// This workspace.
    pub(super) fn here() -> Self {
        Self(root().to_owned())
    }

    #[cfg(test)]
    pub(super) fn at(folder: &std::path::Path) -> Self {
        Self(folder.to_owned())
    }

    /// Fails with what is not committed.
    pub(super) fn expect_clean(&self) -> Result<()> {
        let changes = self.changes()?;
        if !changes.is_empty() {
            bail!("the work tree has changes; commit or stash them first:\n{changes}");
        }
        Ok(())
    }

    /// What is not committed, as `git status` lists it.
    pub(super) fn changes(&self) -> Result<String> {
        self.git(&["status", "--porcelain"])
    }

    /// The current commit.
    pub(super) fn head(&self) -> Result<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The commit that a tag names, if there is such a tag.
    pub(super) fn tagged(&self, tag: &str) -> Result<Option<String>> {
        if self.git(&["tag", "--list", tag])?.is_empty() {
            return Ok(None);
        }
        self.git(&["rev-parse", &format!("{tag}^{{commit}}")])
            .map(Some)
    }

    /// The tag of the latest version among those that fit a pattern.
    pub(super) fn latest(&self, pattern: &str) -> Result<Option<String>> {
        let tags = self.git(&["tag", "--list", pattern, "--sort=-version:refname"])?;
        Ok(tags.lines().next().map(str::to_owned))
    }

    /// Commits all changes of tracked files, if there are any.
    pub(super) fn commit(&self, message: &str) -> Result<()> {
        if !self.changes()?.is_empty() {
            self.git(&["commit", "--quiet", "--all", "--message", message])?;
        }
        Ok(())
    }

    /// Tags the current commit.
    pub(super) fn tag(&self, tag: &str) -> Result<()> {
        self.git(&["tag", "--annotate", tag, "--message", tag])?;
        Ok(())
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args(args)
            .current_dir(&self.0)
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`git {}` failed: {}", args.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A work tree with one commit of `files`, whoever runs the tests.
    pub(in super::super) fn repo(folder: &Path, files: &[(&str, &str)]) -> Repo {
        let repo = Repo::at(folder);
        repo.git(&["init", "--quiet"]).unwrap();
        for (key, value) in [("user.name", "Ana"), ("user.email", "ana@example.com")] {
            repo.git(&["config", key, value]).unwrap();
        }
        for (path, text) in files {
            fs::write(folder.join(path), text).unwrap();
        }
        repo.git(&["add", "--all"]).unwrap();
        repo.commit("First").unwrap();
        repo
    }

    #[test]
    fn a_dirty_tree_is_one_clear_line_and_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let repo = repo(folder.path(), &[("a", "1")]);
        repo.expect_clean().unwrap();
        fs::write(folder.path().join("a"), "2").unwrap();
        let error = repo.expect_clean().unwrap_err().to_string();
        assert_eq!(
            error,
            "the work tree has changes; commit or stash them first:\n M a"
        );
    }

    #[test]
    fn tags_name_commits_and_the_latest_is_that_of_the_highest_version() {
        let folder = tempfile::tempdir().unwrap();
        let repo = repo(folder.path(), &[("a", "1")]);
        for version in ["0.9.0", "0.10.0"] {
            repo.tag(&format!("it-v{version}")).unwrap();
        }
        assert_eq!(repo.latest("it-v*").unwrap().as_deref(), Some("it-v0.10.0"));
        assert_eq!(
            repo.tagged("it-v0.9.0").unwrap(),
            Some(repo.head().unwrap())
        );
        assert_eq!(repo.tagged("it-v1.0.0").unwrap(), None);
    }
}
