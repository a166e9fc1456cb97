//! `cargo xtask codegen [rest|admin|proto|vectors|conformance] [--check]`: turns `spec/` into what is checked in.
//!
//! A generator is a function that returns [`Output`]s; it reads only `spec/` (the conformance list
//! also what tests cite from it), and the same input always gives the same bytes. Writing and
//! checking are the same for all of them and live here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

mod admin;
mod conformance;
mod proto;
mod rest;
mod vectors;

/// Arguments of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to generate; everything when left out.
    #[arg(value_enum)]
    target: Option<Target>,
    /// Write nothing; list the files that are out of date and fail if there are any.
    #[arg(long)]
    check: bool,
}

/// A generated file, complete with its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Where it belongs, relative to the workspace root.
    pub(crate) path: PathBuf,
    /// All of its text.
    pub(crate) contents: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Operations of the REST API, from `spec/rest.yaml`.
    Rest,
    /// Operations of the emulator's admin API, from `spec/admin.yaml`.
    Admin,
    /// Protobuf messages, from `spec/webpubsub.proto`.
    Proto,
    /// The test vectors that each crate reads, from `spec/vectors`.
    Vectors,
    /// The list of what the client protocol asks and which tests prove it.
    Conformance,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Admin => "admin",
            Self::Proto => "proto",
            Self::Vectors => "vectors",
            Self::Conformance => "conformance",
        }
    }

    fn outputs(self) -> Result<Vec<Output>> {
        match self {
            Self::Rest => rest::outputs(),
            Self::Admin => admin::outputs(),
            Self::Proto => proto::outputs(),
            Self::Vectors => vectors::outputs(),
            Self::Conformance => conformance::outputs(),
        }
        .with_context(|| format!("cannot generate `{}`", self.name()))
    }
}

/// Writes or checks what `args` selects.
///
/// # Errors
///
/// Fails when the description cannot be read, when a file cannot be written, and, with `--check`,
/// when any file is out of date.
pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = args
        .target
        .as_ref()
        .map_or(Target::value_variants(), std::slice::from_ref);
    let mut outputs = Vec::new();
    for target in targets {
        outputs.extend(target.outputs()?);
    }
    let target = args.target.map(|target| format!(" {}", target.name()));
    let command = format!("cargo xtask codegen{}", target.unwrap_or_default());
    settle(outputs, args.check, &command)
}

/// Writes the outputs that are out of date; with `check` only lists them, and says which `command` writes them.
///
/// # Errors
///
/// Fails when a file cannot be read or written, and, with `check`, when one is out of date.
pub(crate) fn settle(outputs: Vec<Output>, check: bool, command: &str) -> Result<()> {
    let stale = stale(workspace_root(), outputs)?;
    if check {
        return report(&stale, command);
    }
    for Output { path, contents } in &stale {
        write(&workspace_root().join(path), contents)?;
        println!("wrote {}", path.display());
    }
    if stale.is_empty() {
        println!("generated code is up to date");
    }
    Ok(())
}

/// The root of the workspace, wherever the command was started.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a member of the workspace")
}

/// The outputs whose file is missing or differs.
fn stale(root: &Path, outputs: Vec<Output>) -> Result<Vec<Output>> {
    let mut stale = Vec::new();
    for output in outputs {
        let path = root.join(&output.path);
        match fs::read(&path) {
            Ok(found) if found == output.contents.as_bytes() => {}
            Ok(_) => stale.push(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => stale.push(output),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
    }
    Ok(stale)
}

fn report(stale: &[Output], command: &str) -> Result<()> {
    if stale.is_empty() {
        println!("generated code is up to date");
        return Ok(());
    }
    for output in stale {
        eprintln!("out of date: {}", output.path.display());
    }
    bail!(
        "{} generated file(s) out of date; run `{command}`",
        stale.len()
    );
}

fn write(path: &Path, contents: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}
