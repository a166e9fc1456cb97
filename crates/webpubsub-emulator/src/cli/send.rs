//! `send`: a message to clients, as a server sends it.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use webpubsub::action::{Excluding, Filtered, Sending};

use super::message::Content;
use super::service::{self, Target, block_on, refused};
use super::{Call, Stop, stop};

const EXAMPLES: &str = "\
Examples:
  webpubsub-emulator send all hello --hub chat
  webpubsub-emulator send group room-7 '{\"text\":\"hi\"}' --type json --hub chat --filter \"userId ne 'ana'\"
  date | webpubsub-emulator send user ana - --hub chat --context staging";

/// Send a message to the clients of a hub
#[derive(Parser)]
#[command(name = "send", max_term_width = 120, after_help = format!("{}\n\n{}\n\n{EXAMPLES}", service::WHERE, stop::STATUSES))]
struct Cli {
    #[command(subcommand)]
    to: To,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum To {
    /// To all connections of the hub
    All {
        #[command(flatten)]
        content: Content,
        #[command(flatten)]
        delivery: Delivery,
        #[command(flatten)]
        excluded: Excluded,
        #[command(flatten)]
        filter: Filter,
    },
    /// To all connections in a group
    Group {
        /// Name of the group
        group: String,
        #[command(flatten)]
        content: Content,
        #[command(flatten)]
        delivery: Delivery,
        #[command(flatten)]
        excluded: Excluded,
        #[command(flatten)]
        filter: Filter,
    },
    /// To all connections of a user
    User {
        /// Id of the user
        user: String,
        #[command(flatten)]
        content: Content,
        #[command(flatten)]
        delivery: Delivery,
        #[command(flatten)]
        filter: Filter,
    },
    /// To one connection
    Connection {
        /// Id of the connection
        connection: String,
        #[command(flatten)]
        content: Content,
        #[command(flatten)]
        delivery: Delivery,
    },
}

#[derive(Args)]
struct Delivery {
    /// How long the message is kept for a client that is away [default: as long as the service keeps messages]
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,

    /// Metadata that goes with the message, as `key=value`. May be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

#[derive(Args)]
struct Excluded {
    /// Connection that does not get the message. May be repeated
    #[arg(long, value_name = "CONNECTION")]
    exclude: Vec<String>,
}

#[derive(Args)]
struct Filter {
    /// OData expression that connections must match to get the message, such as "userId ne 'ana'"
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
}

pub(super) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("send", call)?;
    let client = cli.target.service(&variables)?.client()?;
    block_on(async {
        match cli.to {
            To::All {
                content,
                delivery,
                excluded,
                filter,
            } => {
                let call = client.send_to_all(content.payload()?);
                delivery.of(excluded.of(filter.of(call))).await
            }
            To::Group {
                group,
                content,
                delivery,
                excluded,
                filter,
            } => {
                let call = client.group(group).send_to_all(content.payload()?);
                delivery.of(excluded.of(filter.of(call))).await
            }
            To::User {
                user,
                content,
                delivery,
                filter,
            } => {
                let call = client.send_to_user(user, content.payload()?);
                delivery.of(filter.of(call)).await
            }
            To::Connection {
                connection,
                content,
                delivery,
            } => {
                let call = client.send_to_connection(connection, content.payload()?);
                delivery.of(call).await
            }
        }
        .map_err(|error| refused(&error))
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Delivery {
    fn of<A: Sending>(self, mut call: webpubsub::Call<A>) -> webpubsub::Call<A> {
        if let Some(seconds) = self.ttl {
            call = call.ttl(Duration::from_secs(seconds));
        }
        let pairs = self.metadata.into_iter();
        pairs.fold(call, |call, (key, value)| call.metadata(key, value))
    }
}

impl Excluded {
    fn of<A: Excluding>(self, call: webpubsub::Call<A>) -> webpubsub::Call<A> {
        call.exclude_all(self.exclude)
    }
}

impl Filter {
    fn of<A: Filtered>(self, call: webpubsub::Call<A>) -> webpubsub::Call<A> {
        match self.filter {
            Some(filter) => call.filter(filter),
            None => call,
        }
    }
}

/// `key=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("expected `key=value`")?;
    Ok((key.to_owned(), value.to_owned()))
}
