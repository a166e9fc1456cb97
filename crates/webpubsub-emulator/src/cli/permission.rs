//! `permission`: what a connection may do in a group.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use webpubsub::Permission;

use super::service::{self, Target, block_on};
use super::verbs::{QUESTIONS, Question, done};
use super::{Call, Stop};

/// Ask for the permission of a connection in a group, grant or revoke it
#[derive(Parser)]
#[command(name = "permission", max_term_width = 120, after_help = format!("{}\n\n{QUESTIONS}\n\nExamples:
  webpubsub-emulator permission grant 7Yf9nQ sendToGroup room-7 --hub chat
  webpubsub-emulator permission check 7Yf9nQ joinLeaveGroup room-7 --hub chat", service::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Verb {
    /// Let a connection do something in a group
    Grant(Grant),
    /// Let a connection do it no more
    Revoke(Grant),
    /// Ask whether a connection may
    Check {
        #[command(flatten)]
        grant: Grant,
        #[command(flatten)]
        question: Question,
    },
}

#[derive(Args)]
struct Grant {
    /// Id of the connection
    connection: String,
    /// `sendToGroup` or `joinLeaveGroup`
    permission: Permission,
    /// Name of the group
    group: String,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("permission", call)?;
    let client = cli.target.service(&variables)?.client()?;
    block_on(async {
        match cli.verb {
            Verb::Grant(it) => {
                done(client.grant_permission(it.connection, it.permission, it.group)).await?;
            }
            Verb::Revoke(it) => {
                done(client.revoke_permission(it.connection, it.permission, it.group)).await?;
            }
            Verb::Check { grant, question } => {
                let call = client.has_permission(grant.connection, grant.permission, grant.group);
                return question.ask(call).await;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
