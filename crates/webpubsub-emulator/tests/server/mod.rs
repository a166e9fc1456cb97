//! The HTTP side and the library's front of a running emulator, from the outside.

mod hosts;
mod library;
mod limits;
mod origins;
mod routes;
mod shutdown;

use webpubsub_emulator::Emulator;

use crate::support::{Reply, http::exchange};

/// A `HEAD /api/health` with these header lines.
async fn health(emulator: &Emulator, head: &str) -> Reply {
    ask(emulator, "HEAD /api/health", head).await
}

/// A request without a body: its method and target, and its header lines besides `Connection`.
async fn ask(emulator: &Emulator, request: &str, head: &str) -> Reply {
    let request = format!("{request} HTTP/1.1\r\nConnection: close\r\n{head}\r\n");
    exchange(emulator.addresses()[0], request.as_bytes())
        .await
        .expect("an answer")
}
