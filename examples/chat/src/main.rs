//! A chat on Azure Web PubSub. See `README.md` for what it shows.

mod guard;
mod names;
mod negotiate;
mod refusal;
mod server;
mod tickets;

use std::env;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use webpubsub::WebPubSubServiceClient;
use webpubsub_emulator::Emulator;

const HUB: &str = "chat";

/// The first of these that is set and not empty says which service to use.
const CONNECTION_STRING_VARIABLES: [&str; 2] =
    ["WebPubSubConnectionString", "WEBPUBSUB_CONNECTION_STRING"];

/// How long requests under way may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// A chat on Azure Web PubSub: on an emulator inside this process, or on the service that
/// WebPubSubConnectionString or WEBPUBSUB_CONNECTION_STRING names.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Port of the page on 127.0.0.1; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,
    /// Print one line of JSON with the page's URL instead of a greeting
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this cannot be written.
            let _ = writeln!(stderr(), "chat: {}", refusal::describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
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

fn greet(args: &Args, url: &str, embedded: bool, endpoint: &str) -> Result<()> {
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

async fn stop_signal() {
    let interrupt = async {
        tokio::signal::ctrl_c()
            .await
            .expect("signals can be listened to")
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
        tokio::select! { () = interrupt => {}, _ = terminate.recv() => {} }
    }
    #[cfg(not(unix))]
    interrupt.await;
}
