//! Measures what things cost, and writes tables and charts. `cargo xtask bench` builds and starts it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use load::bench::machine::Machine;
use load::bench::{self, Group, GroupResult, Settings, chart, table};
use load::usage;

/// Sockets of the largest row, on either side.
const FILES: u64 = 10_100;

/// Benchmarks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "load-bench")]
struct Args {
    /// The folder with the release programs.
    #[arg(long, value_name = "FOLDER")]
    programs: PathBuf,
    /// The folder with the scripts for the official JavaScript packages.
    #[arg(long, value_name = "FOLDER")]
    scripts: PathBuf,
    /// The Python that has the official packages.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// The folder for tables, charts and numbers.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Fewer and shorter rounds: to see that everything runs, not to judge it.
    #[arg(long)]
    quick: bool,
    /// Run these groups or rows only.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// List groups and rows.
    #[arg(long)]
    list: bool,
    /// Also put the tables of the groups into this document, between its marks; those of other groups stay.
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let settings = Settings {
        programs: args.programs,
        scripts: args.scripts,
        python: args.python,
        quick: args.quick,
    };
    let chosen = bench::choose(bench::groups(&settings), &args.only)?;
    if args.list {
        for row in chosen.iter().flat_map(|group| &group.rows) {
            println!("{:15} {}", row.id, row.about);
        }
        return Ok(());
    }
    if args.write.is_some() {
        let all = bench::groups(&settings);
        for group in &chosen {
            let is_whole = |it: &Group| it.name == group.name && it.rows.len() == group.rows.len();
            ensure!(
                all.iter().any(is_whole),
                "only whole groups are written, and `{}` is chosen in part",
                group.name
            );
        }
    }
    let files = usage::raise_file_limit();
    if !settings.quick && files < FILES {
        eprintln!(
            "the limit of {files} open files is too low for the largest rows: raise it with `ulimit -n`"
        );
    }
    let machine = Machine::here();
    let mut results = Vec::new();
    for group in chosen {
        results.push(bench::run(group, &settings)?);
    }
    let measured_on = machine.describe();
    let tables: Vec<_> = results
        .iter()
        .map(|group| table::markdown(group, &measured_on))
        .collect();
    let mut text = tables.join("\n");
    if settings.quick {
        text += "\nMeasured with `--quick`: good to see that everything runs, not to judge it.\n";
    }
    println!("\n{text}");
    save(&args.out, &machine, &results, &text)?;
    if let Some(path) = &args.write {
        let document =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let document = table::replace(&document, &tables)
            .with_context(|| format!("{} has no marks for the tables", path.display()))?;
        fs::write(path, document).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn save(folder: &Path, machine: &Machine, results: &[GroupResult], tables: &str) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write("results.md", tables)?;
    let numbers = serde_json::json!({ "machine": machine, "groups": results });
    write("results.json", &serde_json::to_string_pretty(&numbers)?)?;
    for group in results {
        write(&format!("{}.svg", group.name), &chart::svg(group))?;
    }
    println!("written to {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_document_gets_no_quick_results() {
        let args = [
            "load-bench",
            "--programs",
            "p",
            "--scripts",
            "s",
            "--out",
            "o",
            "--write",
            "d",
        ];
        assert!(Args::try_parse_from(args).is_ok());
        assert!(Args::try_parse_from(args.iter().chain(&["--only", "start"])).is_ok());
        assert!(Args::try_parse_from(args.iter().chain(&["--quick"])).is_err());
    }
}
