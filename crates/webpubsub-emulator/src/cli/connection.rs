//! `connection`: what a server asks about connections, and does with them.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::service::{self, Target, block_on};
use super::verbs::{Closing, Excluded, QUESTIONS, Question, done};
use super::{Call, Stop};

/// Ask about a connection, close it, or remove it from groups
#[derive(Parser)]
#[command(name = "connection", max_term_width = 120, after_help = format!("{}\n\n{QUESTIONS}\n\nExamples:
  webpubsub-emulator connection exists 7Yf9nQ --hub chat
  webpubsub-emulator connection close-all --reason maintenance --hub chat", service::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Verb {
    /// Ask whether a connection is open
    Exists {
        connection: String,
        #[command(flatten)]
        question: Question,
    },
    /// Close a connection
    Close {
        connection: String,
        #[command(flatten)]
        closing: Closing,
    },
    /// Close all connections of the hub
    CloseAll {
        #[command(flatten)]
        closing: Closing,
        #[command(flatten)]
        excluded: Excluded,
    },
    /// Remove a connection from all groups
    LeaveAll { connection: String },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("connection", call)?;
    let client = cli.target.service(&variables)?.client()?;
    block_on(async {
        match cli.verb {
            Verb::Exists {
                connection,
                question,
            } => return question.ask(client.connection_exists(connection)).await,
            Verb::Close {
                connection,
                closing,
            } => done(closing.of(client.close_connection(connection))).await?,
            Verb::CloseAll { closing, excluded } => {
                done(closing.of(excluded.of(client.close_all_connections()))).await?;
            }
            Verb::LeaveAll { connection } => {
                done(client.remove_connection_from_all_groups(connection)).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
