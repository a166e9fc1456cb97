//! The emulator as a program. `--help` lists its flags.

mod banner;
mod config;
mod health;

use std::{
    convert::Infallible,
    env, future,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
};

use tokio::{
    runtime::{self, Runtime},
    task,
    time::MissedTickBehavior,
};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};
use webpubsub_emulator::{Code, Emulator, StartError};

use config::{
    Command, Config, ConfigError, Examination,
    reload::{self, Change, Reload},
};

/// As shells report a program that was ended by Ctrl+C.
const INTERRUPTED: u8 = 130;

/// Bad flags, variables or file, as usual for command lines.
const USAGE: u8 = 2;

/// The machine or its safety is against it.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let config = match Command::read(env::args_os(), env::vars_os()) {
        Ok(Command::Run(config)) => config,
        Ok(Command::Examine(examination)) => return examine(&examination),
        Ok(Command::Check(address)) => {
            return match health::check(address) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&ConfigError::text(format!("{address}: {error}")), FAILED),
            };
        }
        Ok(Command::Show(text)) => {
            // Nobody is left to tell when stdout is closed.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error, USAGE),
    };
    if let Err(error) = log_to_stderr(&config) {
        return fail(&error, USAGE);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(&config));
    // What is left, such as a connection that does not close, must not delay the exit.
    runtime.shutdown_background();
    code
}

/// Prints what a doctor finds. The exit status is for scripts.
fn examine(examination: &Examination) -> ExitCode {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("cannot start the runtime: {error}");
            return fail(&ConfigError::text(text), FAILED);
        }
    };
    let diagnosis = runtime.block_on(examination.doctor.examine());
    let text = match examination.json {
        true => serde_json::to_string(&diagnosis)
            .map(|text| text + "\n")
            .unwrap_or_default(),
        false => diagnosis.to_string(),
    };
    // Nobody is left to tell when stdout is closed.
    let _ = io::stdout().write_all(text.as_bytes());
    if diagnosis.find(Code::Url).is_some() {
        ExitCode::from(USAGE)
    } else if diagnosis.is_fine() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

async fn run(config: &Config) -> ExitCode {
    // Before the ready line: who reads it may send a signal at once.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let seed = match config.seed() {
        Ok(seed) => seed,
        Err(error) => return fail(&error, USAGE),
    };
    let emulator = match config.builder().start().await {
        Ok(emulator) => emulator,
        Err(error) => return fail(&config.explain(&error), exit_code(&error)),
    };
    if let Some(Err(error)) = seed.map(|seed| emulator.import_state(seed)) {
        return fail(&config.explain_seed(&error), USAGE);
    }
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
    tokio::select! {
        () = emulator.shutdown() => ExitCode::SUCCESS,
        () = signals.next() => ExitCode::from(INTERRUPTED),
    }
}

/// Applies what changes in the configuration file, as long as it is polled.
async fn follow(emulator: &Emulator, reload: Option<Reload>) -> Infallible {
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

fn fail(error: &ConfigError, code: u8) -> ExitCode {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(code)
}

fn log_to_stderr(config: &Config) -> Result<(), ConfigError> {
    let asked = config.log_filter()?;
    // Other crates write at `trace` what passes through them, and tokens do. No filter may switch that on.
    let discreet = filter::filter_fn(|metadata| {
        *metadata.level() <= Level::DEBUG || metadata.target().starts_with("webpubsub")
    })
    .with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match config.logs_json()? {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    let lines = lines.with_filter(discreet).with_filter(asked);
    tracing_subscriber::registry().with(lines).init();
    Ok(())
}

/// Ctrl+C, and SIGTERM where there is such a thing.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // Fails only when no handler can be installed; then only ending the process stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
