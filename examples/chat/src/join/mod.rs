//! `chat join`: the same rooms from the terminal, on `webpubsub-client`.
//!
//! The client maintains the connection. This module prints what happens to it, and makes one decision: a line that was not
//! acknowledged when its connection was lost is sent again with the same message id, so that receivers can recognise a
//! repetition.

mod input;
mod line;
mod negotiator;
mod transcript;

use std::convert::Infallible;
use std::future::pending;
use std::io::{Write, stdout};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc;
use url::Url;
use webpubsub_client::{
    ClientState, Loss, SendError, WebPubSubClient, WebPubSubClientCredential, payload,
};

use crate::handler::SAY;
use crate::names::{PersonName, RoomName};
use crate::negotiate::Mode;
use crate::refusal::describe;
use crate::signal::stop_signal;

use self::line::{ChatMessage, Line};
use self::negotiator::Negotiator;
use self::transcript::Transcript;

#[derive(clap::Args)]
pub(crate) struct JoinArgs {
    /// The name of the room
    #[arg(value_parser = RoomName::parse)]
    room: RoomName,
    /// The name that others see; the server adds a tag to distinguish people with the same name
    #[arg(long, env = "USER", default_value = "Guest", value_parser = PersonName::parse)]
    name: PersonName,
    /// The address of the server, as printed by `chat`
    #[arg(long, value_name = "URL", default_value_t = negotiator::default_server(), value_parser = negotiator::parse_server)]
    server: Url,
    /// Print states and messages as lines of JSON
    #[arg(long)]
    json: bool,
    /// Keep listening when the input ends
    #[arg(long)]
    listen: bool,
    /// Give up a socket after this many seconds without data, and recover the connection; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    keep_alive_timeout: u64,
    /// Seconds between pings; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    keep_alive_interval: u64,
}

/// Runs until the input ends, the user stops it, or the client gives up.
pub(crate) async fn run(args: JoinArgs) -> Result<()> {
    let negotiator = Arc::new(Negotiator::new(args.server, &args.name, &args.room)?);
    let client = WebPubSubClient::builder(credential(&negotiator))
        .keep_alive_timeout(Duration::from_secs(args.keep_alive_timeout))
        .keep_alive_interval(Duration::from_secs(args.keep_alive_interval))
        .build()
        .context("the client cannot be made")?;
    let group = args.room.group();
    let mut events = client.events();
    let mut transcript = Transcript::new(&group);
    let print = |line: Line| line.print(&mut stdout().lock(), args.json);

    let (report, mut reports) = mpsc::channel(1);
    {
        let mut conversation = pin!(converse(&client, &negotiator, &group, args.listen, report));
        let mut stopping = pin!(stop_when_asked(&client));
        loop {
            tokio::select! {
                never = &mut stopping => match never {},
                Some(event) = events.next() => transcript.read(event).map_or(Ok(()), print)?,
                Some(line) = reports.recv() => print(line)?,
                ended = &mut conversation => break ended?,
            }
        }
    }
    client.stop().await;
    // The events end with the client.
    drop(client);
    while let Ok(line) = reports.try_recv() {
        print(line)?;
    }
    while let Some(event) = events.next().await {
        transcript.read(event).map_or(Ok(()), print)?;
    }
    stdout().flush()?;
    match transcript.failure() {
        None => Ok(()),
        Some(reason) => bail!("{reason}"),
    }
}

/// New connections get new tokens; recoveries need none.
fn credential(negotiator: &Arc<Negotiator>) -> WebPubSubClientCredential {
    let negotiator = Arc::clone(negotiator);
    WebPubSubClientCredential::provider(move || {
        let negotiator = Arc::clone(&negotiator);
        async move { negotiator.client_access_url().await }
    })
}

/// Stops the client when the user asks for it, which ends the conversation.
async fn stop_when_asked(client: &WebPubSubClient) -> Infallible {
    stop_signal().await;
    client.stop().await;
    pending().await
}

/// Enters the room and sends what is typed, line by line. Ends with the input, or with the client.
async fn converse(
    client: &WebPubSubClient,
    negotiator: &Negotiator,
    group: &str,
    listen: bool,
    report: mpsc::Sender<Line>,
) -> Result<()> {
    if client.start().await.is_err() {
        // The event of the stop says why.
        return Ok(());
    }
    match client.join_group(group).await {
        Ok(_) => negotiator.announce().await,
        Err(_) if client.state() == ClientState::Stopped => return Ok(()),
        Err(error) => return Err(anyhow!(error).context("the room cannot be joined")),
    }
    let mut lines = input::lines();
    let mut ids = line::MessageIds::new();
    loop {
        let text = tokio::select! {
            text = lines.recv() => text,
            () = client.wait_for(ClientState::Stopped) => return Ok(()),
        };
        let Some(text) = text else { break };
        let message = ChatMessage {
            id: ids.next(),
            text,
        };
        let line = match send(client, negotiator.mode(), group, &message).await {
            Ok(()) => Line::Sent(message),
            Err(error) => Line::Unsent {
                reason: describe(&error),
                message,
            },
        };
        // Nobody prints any more only when this future is not polled any more either.
        let _ = report.send(line).await;
    }
    if listen {
        client.wait_for(ClientState::Stopped).await;
    }
    Ok(())
}

/// Sends a message, on as many connections as it takes.
async fn send(
    client: &WebPubSubClient,
    mode: Mode,
    group: &str,
    message: &ChatMessage,
) -> Result<(), SendError> {
    loop {
        let sent = match mode {
            Mode::Token => {
                client
                    .send_to_group(group, payload::Json(message))
                    .no_echo()
                    .await
            }
            Mode::Handler => client.send_event(SAY, payload::Json(message)).await,
        };
        match sent {
            Ok(_) => return Ok(()),
            // The next connection sends it, as soon as there is one.
            Err(SendError::Lost(loss)) if loss != Loss::Stopped => {}
            Err(error) => return Err(error),
        }
    }
}
