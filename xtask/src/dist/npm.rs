//! The packages for npm: one that everybody installs, with a script that finds the program, and one for each platform
//! with the program, of which npm installs the one that fits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::checks::Checks;
use super::{Dist, PROGRAM, contents, need};
use crate::interop::Emulator;
use crate::test::counts;
use crate::test::process;
use crate::test::report::Outcome;

/// Packs both packages.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    dist.tools.node()?;
    need("npm", "npm")?;
    let folder = dist.scratch("npm")?;
    let general = general(dist, &folder.join("general"))?;
    let platform = platform(dist, &folder.join("platform"))?;
    // The general package comes last: whoever publishes them in this order never offers one whose platform is missing.
    Ok(vec![platform, general])
}

fn general(dist: &Dist, folder: &Path) -> Result<PathBuf> {
    let mut manifest = manifest(dist, "npm/webpubsub-emulator/package.json")?;
    let platforms = manifest["optionalDependencies"].as_object_mut();
    for version in platforms
        .context("package.json names no platforms")?
        .values_mut()
    {
        *version = json!(dist.version());
    }
    let script = "bin/webpubsub-emulator.js";
    write(
        &folder.join(script),
        dist.template(&format!("npm/webpubsub-emulator/{script}"))?,
    )?;
    write(
        &folder.join("README.md"),
        dist.template("npm/webpubsub-emulator/README.md")?,
    )?;
    pack(dist, folder, &manifest)
}

fn platform(dist: &Dist, folder: &Path) -> Result<PathBuf> {
    let mut manifest = manifest(dist, "npm/platform/package.json")?;
    let (platform, arch) = (dist.target.node_platform(), dist.target.node_arch());
    manifest["name"] = json!(format!("@webpubsub-emulator/{platform}-{arch}"));
    manifest["description"] = json!(format!("The program of {PROGRAM} for {platform} {arch}"));
    manifest["os"] = json!([platform]);
    manifest["cpu"] = json!([arch]);
    let program = folder.join("bin").join(dist.target.file_name());
    fs::create_dir_all(program.parent().context("it is in a folder")?)?;
    fs::copy(&dist.build.program, program)?;
    write(
        &folder.join("THIRD-PARTY-LICENSES.txt"),
        contents::licences(dist)?,
    )?;
    let readme =
        format!("# @webpubsub-emulator/{platform}-{arch}\n\nInstall `{PROGRAM}` instead.\n");
    write(&folder.join("README.md"), readme)?;
    pack(dist, folder, &manifest)
}

fn manifest(dist: &Dist, path: &str) -> Result<Value> {
    let mut manifest: Value = serde_json::from_str(&dist.template(path)?)?;
    manifest["version"] = json!(dist.version());
    Ok(manifest)
}

fn write(path: &Path, text: String) -> Result<()> {
    fs::create_dir_all(path.parent().context("it is in a folder")?)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn pack(dist: &Dist, folder: &Path, manifest: &Value) -> Result<PathBuf> {
    write(&folder.join("package.json"), format!("{manifest:#}\n"))?;
    write(&folder.join("LICENSE"), contents::document("LICENSE")?)?;
    let out = dist.folder();
    process::run_ok(
        Command::new("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(&out)
            .current_dir(folder),
    )?;
    let name = manifest["name"].as_str().context("a package has a name")?;
    let name = name.trim_start_matches('@').replace('/', "-");
    Ok(out.join(format!("{name}-{}.tgz", dist.version())))
}

/// Tries the script, then installs both packages into a project of their own and runs them by `npx`.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    checks.suite("the script", || {
        let mut node = dist.tools.node()?;
        node.args([
            "--test",
            "--test-reporter=spec",
            "dist/npm/launcher.test.mjs",
        ]);
        let finished = process::run(&mut node)?;
        Ok(Outcome::of(&finished, counts::node(&finished.output)))
    });
    let project = dist.scratch("npm-project")?;
    write(
        &project.join("package.json"),
        "{ \"private\": true }\n".to_owned(),
    )?;
    process::run_ok(
        Command::new("npm")
            // Offline: nothing but these packages may be needed.
            .args(["install", "--offline", "--no-audit", "--no-fund"])
            .args(made)
            .current_dir(&project),
    )?;
    checks.check("npx passes arguments and the exit code", || {
        let finished = process::run(npx(&project).arg("--version"))?;
        ensure!(
            finished.status.success() && finished.output.contains(dist.version()),
            "no version"
        );
        let finished = process::run(npx(&project).arg("--prot"))?;
        ensure!(
            finished.status.code() == Some(2),
            "it ended with {}",
            finished.status
        );
        ensure!(
            finished.output.contains("`--prot`: there is no such flag"),
            "no error"
        );
        Ok(())
    });
    checks.suite("the official SDK against the installed command", || {
        let file = if cfg!(windows) {
            "webpubsub-emulator.cmd"
        } else {
            PROGRAM
        };
        let mut command = Command::new(project.join("node_modules/.bin").join(file));
        let emulator = Emulator::start(command.args(READY))?;
        let outcome = official_sdk(dist, &emulator)?;
        // Also checks that the signal reaches the program, and its exit code us.
        emulator.stop()?;
        Ok(outcome)
    });
    #[cfg(unix)]
    {
        checks.check("Ctrl+C under npx stops it gently", || interrupted(&project));
        checks.check("it does not outlive an npx that is told to stop", || {
            let emulator = Emulator::start(npx(&project).args(READY))?;
            signal("-TERM", &emulator.id().to_string())?;
            // Waits for all of them. npm says in its own way that it was stopped.
            let (_, stderr) = emulator.end()?;
            ensure!(stderr.contains("stopping"), "it was not asked to stop");
            Ok(())
        });
    }
    Ok(())
}

const READY: [&str; 3] = ["--port", "0", "--json"];

/// Does what a terminal does at Ctrl+C, besides which npm passes the signal on.
#[cfg(unix)]
fn interrupted(project: &Path) -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    let mut npx = npx(project);
    let emulator = Emulator::start(npx.args(READY).process_group(0))?;
    signal("-INT", &format!("-{}", emulator.id()))?;
    // How npm itself ends after that is npm's business.
    let (_, stderr) = emulator.end()?;
    ensure!(stderr.contains("stopping"), "it was not asked to stop");
    Ok(())
}

#[cfg(unix)]
fn signal(name: &str, to: &str) -> Result<()> {
    process::run_ok(Command::new("kill").args([name, "--", to]))
}

fn npx(project: &Path) -> Command {
    let mut npx = Command::new("npx");
    npx.args(["--no-install", PROGRAM]).current_dir(project);
    npx
}

/// Runs the tests of the official JavaScript service client against a running emulator.
pub(super) fn official_sdk(dist: &Dist, emulator: &Emulator) -> Result<Outcome> {
    let folder = dist.tools.npm_ci("tests/interop/js")?;
    let mut node = dist.tools.node()?;
    node.current_dir(&folder)
        .env("WebPubSubConnectionString", emulator.connection_string())
        // These tests need no event handlers.
        .env("HandlerEmulatorConnectionString", emulator.connection_string());
    node.args([
        "--test",
        "--test-reporter=spec",
        "--test-timeout=60000",
        "service.test.mjs",
    ]);
    let finished = process::run(&mut node)?;
    Ok(Outcome::of(&finished, counts::node(&finished.output)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::root;

    #[test]
    fn the_script_and_the_manifest_name_the_same_platforms() {
        let folder = root().join("dist/npm/webpubsub-emulator");
        let manifest = fs::read_to_string(folder.join("package.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let script = fs::read_to_string(folder.join("bin/webpubsub-emulator.js")).unwrap();
        let platforms = manifest["optionalDependencies"].as_object().unwrap();
        assert!(!platforms.is_empty());
        for name in platforms.keys() {
            let platform = name.strip_prefix("@webpubsub-emulator/").unwrap();
            assert!(script.contains(&format!("\"{platform}\"")), "{platform}");
        }
        assert_eq!(
            script.matches("-x64\"").count() + script.matches("-arm64\"").count(),
            platforms.len()
        );
    }
}
