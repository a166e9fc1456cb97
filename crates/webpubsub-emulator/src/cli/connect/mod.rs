//! `connect`: a client whose commands are lines. For people with an editor and a history, for scripts with lines in and
//! lines or JSON out.

mod command;
mod session;
mod shown;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, ValueEnum};
use webpubsub_client::{
    Subprotocol, WebPubSubClient, WebPubSubClientBuilder, WebPubSubClientCredential,
};
use webpubsub_protocol::access::{ClientTokenOptions, sign_client_token};

use super::service::{self, Target, block_on};
use super::stop::chain;
use super::token::now;
use super::{Call, Stop, context};
use session::Session;

/// What an interactive client may do unless roles were named: everything.
const ALL_ROLES: [&str; 4] = [
    "webpubsub.joinLeaveGroup",
    "webpubsub.sendToGroup",
    "webpubsub.getGroupState",
    "webpubsub.setGroupState",
];

/// As long as a token lives that a server makes.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

const NOTES: &str = "\
Commands are lines: join, leave, send, event, invoke, stream, streams, state, watch, wait, info, quit; `help` explains them. At
a terminal they are edited and kept in a history. Otherwise, or with --plain, each line of stdin is a command, one after the
other, and each event a line on stdout; the end of stdin ends the client, with --follow only Ctrl+C does.

Exit status: 0 when it ended as asked and, in plain mode, every command was done; 1 when it could not connect, was stopped by
the service or a command failed; 2 when the command cannot be understood; 130 after Ctrl+C in plain mode.

Examples:
  webpubsub-emulator connect --hub chat --user ana --group room-7
  printf 'join room-7\\nsend room-7 hi\\nwait 1\\n' | webpubsub-emulator connect --hub chat --json
  webpubsub-emulator connect --hub chat --group room-7 --follow --json < /dev/null | jq .data";

/// Be a client of a hub: join groups, send, and see what comes
#[derive(Parser)]
#[command(name = "connect", max_term_width = 120, after_help = format!("{}\n\n{NOTES}", service::WHERE))]
struct Cli {
    /// Id of the user [default: an anonymous client]
    #[arg(long, value_name = "ID")]
    user: Option<String>,

    /// Role of the client [default: all roles for all groups]. May be repeated
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// Group that the client is in from the start. May be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,

    /// Client access URL, in place of a token that is made with the service's key
    #[arg(long, value_name = "URL", conflicts_with_all = ["user", "role", "group", "hub", "context", "connection_string"])]
    url: Option<String>,

    /// Subprotocol
    #[arg(long, value_name = "NAME", default_value = "reliable-json")]
    protocol: Wire,

    /// Read commands from stdin and print plain lines, also at a terminal
    #[arg(long)]
    plain: bool,

    /// Print each event as one JSON object
    #[arg(long)]
    json: bool,

    /// Go on after the end of stdin, until Ctrl+C
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wire {
    ReliableJson,
    Json,
    ReliableProtobuf,
    Protobuf,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("connect", call)?;
    let credential = match &cli.url {
        Some(url) => WebPubSubClientCredential::url(url.as_str()),
        None => {
            let roles = match cli.role.is_empty() {
                true => ALL_ROLES.map(str::to_owned).into(),
                false => cli.role.clone(),
            };
            let mut options = ClientTokenOptions::default().lifetime(LIFETIME);
            options.user_id = cli.user.clone();
            options.roles = roles;
            options.groups = cli.group.clone();
            signing(&cli.target.service(&variables)?, options)?
        }
    };
    let is_plain = cli.plain || cli.json || cli.follow || !io::stdin().is_terminal();
    block_on(async {
        let builder = builder(credential, cli.protocol);
        let client = builder
            .build()
            .map_err(|error| Stop::usage(chain(&error)))?;
        let (printer, lines) = match is_plain {
            true => terminal::plain(),
            false => terminal::editor(context::history(&variables))?,
        };
        let session = Session::new(client, printer, cli.json);
        session.run(lines, is_plain, cli.follow).await
    })
}

/// Signs a URL for each new connection, so that none is opened with a token that has expired.
pub(super) fn signing(
    service: &service::Service,
    options: ClientTokenOptions,
) -> Result<WebPubSubClientCredential, Stop> {
    let connection = service.connection.clone();
    let hub = service.hub()?.to_owned();
    Ok(WebPubSubClientCredential::provider(move || {
        let (endpoint, key) = (connection.endpoint(), connection.access_key());
        let made = sign_client_token(endpoint, &hub, key, &options, now());
        std::future::ready(Ok::<_, std::convert::Infallible>(made.url().to_owned()))
    }))
}

fn builder(credential: WebPubSubClientCredential, wire: Wire) -> WebPubSubClientBuilder {
    WebPubSubClient::builder(credential).protocol(match wire {
        Wire::ReliableJson => Subprotocol::ReliableJson,
        Wire::Json => Subprotocol::Json,
        Wire::ReliableProtobuf => Subprotocol::ReliableProtobuf,
        Wire::Protobuf => Subprotocol::Protobuf,
    })
}
