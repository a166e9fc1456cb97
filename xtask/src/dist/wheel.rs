//! The package for `uvx` and pip: a wheel whose only content is the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::checks::Checks;
use super::{Dist, PROGRAM, build, contents, text};
use crate::interop::{Emulator, root};
use crate::test::counts;
use crate::test::process;
use crate::test::report::Outcome;

/// Has maturin pack the wheel. It builds by cargo, which finds the program built already.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    let folder = dist.scratch("wheel")?;
    let manifest = root().join("crates").join(PROGRAM).join("Cargo.toml");
    let project = dist.template("python/pyproject.toml")?;
    // A literal string of TOML, in which Windows' separators mean themselves.
    let manifest = format!("'{}'", text(&manifest)?);
    fs::write(
        folder.join("pyproject.toml"),
        project.replace("\"@MANIFEST@\"", &manifest),
    )?;
    fs::write(folder.join("README.md"), dist.template("python/README.md")?)?;
    fs::write(folder.join("LICENSE"), contents::document("LICENSE")?)?;
    fs::write(
        folder.join("THIRD-PARTY-LICENSES.txt"),
        contents::licences(dist)?,
    )?;
    let out = dist.folder();
    let mut maturin = dist.tools.packaging("maturin")?;
    build::configure(&mut maturin, &dist.target, dist.quick);
    maturin
        .current_dir(&folder)
        .args(["build", "--locked", "--profile", "dist"]);
    maturin.args(["--target", &dist.target.triple, "--out", text(&out)?]);
    let tags = dist.target.wheel_tags();
    if !tags.is_empty() {
        maturin.arg("--compatibility").args(tags);
    }
    maturin.env("SOURCE_DATE_EPOCH", dist.time.to_string());
    process::run_ok(&mut maturin)?;
    let wheel = fs::read_dir(&out)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    Ok(vec![wheel.context("maturin made no wheel")?])
}

/// Installs it into an environment of its own, and runs it there and by `uvx`.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    let wheel = made.first().context("there is no wheel")?;
    let venv = dist.scratch("wheel-venv")?;
    process::run_ok(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let bin = venv.join(if cfg!(windows) { "Scripts" } else { "bin" });
    checks.check("pip installs it", || {
        // Without an index: nothing but this wheel may be needed.
        let mut pip = Command::new(bin.join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
        ]);
        process::run_ok(pip.arg(wheel))
    });
    checks.check("it says that it is this version", || {
        let finished = process::run(Command::new(bin.join(PROGRAM)).arg("--version"))?;
        ensure!(
            finished.output.contains(dist.version()),
            "it said something else"
        );
        Ok(())
    });
    checks.suite("the official SDK against the wheel", || {
        let mut program = Command::new(bin.join(PROGRAM));
        let emulator = Emulator::start(program.args(["--port", "0", "--json"]))?;
        let outcome = official_sdk(dist, &emulator)?;
        emulator.stop()?;
        Ok(outcome)
    });
    checks.check("uvx runs it", || {
        let mut uvx = uvx(dist, wheel)?;
        Emulator::start(uvx.args(["--port", "0", "--json"]))?.stop()
    });
    Ok(())
}

fn uvx(dist: &Dist, wheel: &Path) -> Result<Command> {
    let mut uvx = dist.tools.packaging("uv")?;
    uvx.args([
        "tool",
        "run",
        "--offline",
        "--no-config",
        "--from",
        text(wheel)?,
        PROGRAM,
    ]);
    uvx.env("UV_CACHE_DIR", dist.scratch("uv-cache")?);
    uvx.env("UV_PYTHON_DOWNLOADS", "never");
    Ok(uvx)
}

/// Runs the tests of the official Python service client against a running emulator.
fn official_sdk(dist: &Dist, emulator: &Emulator) -> Result<Outcome> {
    let mut python = dist.tools.python()?;
    python
        .env("WebPubSubConnectionString", emulator.connection_string())
        .args(["-m", "pytest", "-q", "tests/interop/python/test_service.py"]);
    let finished = process::run(&mut python)?;
    Ok(Outcome::of(&finished, counts::pytest(&finished.output)))
}
