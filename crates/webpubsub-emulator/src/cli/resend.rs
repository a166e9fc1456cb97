//! `resend`: an event of the traffic log, sent to its handler once more.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use http::Method;
use serde_json::Value;

use super::admin::{self, Admin, Place, shown, text};
use super::output::{self, line};
use super::service::{self, block_on};
use super::stop::{FAILED, chain};
use super::{Call, Stop};

const EXAMPLES: &str = "\
With an answer that is no success, the exit status is 1 as well.

Examples:
  webpubsub-emulator watch --kind event --failed --no-follow
  webpubsub-emulator resend 17
  webpubsub-emulator resend --last-failed";

/// Send an event of the traffic log to its handler once more
#[derive(Parser)]
#[command(name = "resend", max_term_width = 120, after_help = format!("{}\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    /// Number of the entry in the traffic log, as `watch` prints it
    #[arg(required_unless_present = "last_failed")]
    number: Option<u64>,

    /// The last event that has failed
    #[arg(long, conflicts_with = "number")]
    last_failed: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("resend", call)?;
    let admin = cli.place.admin(&variables)?;
    let answer = block_on(async {
        let number = match cli.number {
            Some(number) => number.to_string(),
            None => last_failed(&admin).await?,
        };
        let path = ["traffic", number.as_str(), "resend"];
        admin.json(Method::POST, &path, &[], None).await
    })?;
    let status = answer["status"].as_u64();
    if cli.json {
        output::json(&answer)?;
    } else {
        let took = answer["tookSeconds"].as_f64().unwrap_or_default() * 1e3;
        match status {
            Some(status) => line(format_args!(
                "{status} from {} after {took:.0} ms",
                shown(&answer, "url")
            ))?,
            None => line(format_args!(
                "no answer from {}: {}",
                shown(&answer, "url"),
                shown(&answer, "failure")
            ))?,
        }
        let body = text(&answer["body"], "text");
        if !body.is_empty() {
            line(format_args!("\n{body}"))?;
        }
    }
    Ok(match status {
        Some(200..=299) => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    })
}

/// The number of the last event that has failed and can be sent again.
async fn last_failed(admin: &Admin) -> Result<String, Stop> {
    let query = [("kind", "event".to_owned())];
    let log = admin.call(Method::GET, &["traffic"], &query, None).await?;
    let log = log.bytes().await;
    let log = log.map_err(|error| Stop::failed(chain(&error.without_url())))?;
    let entries = log.split(|&byte| byte == b'\n');
    let entries = entries.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut failed =
        entries.filter(|entry| entry["succeeded"] == false && entry["canResend"] == true);
    match failed.next_back() {
        Some(entry) => Ok(shown(&entry, "number")),
        None => Err(Stop::failed("no event that can be sent again has failed")),
    }
}
