//! `state`: groups, permissions and states of groups of a running emulator, as a file.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use http::Method;
use serde_json::Value;

use super::admin::{self, Place, shown};
use super::output::line;
use super::service::{self, block_on};
use super::{Call, Stop};

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator state export state.json
  webpubsub-emulator state import state.json";

/// Export groups, permissions and states of groups, or import them again
#[derive(Parser)]
#[command(name = "state", max_term_width = 120, after_help = format!("{}\n\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Verb {
    /// Write the state as JSON
    Export {
        /// File to write [default: stdout]
        file: Option<OsString>,
    },
    /// Read a state; entries of users that are not connected wait for them
    Import {
        /// File to read; `-` for stdin
        file: OsString,
    },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("state", call)?;
    let admin = cli.place.admin(&variables)?;
    match cli.verb {
        Verb::Export { file } => {
            let state = block_on(admin.get(&["state"], &[]))?;
            let text = serde_json::to_string_pretty(&state);
            let text = text.map_err(|error| Stop::failed(error.to_string()))?;
            match file {
                None => line(text)?,
                Some(file) => fs::write(&file, text + "\n")
                    .map_err(|error| Stop::failed(format!("{}: {error}", file.display())))?,
            }
        }
        Verb::Import { file } => {
            let state = read(&file)?;
            let call = admin.json(Method::PUT, &["state"], &[], Some(&state));
            let done = block_on(call)?;
            line(format_args!(
                "{} applied, {} waiting, {} ignored",
                shown(&done, "applied"),
                shown(&done, "waiting"),
                shown(&done, "ignored")
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &OsString) -> Result<Value, Stop> {
    let shown = file.display();
    let text = match file == "-" {
        true => {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text).map(|_| text)
        }
        false => fs::read_to_string(file),
    };
    let text = text.map_err(|error| Stop::failed(format!("{shown}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Stop::usage(format!("{shown}: this is not JSON: {error}")))
}
