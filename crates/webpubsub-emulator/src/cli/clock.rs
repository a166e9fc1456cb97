//! `clock`: the time of a running emulator, read and moved.

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use http::Method;
use serde_json::json;

use super::admin::{self, Place, shown};
use super::output::{self, line};
use super::service::{self, block_on};
use super::{Call, Stop};

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator clock advance 31s
  webpubsub-emulator clock show --json";

/// Read the clock of an emulator, or move it forward
#[derive(Parser)]
#[command(name = "clock", max_term_width = 120, after_help = format!("{}\n\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the time
    Show,
    /// Move time forward; what is due by then happens at once
    Advance {
        /// How far, such as `31s`, `10m` or `2h 30m`
        #[arg(value_parser = humantime::parse_duration)]
        by: Duration,
    },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("clock", call)?;
    let admin = cli.place.admin(&variables)?;
    let clock = block_on(async {
        match cli.verb {
            Verb::Show => admin.get(&["clock"], &[]).await,
            Verb::Advance { by } => {
                let body = json!({ "seconds": by.as_secs_f64() });
                let path = ["clock", "advance"];
                admin.json(Method::POST, &path, &[], Some(&body)).await
            }
        }
    })?;
    match cli.json {
        true => output::json(&clock)?,
        false => {
            let kind = match clock["manual"].as_bool() {
                Some(true) => "stands still until it is moved",
                _ => "follows the machine",
            };
            let moved = shown(&clock, "advancedSeconds");
            line(format_args!(
                "{}, moved by {moved} s; it {kind}",
                shown(&clock, "now")
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
