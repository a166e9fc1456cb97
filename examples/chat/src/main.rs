//! A chat on Azure Web PubSub. See `README.md` for what it shows.

mod guard;
mod handler;
mod join;
mod names;
mod negotiate;
mod refusal;
mod rooms;
mod serve;
mod server;
mod signal;
mod tickets;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A chat on Azure Web PubSub: on an emulator inside this process, or on the service that
/// WebPubSubConnectionString or WEBPUBSUB_CONNECTION_STRING names.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Talk in a room from the terminal: sends what you type, prints messages and every state of the connection
    Join(join::JoinArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .init();
    let Args { command, serve } = Args::parse();
    let ended = match command {
        None => serve::run(serve).await,
        Some(Command::Join(join)) => join::run(join).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If this cannot be written, there is no other way to report it.
            let _ = writeln!(stderr(), "chat: {}", refusal::describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
