//! `group`: who is in a group, and what a server changes about it.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use futures_util::StreamExt as _;
use serde::Serialize;
use webpubsub::WebPubSubServiceClient;

use super::output::{self, line};
use super::service::{self, Target, block_on, refused};
use super::verbs::{Closing, Excluded, QUESTIONS, Question, done};
use super::{Call, Stop};

/// Ask about a group, change who is in it, or close its connections
#[derive(Parser)]
#[command(name = "group", max_term_width = 120, after_help = format!("{}\n\n{QUESTIONS}\n\nExamples:
  webpubsub-emulator group list room-7 --hub chat --json
  webpubsub-emulator group add-user room-7 ana --hub chat
  webpubsub-emulator group exists room-7 --hub chat && echo somebody is there", service::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Verb {
    /// Ask whether somebody is in a group
    Exists {
        /// Name of the group
        group: String,
        #[command(flatten)]
        question: Question,
    },
    /// List the connections in a group, a line each: id and user
    List {
        /// Name of the group
        group: String,
        /// The most that are listed [default: all]
        #[arg(long, value_name = "NUMBER")]
        top: Option<u32>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Add a connection to a group
    AddConnection { group: String, connection: String },
    /// Remove a connection from a group
    RemoveConnection { group: String, connection: String },
    /// Add the connections of a user to a group
    AddUser { group: String, user: String },
    /// Remove the connections of a user from a group
    RemoveUser { group: String, user: String },
    /// Add the connections that match a filter to groups
    AddMatching {
        /// OData expression, such as "userId eq 'ana'"
        filter: String,
        /// Names of groups
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Remove the connections that match a filter from groups
    RemoveMatching {
        /// OData expression, such as "userId eq 'ana'"
        filter: String,
        /// Names of groups
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Close the connections in a group
    Close {
        group: String,
        #[command(flatten)]
        closing: Closing,
        #[command(flatten)]
        excluded: Excluded,
    },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("group", call)?;
    let client = cli.target.service(&variables)?.client()?;
    block_on(async {
        match cli.verb {
            Verb::Exists { group, question } => {
                return question.ask(client.group_exists(group)).await;
            }
            Verb::List { group, top, json } => list(&client, &group, top, json).await?,
            Verb::AddConnection { group, connection } => {
                done(client.group(group).add_connection(connection)).await?;
            }
            Verb::RemoveConnection { group, connection } => {
                done(client.group(group).remove_connection(connection)).await?;
            }
            Verb::AddUser { group, user } => {
                done(client.group(group).add_user(user)).await?;
            }
            Verb::RemoveUser { group, user } => {
                done(client.group(group).remove_user(user)).await?;
            }
            Verb::AddMatching { filter, groups } => {
                done(client.add_connections_to_groups(groups, filter)).await?;
            }
            Verb::RemoveMatching { filter, groups } => {
                done(client.remove_connections_from_groups(groups, filter)).await?;
            }
            Verb::Close {
                group,
                closing,
                excluded,
            } => {
                let call = client.group(group).close_all_connections();
                done(closing.of(excluded.of(call))).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn list(
    client: &WebPubSubServiceClient,
    group: &str,
    top: Option<u32>,
    json: bool,
) -> Result<(), Stop> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        connection_id: &'a str,
        user_id: Option<&'a str>,
    }

    let mut members = client.group(group).list_connections();
    if let Some(top) = top {
        members = members.top(top);
    }
    let mut members = members.into_stream();
    while let Some(member) = members.next().await {
        let member = member.map_err(|error| refused(&error))?;
        let row = Row {
            connection_id: &member.connection_id,
            user_id: member.user_id.as_deref(),
        };
        match json {
            true => output::json(&row)?,
            false => line(format_args!(
                "{}\t{}",
                row.connection_id,
                row.user_id.unwrap_or("")
            ))?,
        }
    }
    Ok(())
}
