//! `chat`: the page and its server, with an emulator unless a connection string is given.

use std::env;
use std::io::{ErrorKind, Write, stdout};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use webpubsub::WebPubSubServiceClient;
use webpubsub_emulator::{Emulator, HubOptions};

use crate::handler;
use crate::server::{self, Shared};
use crate::signal::stop_signal;

/// The default port of the server.
pub(crate) const DEFAULT_PORT: u16 = 3000;

pub(crate) const HUB: &str = "chat";

/// The first of these variables that is set and not empty contains the connection string.
const CONNECTION_STRING_VARIABLES: [&str; 2] =
    ["WebPubSubConnectionString", "WEBPUBSUB_CONNECTION_STRING"];

/// How long pending requests may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// Port of the page on 127.0.0.1; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Let this server decide who may connect and publish what is said, as the event handler of the service
    #[arg(long)]
    handler: bool,
    /// Print one line of JSON with the page's URL instead of a greeting
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let listener = listen(args.port).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (emulator, client, text) = match connection_string() {
        Some((variable, text)) => {
            let client = WebPubSubServiceClient::from_connection_string(&text, HUB)
                .with_context(|| format!("the connection string in {variable} cannot be used"))?;
            (None, client, text)
        }
        None => {
            let emulator = emulator(args.handler.then_some(url.as_str())).await?;
            let text = emulator.connection_string();
            let client = WebPubSubServiceClient::from_connection_string(&text, HUB)?;
            (Some(emulator), client, text)
        }
    };
    greet(&args, &url, emulator.is_some(), client.endpoint().as_str())?;
    let shared = Shared::new(client, args.handler);
    let mut app = server::app(shared.clone());
    let events = match args.handler {
        true => Some(handler::event_handler(&text, shared)?),
        false => None,
    };
    if let Some(events) = &events {
        // Outside the guard: the service is no page.
        app = app.layer(events.clone());
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let graceful = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let mut serving = tokio::spawn(async move { graceful.await });
    tokio::select! {
        served = &mut serving => served?.context("the page's server failed")?,
        () = stop_signal() => {}
    }
    // The handler still receives the last events of the service.
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    if let Some(events) = events {
        events.shutdown().await;
    }
    drop(stop);
    // Pending requests that take longer are cancelled.
    let _ = tokio::time::timeout(GRACE, serving).await;
    Ok(())
}

/// The service in this process. In handler mode it asks the page's server.
pub(crate) async fn emulator(handler_of: Option<&str>) -> Result<Emulator> {
    let mut builder = Emulator::builder();
    if let Some(page) = handler_of {
        let options = HubOptions::new().event_handler(handler::setting(page)?);
        builder = builder.hub(HUB, options);
    }
    builder.start().await.context("the emulator did not start")
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                anyhow!("port {port} on 127.0.0.1 is taken; `--port 0` takes a free one")
            }
            _ => anyhow!(error).context(format!("port {port} on 127.0.0.1 cannot be opened")),
        })
}

/// The name of the variable that holds the connection string, and its value.
fn connection_string() -> Option<(&'static str, String)> {
    CONNECTION_STRING_VARIABLES
        .into_iter()
        .find_map(|variable| {
            let text = env::var(variable).ok()?;
            (!text.trim().is_empty()).then_some((variable, text))
        })
}

fn greet(args: &ServeArgs, url: &str, embedded: bool, endpoint: &str) -> Result<()> {
    let mut out = stdout().lock();
    if args.json {
        writeln!(
            out,
            "{}",
            json!({ "event": "ready", "url": url, "service": endpoint })
        )?;
    } else {
        let place = if embedded {
            "the emulator in this process, "
        } else {
            ""
        };
        writeln!(out, "\n  Chat     {url}")?;
        writeln!(out, "  Service  {place}{endpoint}")?;
        if args.handler && !embedded {
            let template = handler::template(url);
            writeln!(
                out,
                "\n  Set up hub `{HUB}` of the service with this event handler (or where it reaches it):"
            )?;
            writeln!(out, "    {template}")?;
            writeln!(
                out,
                "    user events `{}`; system events connect, groupJoined, groupLeft",
                handler::SAY
            )?;
        }
        writeln!(out, "\n  Open the page in two windows. Ctrl-C stops.\n")?;
    }
    out.flush()?;
    Ok(())
}
