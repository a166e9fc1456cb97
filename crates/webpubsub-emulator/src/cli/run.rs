//! `run`, which is also what the program does without a command: the emulator itself.

use std::convert::Infallible;
use std::future;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use tokio::runtime::Runtime;
use tokio::task;
use tokio::time::MissedTickBehavior;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};
use webpubsub_emulator::{Emulator, StartError};

use super::signals::Signals;
use super::stop::{FAILED, INTERRUPTED, USAGE};
use super::{Call, PROGRAM, Stop};
use crate::banner;
use crate::config::reload::{self, Change, Reload};
use crate::config::{self, Asked, Config};

pub(super) fn command() -> Command {
    config::command()
        .name("run")
        .about("Run the emulator, which is also what the program does without a command")
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    start(&read(command(), call)?)
}

/// What happens without the name of a command.
pub(super) fn by_default(call: Call) -> Result<ExitCode, Stop> {
    start(&read(config::command(), call)?)
}

fn start(config: &Config) -> Result<ExitCode, Stop> {
    log_to_stderr(config.log_filter()?, config.logs_json()?);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return Ok(ExitCode::FAILURE);
        }
    };
    let ended = runtime.block_on(until_stopped(config));
    // What is left, such as a connection that does not close, must not delay the exit.
    runtime.shutdown_background();
    ended
}

/// Reads the settings of an emulator.
pub(super) fn read(command: Command, call: Call) -> Result<Config, Stop> {
    let command = match command.get_name() {
        PROGRAM => command,
        name => {
            let name = format!("{PROGRAM} {name}");
            command.bin_name(name)
        }
    };
    match Config::read(command, call.arguments, call.variables)? {
        Asked::Config(config) => Ok(*config),
        Asked::Help(text) | Asked::Version(text) => Err(Stop::Show(text)),
    }
}

/// The emulator that was asked for, with the state and the faults to begin with; on `port` where no other was named.
pub(super) async fn emulator(config: &Config, port: u16) -> Result<Emulator, Stop> {
    let seed = config.seed()?;
    let faults = config.faults()?;
    let started = config.builder_on(port).start().await;
    let emulator =
        started.map_err(|error| Stop::from(config.explain(&error)).with_code(exit_code(&error)))?;
    if let Some(Err(error)) = seed.map(|seed| emulator.import_state(seed)) {
        return Err(config.explain_seed(&error).into());
    }
    for (number, fault) in (1..).zip(faults) {
        let added = emulator.faults().add(fault);
        added.map_err(|error| config.explain_fault(number, &error))?;
    }
    Ok(emulator)
}

pub(super) fn log_to_stderr(asked: EnvFilter, json: bool) {
    // Other crates write at `trace` what passes through them, and tokens do. No filter may switch that on.
    let discreet = filter::filter_fn(|metadata| {
        *metadata.level() <= Level::DEBUG || metadata.target().starts_with("webpubsub")
    })
    .with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    let lines = lines.with_filter(discreet).with_filter(asked);
    tracing_subscriber::registry().with(lines).init();
}

/// Applies what changes in the configuration file, as long as it is polled.
pub(super) async fn follow(emulator: &Emulator, reload: Option<Reload>) -> Infallible {
    let Some(mut reload) = reload else {
        return future::pending().await;
    };
    let mut looks = tokio::time::interval(reload::INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let path = reload.path().to_owned();
        // A network drive may be slow; only its own thread waits for it.
        let look = task::spawn_blocking(move || Reload::look(&path)).await;
        match look.ok().and_then(|look| reload.take(look)) {
            None => {}
            Some(Ok(change)) => apply(emulator, reload.path(), change),
            Some(Err(error)) => {
                tracing::warn!("{error}: the last valid settings of hubs stay");
            }
        }
    }
}

async fn until_stopped(config: &Config) -> Result<ExitCode, Stop> {
    // Before the ready line: who reads it may send a signal at once.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return Ok(ExitCode::FAILURE);
        }
    };
    let emulator = emulator(config, config::DEFAULT_PORT).await?;
    let mut out = io::stdout().lock();
    let printed = match config.json() {
        true => banner::json(&mut out, &emulator, &config.hubs()),
        false => {
            let own = banner::Own {
                key: config.has_own_key(),
                admin_token: config.has_own_admin_token(),
            };
            banner::text(&mut out, &emulator, own, &config.hubs())
        }
    };
    drop(out);
    if let Err(error) = printed {
        tracing::warn!(%error, "cannot write to stdout");
    }
    tokio::select! {
        () = signals.next() => {}
        never = follow(&emulator, config.reload()) => match never {},
    }
    tracing::info!("stopping; again Ctrl+C ends at once");
    Ok(tokio::select! {
        () = emulator.shutdown() => ExitCode::SUCCESS,
        () = signals.next() => ExitCode::from(INTERRUPTED),
    })
}

fn apply(emulator: &Emulator, path: &Path, change: Change) {
    let file = path.display();
    for warning in change.warnings {
        tracing::warn!("{warning}");
    }
    for name in change.needs_restart {
        tracing::warn!("{file}: `{name}` differs from the start: it needs a restart");
    }
    match change.hubs {
        None => tracing::info!("{file}: changed, but nothing about hubs"),
        Some((options, hubs)) => {
            emulator.set_hubs(options);
            tracing::info!(
                "{file}: the settings of hubs changed: {}",
                banner::hubs(&hubs)
            );
        }
    }
}

/// A value that can never be right is a mistake like a wrong flag.
const fn exit_code(error: &StartError) -> u8 {
    match error {
        StartError::InvalidHost
        | StartError::InvalidAccessKey { .. }
        | StartError::InvalidPublicEndpoint { .. }
        | StartError::InvalidAdminToken
        | StartError::InvalidLimit { .. }
        | StartError::InvalidHub { .. } => USAGE,
        _ => FAILED,
    }
}
