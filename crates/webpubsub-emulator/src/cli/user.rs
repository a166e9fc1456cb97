//! `user`: what a server asks about users, and does with their connections.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::service::{self, Target, block_on};
use super::verbs::{Closing, Excluded, QUESTIONS, Question, done};
use super::{Call, Stop};

/// Ask about a user, close the user's connections, or remove the user from groups
#[derive(Parser)]
#[command(name = "user", max_term_width = 120, after_help = format!("{}\n\n{QUESTIONS}\n\nExamples:
  webpubsub-emulator user exists ana --hub chat
  webpubsub-emulator user close ana --reason 'signed out' --hub chat", service::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Verb {
    /// Ask whether a user is connected
    Exists {
        user: String,
        #[command(flatten)]
        question: Question,
    },
    /// Close the connections of a user
    Close {
        user: String,
        #[command(flatten)]
        closing: Closing,
        #[command(flatten)]
        excluded: Excluded,
    },
    /// Remove a user from all groups
    LeaveAll { user: String },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("user", call)?;
    let client = cli.target.service(&variables)?.client()?;
    block_on(async {
        match cli.verb {
            Verb::Exists { user, question } => {
                return question.ask(client.user_exists(user)).await;
            }
            Verb::Close {
                user,
                closing,
                excluded,
            } => {
                let call = client.close_user_connections(user);
                done(closing.of(excluded.of(call))).await?;
            }
            Verb::LeaveAll { user } => {
                done(client.remove_user_from_all_groups(user)).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
