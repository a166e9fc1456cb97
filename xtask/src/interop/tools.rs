//! The programs that the suites need: found, or installed below the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::test::process;
use crate::test::report::Missing;

const NODE_MAJOR: u32 = 20;

/// Finds tools, and prepares each at most once in a run.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    programs: Once,
    python: Once,
    packaging: Once,
    /// Held while packages are installed: suites that run side by side share some.
    installing: Mutex<()>,
}

impl Tools {
    /// The cargo that runs this program, in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root());
        cargo
    }

    /// A program of this workspace in the dev profile, built with everything else: building it
    /// alone would choose other features and compile the dependencies again.
    ///
    /// # Errors
    ///
    /// Fails when the workspace does not build or has no such program.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let folder = self.programs.get(|| {
            process::run_ok(self.cargo().args(["build", "--workspace", "--all-targets"]))?;
            Ok(target_folder().join("debug"))
        })?;
        let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if !path.is_file() {
            bail!("the workspace builds no program `{name}`");
        }
        Ok(path)
    }

    /// Builds the programs of these packages in the release profile and returns the folder that holds them.
    ///
    /// # Errors
    ///
    /// Fails when they do not build.
    pub(crate) fn release(&self, packages: &[&str]) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--bins"]);
        for package in packages {
            cargo.args(["--package", package]);
        }
        process::run_ok(&mut cargo)?;
        Ok(target_folder().join("release"))
    }

    /// Node.js, in the root of the workspace.
    ///
    /// # Errors
    ///
    /// [`Missing`] when there is none, or one older than 20.
    pub(crate) fn node(&self) -> Result<Command> {
        let version = process::probe("node", &["--version"])
            .ok_or_else(|| Missing::new("no Node.js; install version 20 or newer"))?;
        let major = version
            .trim_start_matches('v')
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < NODE_MAJOR) {
            return Err(
                Missing::new(format!("Node.js {version}; install version 20 or newer")).into(),
            );
        }
        let mut node = Command::new("node");
        node.current_dir(root());
        Ok(node)
    }

    /// Installs what the lock file in `folder` names, unless that has happened, and returns the
    /// whole path of the folder. No script of a package runs.
    ///
    /// # Errors
    ///
    /// [`Missing`] without Node.js and npm; fails when npm does.
    pub(crate) fn npm_ci(&self, folder: &str) -> Result<PathBuf> {
        self.node()?;
        if process::probe("npm", &["--version"]).is_none() {
            return Err(Missing::new("no npm; install it with Node.js").into());
        }
        let folder = root().join(folder);
        let _installing = self
            .installing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::new(
            &folder.join("package-lock.json"),
            folder.join("node_modules/.installed"),
        )?;
        if !stamp.is_current() {
            process::run_ok(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&folder),
            )?;
            stamp.write()?;
        }
        Ok(folder)
    }

    /// Python with the packages of `tests/interop/python/requirements.txt`, in the root of the
    /// workspace.
    ///
    /// # Errors
    ///
    /// [`Missing`] without Python and its `venv` module; fails when pip does.
    pub(crate) fn python(&self) -> Result<Command> {
        let requirements = "tests/interop/python/requirements.txt";
        let interpreter = self
            .python
            .get(|| prepare_python(requirements, "interop/python"))?;
        Ok(python(&interpreter))
    }

    /// A program that makes or checks packages, of those in `dist/python/requirements.txt`, or their `python`; in the
    /// root of the workspace.
    ///
    /// # Errors
    ///
    /// [`Missing`] without Python and its `venv` module; fails when pip does.
    pub(crate) fn packaging(&self, program: &str) -> Result<Command> {
        let requirements = "dist/python/requirements.txt";
        let interpreter = self
            .packaging
            .get(|| prepare_python(requirements, "dist-scratch/python"))?;
        let file = format!("{program}{}", env::consts::EXE_SUFFIX);
        Ok(python(&interpreter.with_file_name(file)))
    }

    /// The browser: `CHROMIUM`, or one of the usual names.
    ///
    /// # Errors
    ///
    /// [`Missing`] when there is none.
    pub(crate) fn chromium(&self) -> Result<PathBuf> {
        if let Some(path) = env::var_os("CHROMIUM") {
            return Ok(path.into());
        }
        ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .find_map(|name| {
                env::split_paths(&env::var_os("PATH")?)
                    .map(|folder| folder.join(name))
                    .find(|path| path.is_file())
            })
            .ok_or_else(|| Missing::new("no Chromium; install it or set CHROMIUM").into())
    }
}

/// A path that is prepared at most once; who asks meanwhile waits. After a failure the next one tries again.
#[derive(Debug, Default)]
struct Once(Mutex<Option<PathBuf>>);

impl Once {
    fn get(&self, prepare: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
        let mut path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if path.is_none() {
            *path = Some(prepare()?);
        }
        path.clone().context("it was prepared")
    }
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

fn python(interpreter: &Path) -> Command {
    let mut python = Command::new(interpreter);
    python
        .current_dir(root())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// An environment in a folder below the target folder, with what a file of requirements names.
fn prepare_python(requirements: &str, folder: &str) -> Result<PathBuf> {
    if process::probe("python3", &["-c", "import ensurepip, venv"]).is_none() {
        return Err(Missing::new(
            "no Python 3 with its venv module; install python3 and python3-venv",
        )
        .into());
    }
    let venv = target_folder().join(folder);
    let interpreter = venv.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let requirements = root().join(requirements);
    let stamp = Stamp::new(&requirements, venv.join("installed.txt"))?;
    if !stamp.is_current() || !interpreter.is_file() {
        process::run_ok(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
        )?;
        process::run_ok(
            Command::new(&interpreter)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--require-hashes",
                    "-r",
                ])
                .arg(&requirements),
        )?;
        stamp.write()?;
    }
    Ok(interpreter)
}

/// Where cargo builds; the same rule as cargo's own for what this workspace sets.
pub(crate) fn target_folder() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A copy of a lock file beside what was installed from it.
struct Stamp {
    lock: Vec<u8>,
    copy: PathBuf,
}

impl Stamp {
    fn new(lock: &Path, copy: PathBuf) -> Result<Self> {
        let lock = fs::read(lock).with_context(|| format!("cannot read {}", lock.display()))?;
        Ok(Self { lock, copy })
    }

    fn is_current(&self) -> bool {
        fs::read(&self.copy).is_ok_and(|copy| copy == self.lock)
    }

    fn write(&self) -> Result<()> {
        fs::write(&self.copy, &self.lock)
            .with_context(|| format!("cannot write {}", self.copy.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_current_until_its_lock_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, copy) = (folder.path().join("lock"), folder.path().join("copy"));
        fs::write(&lock, "one").unwrap();
        let stamp = Stamp::new(&lock, copy.clone()).unwrap();
        assert!(!stamp.is_current());
        stamp.write().unwrap();
        assert!(stamp.is_current());
        fs::write(&lock, "two").unwrap();
        assert!(!Stamp::new(&lock, copy).unwrap().is_current());
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
