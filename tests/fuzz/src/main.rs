//! The targets without a fuzzer.
//!
//! - `fuzz list`: each target with its longest input.
//! - `fuzz prepare TARGET FOLDER`: writes its seeds to `FOLDER/seeds`, and its words, if it has some, to
//!   `FOLDER/words.dict`.
//! - `fuzz run TARGET FILE…`: runs it on these inputs, which shows a finding again.

#![allow(
    clippy::print_stdout,
    reason = "a command line tool talks to its terminal"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Parser, Subcommand};
use fuzz::{TARGETS, Target};

#[derive(Debug, Parser)]
#[command(about = "What must hold for any input")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the targets, with the longest input of each
    List,
    /// Write seeds and words for the fuzzer
    Prepare {
        #[arg(value_parser = named)]
        target: &'static Target,
        folder: PathBuf,
    },
    /// Run a target on some inputs
    Run {
        #[arg(value_parser = named)]
        target: &'static Target,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn named(name: &str) -> Result<&'static Target, String> {
    fuzz::find(name).ok_or_else(|| "there is no such target: see `fuzz list`".to_owned())
}

fn main() -> io::Result<()> {
    match Cli::parse().task {
        Task::List => {
            for Target {
                name,
                about,
                longest,
                ..
            } in TARGETS
            {
                println!("{name}\t{longest}\t{about}");
            }
        }
        Task::Prepare { target, folder } => prepare(target, &folder)?,
        Task::Run { target, files } => {
            for file in files {
                (target.run)(&fs::read(&file)?);
                println!("{}: holds", file.display());
            }
        }
    }
    Ok(())
}

fn prepare(target: &Target, folder: &Path) -> io::Result<()> {
    let seeds = folder.join("seeds");
    fs::create_dir_all(&seeds)?;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        fs::write(seeds.join(format!("{number:03}")), seed)?;
    }
    if target.words.is_empty() {
        return Ok(());
    }
    let mut words = Vec::new();
    for word in target.words {
        write!(words, "\"")?;
        for byte in word.bytes() {
            write!(words, "\\x{byte:02x}")?;
        }
        writeln!(words, "\"")?;
    }
    fs::write(folder.join("words.dict"), words)
}
