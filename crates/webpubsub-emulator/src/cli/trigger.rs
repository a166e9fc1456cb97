//! `trigger` plays one event to a handler.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{CommandFactory as _, Parser, Subcommand};
use serde::Serialize;
use webpubsub_emulator::{Trigger, TriggerError, TriggerEvent, Triggered};
use webpubsub_protocol::access::ConnectionString;

use super::message::Content;
use super::output::{self, line};
use super::send::pair;
use super::service::block_on;
use super::stop::FAILED;
use super::{Call, Stop, doctor, usage};

const NOTES: &str = "\
The request is the one that the emulator sends: signed, with all its headers. The handler takes it for a real one. Flags
override what it says. Without `--key` and `--connection-string` the key comes from where `doctor` takes it.

Exit status: 0 when the emulator would take the answer, 1 when it would not or there is none, 2 when the command cannot be
understood.

Examples:
  webpubsub-emulator trigger connect --url 'http://127.0.0.1:3000/eventhandler/{event}' --user ana
  webpubsub-emulator trigger user-event order '{\"item\":7}' --type json --url 'http://127.0.0.1:3000/eventhandler/{event}'
  webpubsub-emulator trigger joined room-7 --url http://127.0.0.1:3000/events --hub chat --header ce-eventName=left";

/// Play one event to an event handler and print its answer
#[derive(Parser)]
#[command(name = "trigger", max_term_width = 120, after_help = NOTES)]
struct Cli {
    #[command(subcommand)]
    event: Kind,

    /// URL of the handler, as the service is given it; `{event}` and `{hub}` are filled in
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,

    /// Hub of the event
    #[arg(long, value_name = "HUB", global = true, default_value = "chat")]
    hub: String,

    /// User of the connection [default: none]
    #[arg(long, value_name = "ID", global = true)]
    user: Option<String>,

    /// Id of the connection [default: a new one]
    #[arg(long, value_name = "ID", global = true)]
    connection: Option<String>,

    /// Subprotocol that the client offers or has [default: none]
    #[arg(long, value_name = "NAME", global = true)]
    subprotocol: Option<String>,

    /// Number of the event among those of its connection
    #[arg(long, value_name = "NUMBER", global = true, default_value_t = 0)]
    number: u64,

    /// State that earlier answers have left with the connection, as in `ce-connectionState` [default: none]
    #[arg(long, value_name = "STATE", global = true)]
    state: Option<String>,

    /// Header in place of the emulator's. May be repeated
    #[arg(long, value_name = "NAME=VALUE", global = true, value_parser = pair)]
    header: Vec<(String, String)>,

    /// File with a body in place of the event's; `-` for stdin
    #[arg(long, value_name = "FILE", global = true)]
    body: Option<OsString>,

    /// Key that signs; prefer a variable, since others on this machine can see the arguments of a program
    #[arg(long, value_name = "KEY", global = true, allow_hyphen_values = true)]
    key: Option<String>,

    /// Connection string whose key signs, and whose host is the origin
    #[arg(long, value_name = "STRING", global = true)]
    connection_string: Option<ConnectionString>,

    /// Host of the service as handlers see it [default: the connection string's, or localhost]
    #[arg(long, value_name = "HOST", global = true)]
    origin: Option<String>,

    /// How long the handler may take, such as `500ms` or `5s`
    #[arg(long, value_name = "DURATION", global = true, default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Kind {
    /// A client wants to connect
    Connect,
    /// A client is connected
    Connected,
    /// A connection has ended
    Disconnected {
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// A connection has joined a group
    Joined {
        /// Name of the group
        group: String,
    },
    /// A connection has left a group
    Left {
        /// Name of the group
        group: String,
    },
    /// A client has sent a user event
    UserEvent {
        /// Name of the event
        name: String,
        #[command(flatten)]
        content: Content,
    },
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let cli: Cli = usage::parse("trigger", call.arguments)?;
    let json = cli.json;
    let trigger = trigger(cli, call.variables)?;
    let answer = block_on(async { trigger.send().await.map_err(|error| refused(&error)) })?;
    match json {
        true => print_json(&answer)?,
        false => print(&answer)?,
    }
    Ok(match answer.problem() {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(FAILED),
    })
}

fn trigger(cli: Cli, variables: Vec<(OsString, OsString)>) -> Result<Trigger, Stop> {
    let event = match cli.event {
        Kind::Connect => Ok(TriggerEvent::CONNECT),
        Kind::Connected => Ok(TriggerEvent::CONNECTED),
        Kind::Disconnected { reason } => Ok(TriggerEvent::disconnected(reason)),
        Kind::Joined { group } => TriggerEvent::group_joined(&group),
        Kind::Left { group } => TriggerEvent::group_left(&group),
        Kind::UserEvent { name, content } => TriggerEvent::user(&name, content.payload()?),
    };
    let event = event.map_err(|error| refused(&error))?;
    let url = cli
        .url
        .ok_or_else(|| Stop::usage("`--url`: give the URL of the handler"))?;
    let connection = cli.connection_string.map(|connection| connection.expose());
    let signer = doctor::signer(cli.key, connection, variables)?;
    let mut trigger = Trigger::new(url, event)
        .hub(cli.hub)
        .number(cli.number)
        .timeout(cli.timeout);
    if let Some(key) = signer.key {
        trigger = trigger.key(key);
    }
    if let Some(origin) = cli.origin.or(signer.host) {
        trigger = trigger.origin(origin);
    }
    if let Some(user) = cli.user {
        trigger = trigger.user(user);
    }
    if let Some(connection) = cli.connection {
        trigger = trigger.connection(connection);
    }
    if let Some(subprotocol) = cli.subprotocol {
        trigger = trigger.subprotocol(subprotocol);
    }
    if let Some(state) = cli.state {
        trigger = trigger.state(state);
    }
    if let Some(file) = cli.body {
        trigger = trigger.body(body(&file)?);
    }
    let headers = cli.header.into_iter();
    Ok(headers.fold(trigger, |trigger, (name, value)| {
        trigger.header(name, value)
    }))
}

fn body(file: &OsString) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    let read = match file == "-" {
        true => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => fs::read(file).map(|read| bytes = read),
    };
    read.map_err(|error| Stop::failed(format!("{}: {error}", file.display())))?;
    Ok(bytes)
}

fn refused(error: &TriggerError) -> Stop {
    match error {
        TriggerError::Invalid { .. } => Stop::usage(error.to_string()),
        _ => Stop::failed(error.to_string()),
    }
}

fn print(answer: &Triggered) -> Result<(), Stop> {
    let took = answer.took().as_millis();
    line(format_args!("{} after {took} ms", answer.status()))?;
    for (name, value) in answer.headers() {
        line(format_args!("{name}: {value}"))?;
    }
    if !answer.body().is_empty() {
        line(format_args!("\n{}", String::from_utf8_lossy(answer.body())))?;
    }
    match answer.problem() {
        Some(problem) => line(format_args!("\nThe event has FAILED: {problem}")),
        None => Ok(()),
    }
}

fn print_json(answer: &Triggered) -> Result<(), Stop> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        status: u16,
        took_ms: u128,
        headers: &'a [(String, String)],
        /// The body as text, or else in `bodyBase64`.
        body: Option<&'a str>,
        body_base64: Option<String>,
        problem: Option<&'a str>,
    }

    let body = std::str::from_utf8(answer.body()).ok();
    output::json(&Answer {
        status: answer.status(),
        took_ms: answer.took().as_millis(),
        headers: answer.headers(),
        body,
        body_base64: body.is_none().then(|| STANDARD.encode(answer.body())),
        problem: answer.problem(),
    })
}
