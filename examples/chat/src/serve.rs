//! `chat`: the page and its server, with an emulator where no service is named.

use std::env;
use std::io::{ErrorKind, Write, stdout};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use webpubsub::WebPubSubServiceClient;
use webpubsub_emulator::Emulator;

use crate::server;
use crate::signal::stop_signal;

/// Where the server listens unless it is told otherwise.
pub(crate) const DEFAULT_PORT: u16 = 3000;

const HUB: &str = "chat";

/// The first of these that is set and not empty says which service to use.
const CONNECTION_STRING_VARIABLES: [&str; 2] =
    ["WebPubSubConnectionString", "WEBPUBSUB_CONNECTION_STRING"];

/// How long requests under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// Port of the page on 127.0.0.1; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Print one line of JSON with the page's URL instead of a greeting
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let listener = listen(args.port).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (emulator, client) = match connection_string() {
        Some((variable, text)) => {
            let client = WebPubSubServiceClient::from_connection_string(&text, HUB)
                .with_context(|| format!("the connection string in {variable} cannot be used"))?;
            (None, client)
        }
        None => {
            let emulator = Emulator::start()
                .await
                .context("the emulator did not start")?;
            let client =
                WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), HUB)?;
            (Some(emulator), client)
        }
    };
    greet(&args, &url, emulator.is_some(), client.endpoint().as_str())?;
    serve(listener, server::app(client)).await?;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    Ok(())
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
        writeln!(out, "\n  Open the page in two windows. Ctrl-C stops.\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Serves until the process is asked to stop, and then for as long as open requests need.
async fn serve(listener: TcpListener, app: Router) -> Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let graceful = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop_signal().await;
        let _ = stopping.send(());
    });
    tokio::select! {
        served = graceful => served.context("the page's server failed"),
        () = async { let _ = stopped.await; tokio::time::sleep(GRACE).await; } => Ok(()),
    }
}
