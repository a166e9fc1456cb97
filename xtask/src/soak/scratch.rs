//! A copy of the workspace to break things in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What a build does not need, wherever it is.
const SKIPPED: [&str; 6] = [
    ".git",
    ".venv",
    "__pycache__",
    "artifacts",
    "node_modules",
    "target",
];

/// A copy of the workspace. Files that are as they should be are left alone, so that cargo builds only
/// what changed.
#[derive(Debug)]
pub(super) struct Scratch {
    original: PathBuf,
    folder: PathBuf,
}

impl Scratch {
    /// # Errors
    ///
    /// Fails when the copy cannot be made.
    pub(super) fn new(original: &Path, folder: PathBuf) -> Result<Self> {
        let original = original.to_owned();
        let scratch = Self { original, folder };
        scratch.reset()?;
        Ok(scratch)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes it the same as the workspace.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read, written or removed.
    pub(super) fn reset(&self) -> Result<()> {
        let wanted = files(&self.original)?;
        if self.folder.exists() {
            for extra in files(&self.folder)?.difference(&wanted) {
                fs::remove_file(self.folder.join(extra))?;
            }
        }
        for path in &wanted {
            let text = fs::read(self.original.join(path))?;
            self.write(path, &text)?;
        }
        Ok(())
    }

    /// Changes a file of it.
    ///
    /// # Errors
    ///
    /// Fails when there is no such text file, or `change` does.
    pub(super) fn change(
        &self,
        path: &str,
        change: impl FnOnce(&str) -> Result<String>,
    ) -> Result<()> {
        let text = fs::read_to_string(self.folder.join(path));
        let text = text.with_context(|| format!("it no longer applies: there is no {path}"))?;
        self.write(Path::new(path), change(&text)?.as_bytes())
    }

    fn write(&self, path: &Path, text: &[u8]) -> Result<()> {
        let path = self.folder.join(path);
        if fs::read(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// All files below a folder, from there.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(below.join(name));
            } else if kind.is_file() {
                found.insert(below.join(name));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_original() {
        let folder = tempfile::tempdir().expect("a folder");
        let (original, copy) = (folder.path().join("a"), folder.path().join("target"));
        fs::create_dir_all(original.join("src")).expect("a folder");
        fs::create_dir_all(original.join("target")).expect("a folder");
        for path in ["src/one.rs", "src/two.rs", "target/three.rs"] {
            fs::write(original.join(path), path).expect("a file");
        }
        let scratch = Scratch::new(&original, copy.clone()).expect("a copy");
        let modified = |path: &str| fs::metadata(copy.join(path)).and_then(|data| data.modified());
        let before = modified("src/two.rs").expect("it was copied");
        assert!(!copy.join("target").exists());
        scratch
            .change("src/one.rs", |text| Ok(format!("{text}!")))
            .expect("it is changed");
        fs::write(copy.join("src/extra.rs"), "").expect("a file");
        scratch.reset().expect("it is the same again");
        let one = fs::read_to_string(copy.join("src/one.rs"));
        assert_eq!(one.expect("it is there"), "src/one.rs");
        assert!(!copy.join("src/extra.rs").exists());
        assert_eq!(modified("src/two.rs").expect("it is there"), before);
        assert!(
            scratch
                .change("src/four.rs", |text| Ok(text.to_owned()))
                .is_err()
        );
    }
}
