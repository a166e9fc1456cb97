//! The emulator on a free port, with event handlers that scripts in other languages can direct.
//!
//! It prints the line of JSON that `webpubsub-emulator --json` prints when ready, logs to standard
//! error, and ends on SIGTERM.

#![allow(
    clippy::print_stdout,
    reason = "the ready record goes to standard output"
)]

mod handlers;

use std::error::Error;
use std::sync::Arc;

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::Token;

use handlers::Handlers;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(LevelFilter::INFO)
        .init();
    let handlers = Arc::new(Handlers::default());
    let builder = Emulator::builder().admin(true).on_user_event(move |event| {
        let handlers = Arc::clone(&handlers);
        async move { handlers.answer(event).await }
    });
    // Before the ready line: who reads it may send the signal at once.
    let stop = stop_signal()?;
    let emulator = builder.start().await?;
    let ready = json!({
        "event": "ready",
        "endpoint": emulator.endpoint(),
        "connectionString": emulator.connection_string(),
        "adminUrl": emulator.admin_url(),
        "adminToken": emulator.admin_token().map(Token::as_str),
    });
    println!("{ready}");
    stop.await;
    emulator.shutdown().await;
    Ok(())
}

#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        terminate.recv().await;
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Fails only when no handler can be installed; then only ending the process stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
