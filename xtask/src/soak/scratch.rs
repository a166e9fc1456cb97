//! A copy of the workspace to break things in.

use std::collections::{BTreeMap, BTreeSet};
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
    pub(super) fn new(original: &Path, folder: PathBuf) -> Self {
        let original = original.to_owned();
        Self { original, folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes it the same as the workspace, but for the files with other texts.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read, written or removed.
    pub(super) fn fill(&self, others: &BTreeMap<String, String>) -> Result<()> {
        let wanted = files(&self.original)?;
        if self.folder.exists() {
            for extra in files(&self.folder)?.difference(&wanted) {
                fs::remove_file(self.folder.join(extra))?;
            }
        }
        for path in &wanted {
            match path.to_str().and_then(|path| others.get(path)) {
                Some(text) => self.write(path, text.as_bytes())?,
                None => self.write(path, &fs::read(self.original.join(path))?)?,
            }
        }
        Ok(())
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
        let scratch = Scratch::new(&original, copy.clone());
        scratch.fill(&BTreeMap::new()).expect("a copy");
        let modified = |path: &str| fs::metadata(copy.join(path)).and_then(|data| data.modified());
        let text = |path: &str| fs::read_to_string(copy.join(path)).expect("it is there");
        let before = modified("src/two.rs").expect("it was copied");
        assert!(!copy.join("target").exists());

        let changed = BTreeMap::from([("src/one.rs".to_owned(), "changed".to_owned())]);
        fs::write(copy.join("src/extra.rs"), "").expect("a file");
        scratch
            .fill(&changed)
            .expect("it is the same but for one file");
        assert_eq!(text("src/one.rs"), "changed");
        assert!(!copy.join("src/extra.rs").exists());

        scratch
            .fill(&BTreeMap::new())
            .expect("it is the same again");
        assert_eq!(text("src/one.rs"), "src/one.rs");
        assert_eq!(modified("src/two.rs").expect("it is there"), before);
    }
}
