//! Progress of long jobs, pushed to the user who started them. See `README.md`.

mod jobs;
mod server;
mod user;
mod worker;

use std::env;
use std::io::{Write, stderr, stdout};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use webpubsub::WebPubSubServiceClient;
use webpubsub_emulator::Emulator;

const HUB: &str = "notifications";

/// The first of these variables that is set and not empty contains the connection string.
const CONNECTION_STRING_VARIABLES: [&str; 2] =
    ["WebPubSubConnectionString", "WEBPUBSUB_CONNECTION_STRING"];

/// How long pending requests may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// Pushes the progress of long jobs to the page of the user who started them: on an emulator inside this process, or
/// on the service that WebPubSubConnectionString or WEBPUBSUB_CONNECTION_STRING names.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Port of the page on 127.0.0.1; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = 3001)]
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
            // If this cannot be written, there is no other way to report it.
            let _ = writeln!(stderr(), "notifications: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .await
        .with_context(|| {
            format!(
                "port {} on 127.0.0.1 cannot be opened; `--port 0` takes a free one",
                args.port
            )
        })?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (emulator, service) = match connection_string() {
        Some((variable, text)) => {
            let service = WebPubSubServiceClient::from_connection_string(&text, HUB)
                .with_context(|| format!("the connection string in {variable} cannot be used"))?;
            (None, service)
        }
        None => {
            let emulator = Emulator::start()
                .await
                .context("the emulator did not start")?;
            let text = emulator.connection_string();
            let service = WebPubSubServiceClient::from_connection_string(&text, HUB)?;
            (Some(emulator), service)
        }
    };
    greet(&args, &url, emulator.is_some(), service.endpoint().as_str())?;

    let app = server::app(service);
    let (stopping, stopped) = oneshot::channel();
    let graceful = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop_signal().await;
        let _ = stopping.send(());
    });
    tokio::select! {
        served = graceful => served.context("the page's server failed")?,
        () = async { let _ = stopped.await; tokio::time::sleep(GRACE).await; } => {}
    }
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    Ok(())
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
        let line = json!({ "event": "ready", "url": url, "service": endpoint });
        writeln!(out, "{line}")?;
    } else {
        let place = if embedded {
            "the emulator in this process, "
        } else {
            ""
        };
        writeln!(out, "\n  Notifications  {url}")?;
        writeln!(out, "  Service        {place}{endpoint}")?;
        writeln!(out, "\n  Open the page and start a job. Ctrl-C stops.\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Completes on Ctrl-C, and on Unix also on SIGTERM.
async fn stop_signal() {
    let interrupt = async {
        tokio::signal::ctrl_c()
            .await
            .expect("signals can be listened to");
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
