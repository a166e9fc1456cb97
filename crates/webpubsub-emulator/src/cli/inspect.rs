//! `inspect`: what is inside a running emulator.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use serde_json::Value;

use super::admin::{self, Place, shown, text};
use super::output::{self, line};
use super::service::{self, block_on};
use super::{Call, Stop};

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator inspect connections chat --user ana
  webpubsub-emulator inspect handlers --json";

/// Look into a running emulator: hubs, connections, groups, event handlers
#[derive(Parser)]
#[command(name = "inspect", max_term_width = 120, after_help = format!("{}\n\n{EXAMPLES}", admin::WHERE))]
struct Cli {
    #[command(subcommand)]
    what: What,

    /// Print one JSON document, with all there is
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum What {
    /// What is running, since when, and what has passed through
    Status,
    /// The hubs that are in use or set up
    Hubs,
    /// The connections of a hub
    Connections {
        /// Name of the hub
        hub: String,
        /// Only those of this user
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Only those in this group
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// The groups of a hub
    Groups {
        /// Name of the hub
        hub: String,
    },
    /// The members of a group and their states
    Group {
        /// Name of the hub
        hub: String,
        /// Name of the group
        group: String,
    },
    /// The event handlers and how they are doing
    Handlers,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("inspect", call)?;
    let admin = cli.place.admin(&variables)?;
    let found = block_on(async {
        match &cli.what {
            What::Status => admin.get(&["status"], &[]).await,
            What::Hubs => admin.get(&["hubs"], &[]).await,
            What::Connections { hub, user, group } => {
                let user = user.iter().map(|user| ("user", user.clone()));
                let group = group.iter().map(|group| ("group", group.clone()));
                let query: Vec<_> = user.chain(group).collect();
                admin.get(&["hubs", hub, "connections"], &query).await
            }
            What::Groups { hub } => admin.get(&["hubs", hub, "groups"], &[]).await,
            What::Group { hub, group } => admin.get(&["hubs", hub, "groups", group], &[]).await,
            What::Handlers => admin.get(&["handlers"], &[]).await,
        }
    })?;
    match cli.json {
        true => output::json(&found)?,
        false => print(&cli.what, &found)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(what: &What, found: &Value) -> Result<(), Stop> {
    match what {
        What::Status => {
            let (version, since) = (text(found, "version"), text(found, "startedAt"));
            line(format_args!("emulator {version}, since {since}"))?;
            let counts = found["counts"].as_object().into_iter().flatten();
            for (name, count) in counts {
                line(format_args!("{count:>10}  {name}"))?;
            }
            Ok(())
        }
        What::Hubs => table(
            &found["hubs"],
            &[
                "name",
                "connections",
                "users",
                "groups",
                "handlers",
                "anonymousConnect",
            ],
        ),
        What::Connections { .. } => table(
            &found["connections"],
            &[
                "connectionId",
                "userId",
                "subprotocol",
                "attached",
                "reads",
                "groups",
                "roles",
            ],
        ),
        What::Groups { .. } => table(
            &found["groups"],
            &["name", "members", "states", "subscribers"],
        ),
        What::Group { .. } => table(
            &found["members"],
            &["connectionId", "userId", "state", "subscribed"],
        ),
        What::Handlers => table(
            &found["handlers"],
            &["hub", "url", "healthy", "events", "failures", "lastFailure"],
        ),
    }
}

/// Rows of members, each column as wide as what is in it.
fn table(rows: &Value, columns: &[&str]) -> Result<(), Stop> {
    let mut cells = vec![columns.iter().map(|&column| column.to_owned()).collect()];
    for row in rows.as_array().into_iter().flatten() {
        cells.push(columns.iter().map(|column| shown(row, column)).collect());
    }
    let width = |at: usize| {
        cells
            .iter()
            .map(|row: &Vec<String>| row[at].chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| width(at).unwrap_or_default())
        .collect();
    for row in &cells {
        let row = row.iter().zip(&widths);
        let row: Vec<String> = row.map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(row.join("  ").trim_end())?;
    }
    Ok(())
}
