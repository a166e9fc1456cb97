//! What goes into packages besides the program: documents, completions, manual pages, licences; and sums of them all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::checks::Checks;
use super::{Dist, PROGRAM, need, text};
use crate::interop::root;
use crate::test::process;

/// The shells with the names that their scripts have in an archive.
const SHELLS: [(&str, &str); 4] = [
    ("bash", "webpubsub-emulator.bash"),
    ("zsh", "_webpubsub-emulator"),
    ("fish", "webpubsub-emulator.fish"),
    ("powershell", "_webpubsub-emulator.ps1"),
];

/// A file of a package.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) is_program: bool,
    pub(super) bytes: Vec<u8>,
}

impl Entry {
    pub(super) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            is_program: false,
            bytes: bytes.into(),
        }
    }

    pub(super) fn program(dist: &Dist, path: &str) -> Result<Self> {
        Ok(Self {
            is_program: true,
            ..Self::new(path, fs::read(&dist.build.program)?)
        })
    }

    /// The permissions that it gets.
    pub(super) fn mode(&self) -> u32 {
        match self.is_program {
            true => 0o755,
            false => 0o644,
        }
    }
}

/// The completion scripts: the shell, the usual name of its file, and the text.
pub(super) fn completions(dist: &Dist) -> Result<Vec<(&'static str, &'static str, Vec<u8>)>> {
    let script = |(shell, file)| Ok((shell, file, print(dist, &["completions", shell])?));
    SHELLS.into_iter().map(script).collect()
}

/// The manual pages by their file names.
pub(super) fn pages(dist: &Dist) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![(format!("{PROGRAM}.1"), print(dist, &["man"])?)];
    let names = String::from_utf8(print(dist, &["man", "--list"])?)?;
    for name in names.lines() {
        let page = print(dist, &["man", name])?;
        pages.push((format!("{PROGRAM}-{name}.1"), page));
    }
    Ok(pages)
}

/// A document of the emulator, or of the workspace.
pub(super) fn document(name: &str) -> Result<String> {
    let own = root().join("crates").join(PROGRAM).join(name);
    fs::read_to_string(&own).with_context(|| format!("cannot read {}", own.display()))
}

/// The licences of what the program is made of, which ask to be given away with it. Those with the same text share it.
pub(super) fn licences(dist: &Dist) -> Result<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let packages = dist.metadata.packages.values();
    for package in packages.filter(|package| package.source.is_some()) {
        let folder = package
            .manifest_path
            .parent()
            .context("a manifest is in a folder")?;
        let name = format!("{} {}", package.name, package.version);
        let texts = licence_texts(folder)?;
        if texts.is_empty() {
            let licence = package.license.as_deref().unwrap_or("see its repository");
            by_text
                .entry(format!("{licence}\n"))
                .or_default()
                .push(name.clone());
        }
        for text in texts {
            by_text.entry(text).or_default().push(name.clone());
        }
    }
    let mut all = format!("{PROGRAM} holds the following software, under these licences.\n");
    for (text, packages) in by_text {
        let rule = "-".repeat(80);
        all.push_str(&format!(
            "\n{rule}\n{}\n\n{}\n",
            packages.join(", "),
            text.trim_end()
        ));
    }
    Ok(all)
}

fn licence_texts(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|beginning| name.starts_with(beginning));
        if is_licence && entry.file_type()?.is_file() {
            texts.push(fs::read_to_string(entry.path())?);
        }
    }
    texts.sort_unstable();
    texts.dedup();
    Ok(texts)
}

/// Checks that each shell and a formatter of manual pages accept what is in `folder`, as [`completions`] and [`pages`]
/// name it.
pub(super) fn check_syntax(folder: &Path, checks: &mut Checks) {
    for (shell, file) in SHELLS {
        checks.check(&format!("{shell} accepts its completions"), || {
            let file = text(&folder.join("completions").join(file))?.to_owned();
            if shell == "powershell" {
                need("pwsh", "PowerShell")?;
                let script = format!("[void][ScriptBlock]::Create((Get-Content -Raw '{file}'))");
                return accepted(Command::new("pwsh").args(["-NoProfile", "-Command", &script]));
            }
            need(shell, shell)?;
            // Reads the script and runs nothing of it.
            accepted(Command::new(shell).args(["-n", &file]))
        });
    }
    checks.check("the manual pages are well formed", || {
        let pages = fs::read_dir(folder.join("man"))?;
        let pages: std::io::Result<Vec<_>> = pages.map(|page| Ok(page?.path())).collect();
        let pages = pages?;
        ensure!(!pages.is_empty(), "there are no pages");
        need("mandoc", "mandoc")?;
        let options = ["-T", "lint", "-W", "error"];
        accepted(Command::new("mandoc").args(options).args(pages))
    });
}

/// Fails when a checker ends badly or says something.
fn accepted(checker: &mut Command) -> Result<()> {
    let finished = process::run(checker)?;
    ensure!(
        finished.status.success() && finished.output.is_empty(),
        "it was not accepted"
    );
    Ok(())
}

/// Writes the sums of all packages in the form that `sha256sum --check` reads.
pub(super) fn write_sums(dist: &Dist, files: &[PathBuf]) -> Result<()> {
    let mut lines = Vec::new();
    for file in files {
        let name = file.file_name().context("a package is a file")?;
        let sum = sha256(&fs::read(file)?);
        lines.push(format!("{sum}  {}\n", name.to_string_lossy()));
    }
    lines.sort_unstable_by(|a, b| a[64..].cmp(&b[64..]));
    let path = dist.folder().join(format!("{}.sha256", dist.stem()));
    fs::write(&path, lines.concat())?;
    for line in lines {
        process::say(line.trim_end());
    }
    Ok(())
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn print(dist: &Dist, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(&dist.build.program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot start the emulator; packages of another machine are made there")?;
    ensure!(
        output.status.success(),
        "`{PROGRAM} {}` failed",
        arguments.join(" ")
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_sum() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn licences_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("LICENSE-MIT", "mit"),
            ("license.txt", "mit"),
            ("COPYING", "gpl"),
            ("README", "no"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("LICENSES")).unwrap();
        assert_eq!(licence_texts(folder.path()).unwrap(), ["gpl", "mit"]);
    }
}
