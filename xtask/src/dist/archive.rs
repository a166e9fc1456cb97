//! The archive for everybody: unpack it and run the program.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::checks::Checks;
use super::contents::{self, Entry};
use super::{Dist, PROGRAM};
use crate::interop::{Emulator, root};
use crate::test::process;

/// Packs the archive.
pub(super) fn make(dist: &Dist) -> Result<Vec<PathBuf>> {
    let stem = dist.stem();
    let mut entries = vec![Entry::program(dist, dist.target.file_name())?];
    for name in ["README.md", "CHANGELOG.md", "LICENSE"] {
        entries.push(Entry::new(name, contents::document(name)?));
    }
    entries.push(Entry::new(
        "THIRD-PARTY-LICENSES.txt",
        contents::licences(dist)?,
    ));
    for (_, file, script) in contents::completions(dist)? {
        entries.push(Entry::new(format!("completions/{file}"), script));
    }
    for (file, page) in contents::pages(dist)? {
        entries.push(Entry::new(format!("man/{file}"), page));
    }
    let path = dist.folder().join(format!("{stem}.tar.gz"));
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    write(dist, &stem, &entries, file)?;
    Ok(vec![path])
}

/// Owners, times and order are always the same, so that the same files make the same archive.
fn write(dist: &Dist, stem: &str, entries: &[Entry], file: impl Write) -> Result<()> {
    let gzip: GzEncoder<_> = GzBuilder::new().mtime(0).write(file, Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode());
        header.set_mtime(dist.time);
        header.set_uid(0);
        header.set_gid(0);
        let path = format!("{stem}/{}", entry.path);
        archive.append_data(&mut header, path, entry.bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// Unpacks it and runs what is in it.
pub(super) fn test(dist: &Dist, made: &[PathBuf], checks: &mut Checks) -> Result<()> {
    let folder = dist.scratch("tar")?;
    let archive = made.first().context("there is no archive")?;
    unpack(archive, &folder)?;
    let folder = folder.join(dist.stem());
    let program = folder.join(dist.target.file_name());
    checks.check("the program starts", || started(&program));
    checks.check("the licences of what it is made of are there", || {
        let text = fs::read_to_string(folder.join("THIRD-PARTY-LICENSES.txt"))?;
        for name in ["tokio ", "aws-lc-sys ", "hyper "] {
            ensure!(text.contains(name), "{name}is missing");
        }
        Ok(())
    });
    contents::check_syntax(&folder, checks);
    if cfg!(unix) {
        checks.check("the GitHub Action starts it", || action(dist, &program));
    }
    Ok(())
}

/// Runs the script of the action as a step does, and stops what it leaves running.
fn action(dist: &Dist, program: &Path) -> Result<()> {
    let folder = dist.scratch("action")?;
    let (environment, output) = (folder.join("env"), folder.join("output"));
    process::run_ok(
        Command::new("bash")
            .arg(root().join("dist/action/start.sh"))
            .env("PROGRAM", program)
            .env("PORT", "0")
            .env("ARGUMENTS", "--log\nwarn\n")
            .env("RUNNER_TEMP", &folder)
            .env("GITHUB_ENV", &environment)
            .env("GITHUB_OUTPUT", &output),
    )?;
    let id = fs::read_to_string(folder.join("webpubsub-emulator/emulator.pid"))?;
    process::run_ok(Command::new("kill").arg(id.trim()))?;
    let environment = fs::read_to_string(environment)?;
    let expected = "WebPubSubConnectionString=Endpoint=http://127.0.0.1:";
    ensure!(environment.starts_with(expected), "it set {environment}");
    let output = fs::read_to_string(output)?;
    ensure!(
        output.contains("\nendpoint=http://127.0.0.1:"),
        "its outputs are {output}"
    );
    Ok(())
}

/// Starts a program, and stops it.
pub(super) fn started(program: &Path) -> Result<()> {
    let mut command = Command::new(program);
    Emulator::start(command.args(["--port", "0", "--json"]))?.stop()
}

fn unpack(archive: &Path, into: &Path) -> Result<()> {
    process::say(&format!("unpacking {PROGRAM} from {}", archive.display()));
    let file = File::open(archive)?;
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(into)?;
    Ok(())
}
