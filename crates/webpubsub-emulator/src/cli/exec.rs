//! `exec` runs a command beside an emulator of its own: a test suite, a build, a shell.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{ExitCode, ExitStatus, Stdio};

use clap::{Arg, Command, ValueHint, value_parser};
use tokio::process::{self, Child};
use tokio::runtime::Runtime;
use webpubsub_emulator::Emulator;

use super::{Call, Stop, admin, run};
use crate::config::{self, CONNECTION_STRINGS, Config, ConfigError};

/// The emulator did not start, or this command cannot be understood; as `env`, `timeout` and `docker run` have it.
const FAILED: u8 = 125;

/// The command exists, but cannot be run.
const NOT_RUN: u8 = 126;

/// There is no such command.
const NOT_FOUND: u8 = 127;

/// Further names under which the samples and tests of SDKs look for the connection string and its parts.
const SAMPLES: [&str; 2] = ["WPS_CONNECTION_STRING", "WEB_PUB_SUB_CONNECTION_STRING"];
const ENDPOINTS: [&str; 3] = ["WEBPUBSUB_ENDPOINT", "WPS_ENDPOINT", "WebPubSubEndpoint"];
const KEYS: [&str; 2] = ["WEBPUBSUB_ACCESS_KEY", "WPS_API_KEY"];

/// What is meant for the application's own server.
const APPLICATIONS: &str = "Urls";

/// Quiet, since the output belongs to the command.
const LOG: &str = "warn";

const ABOUT: &str = "Run a command beside an emulator of its own, and end with its status";

const NOTES: &str = "\
The emulator listens on a free port unless a flag, WEBPUBSUB_EMULATOR_PORT or the file says another. The command starts once
the emulator is ready. It finds it in WebPubSubConnectionString (also WEBPUBSUB_CONNECTION_STRING, WEBPUBSUB_CONNECTIONSTRING,
Azure__WebPubSub__ConnectionString, WPS_CONNECTION_STRING and WEB_PUB_SUB_CONNECTION_STRING), and in parts in
WEBPUBSUB_ENDPOINT, WPS_ENDPOINT, WebPubSubEndpoint, WEBPUBSUB_ACCESS_KEY and WPS_API_KEY; what these held before is not
used. WEBPUBSUB_EMULATOR_ADMIN_TOKEN lets commands of this program use the emulator's admin API. Signals are forwarded. The log says warnings and errors; `--log info` more.

Exit status: that of the command; 128 and the number of the signal that ended it; 125 when the emulator did not start or the
flags cannot be understood, 126 when the command cannot be run, 127 when there is no such command.

Examples:
  webpubsub-emulator exec -- npm test
  webpubsub-emulator exec --event-handler 'chat=http://127.0.0.1:3000/eventhandler/{event}' -- pytest -q
  webpubsub-emulator exec -- sh -c 'webpubsub-emulator send all hello --hub chat'";

pub(super) fn command() -> Command {
    flags().after_help(NOTES).arg(
        Arg::new("command")
            .value_name("COMMAND")
            .help("The command and its arguments, after `--`")
            .last(true)
            .required(true)
            .num_args(1..)
            .value_parser(value_parser!(OsString))
            .value_hint(ValueHint::CommandWithArguments),
    )
}

/// The settings of the emulator.
fn flags() -> Command {
    config::command()
        .name("exec")
        .about(ABOUT)
        // There is no line that says when the emulator is ready.
        .mut_args(|arg| match arg.get_long() {
            Some("json") => arg.hide(true),
            _ => arg,
        })
}

pub(super) fn run(mut call: Call) -> Result<ExitCode, Stop> {
    let Some(at) = call.arguments.iter().position(|word| word == "--") else {
        // It may ask for the help, and a mistake in a flag is worth more than the lack of a command.
        let command = command().mut_arg("command", |arg| arg.required(false));
        run::read(command, call).map_err(|stop| stop.with_code(FAILED))?;
        return Err(no_command());
    };
    let words = call.arguments.split_off(at);
    let [_, program, arguments @ ..] = words.as_slice() else {
        return Err(no_command());
    };
    call.variables
        .retain(|(name, _)| !is_applications(name.as_os_str()));
    let config = run::read(flags(), call).map_err(|stop| stop.with_code(FAILED))?;
    log(&config).map_err(|error| Stop::from(error).with_code(FAILED))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = Runtime::new()
        .map_err(|error| Stop::failed(format!("cannot start the runtime: {error}")))
        .map_err(|stop| stop.with_code(FAILED))?;
    let ended = runtime.block_on(beside_emulator(&config, program, arguments));
    // What is left, such as a connection that does not close, must not delay the exit.
    runtime.shutdown_background();
    ended
}

fn log(config: &Config) -> Result<(), ConfigError> {
    run::log_to_stderr(config.log_filter_or(LOG)?, config.logs_json()?);
    Ok(())
}

fn no_command() -> Stop {
    let problem = "write the command after `--`, as in `webpubsub-emulator exec -- npm test`";
    Stop::usage(problem).with_code(FAILED)
}

/// Whether a variable says where the application looks for its service, or listens itself. `exec` decides the former, and
/// the latter is not meant for the emulator.
fn is_applications(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    CONNECTION_STRINGS.contains(&&*name) || name.eq_ignore_ascii_case(APPLICATIONS)
}

async fn beside_emulator(
    config: &Config,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<ExitCode, Stop> {
    // Before there is anybody to forward them to: a signal that comes early must not leave the command behind.
    let mut signals = signals::Forwarded::listen().map_err(|error| {
        Stop::failed(format!("cannot listen for signals: {error}")).with_code(FAILED)
    })?;
    let emulator = run::emulator(config, 0).await;
    let emulator = emulator.map_err(|stop| stop.with_code(FAILED))?;
    let variables = variables(&emulator, config);
    let mut child = spawn(program, arguments, &variables)?;
    let status = tokio::select! {
        status = wait(&mut child, &mut signals) => status,
        never = run::follow(&emulator, config.reload()) => match never {},
    };
    emulator.shutdown().await;
    match status {
        Ok(status) => Ok(ExitCode::from(code(status))),
        Err(error) => {
            let problem = format!("cannot wait for the command: {error}");
            Err(Stop::failed(problem).with_code(FAILED))
        }
    }
}

/// What tells the command where the emulator is.
fn variables(emulator: &Emulator, config: &Config) -> Vec<(&'static str, String)> {
    let connection_string = emulator.connection_string();
    let strings = CONNECTION_STRINGS.into_iter().chain(SAMPLES);
    let strings = strings.map(|name| (name, connection_string.clone()));
    let endpoints = ENDPOINTS.map(|name| (name, emulator.endpoint().to_owned()));
    let keys = KEYS.map(|name| (name, config.access_key().expose().to_owned()));
    let admin = emulator.admin_token();
    let admin = admin.map(|token| (admin::TOKEN, token.as_str().to_owned()));
    strings.chain(endpoints).chain(keys).chain(admin).collect()
}

fn spawn(
    program: &OsStr,
    arguments: &[OsString],
    variables: &[(&str, String)],
) -> Result<Child, Stop> {
    let mut failure = None;
    for program in spellings(program) {
        let mut command = process::Command::new(&program);
        command
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::inherit())
            .kill_on_drop(true);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let error = failure.unwrap_or_else(|| io::ErrorKind::NotFound.into());
    let code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_RUN,
    };
    // The first word only: arguments may hold secrets.
    let problem = format!("cannot run {}: {error}", program.display());
    Err(Stop::failed(problem).with_code(code))
}

/// How a program may be called. On Windows `npm` is a script, which is found under its whole name only.
fn spellings(program: &OsStr) -> Vec<OsString> {
    let mut spellings = vec![program.to_owned()];
    if env::consts::OS == "windows" {
        spellings.extend([".cmd", ".bat"].map(|end| {
            let mut name = program.to_owned();
            name.push(end);
            name
        }));
    }
    spellings
}

/// Waits for the end of the command, to which signals go on.
async fn wait(child: &mut Child, signals: &mut signals::Forwarded) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => signals::forward(child, signal),
        }
    }
}

#[cfg(unix)]
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(FAILED)
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> u8 {
    // A status beyond a byte is a failure, whatever its low byte is.
    match status.code() {
        Some(code) => u8::try_from(code).unwrap_or(super::stop::FAILED),
        None => FAILED,
    }
}

#[cfg(unix)]
mod signals {
    use std::io::{self, IsTerminal as _};

    use rustix::process::{Pid, Signal, kill_process};
    use tokio::process::Child;
    use tokio::signal::unix::{self, SignalKind, signal};

    /// The signals that ask a program to do something.
    pub(super) struct Forwarded {
        interrupt: unix::Signal,
        quit: unix::Signal,
        hangup: unix::Signal,
        terminate: unix::Signal,
        /// A terminal sends its signals to all programs in its foreground, the command among them.
        has_terminal: bool,
    }

    impl Forwarded {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
                hangup: signal(SignalKind::hangup())?,
                terminate: signal(SignalKind::terminate())?,
                has_terminal: io::stdin().is_terminal(),
            })
        }

        /// The next one to forward.
        pub(super) async fn next(&mut self) -> Signal {
            loop {
                let (signal, by_terminal) = tokio::select! {
                    _ = self.interrupt.recv() => (Signal::INT, true),
                    _ = self.quit.recv() => (Signal::QUIT, true),
                    _ = self.hangup.recv() => (Signal::HUP, true),
                    _ = self.terminate.recv() => (Signal::TERM, false),
                };
                // Twice means "at once" to many programs.
                if !(by_terminal && self.has_terminal) {
                    return signal;
                }
            }
        }
    }

    pub(super) fn forward(child: &Child, signal: Signal) {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // It may have ended just now.
            let _ = kill_process(id, signal);
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    use tokio::process::Child;

    /// Ctrl+C, which the system sends to the command as well.
    pub(super) struct Forwarded;

    impl Forwarded {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) {
            // Fails only when no handler can be installed; then only the end of the command ends the wait.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn forward(_: &Child, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_application_looks_is_not_where_the_emulator_listens() {
        for name in CONNECTION_STRINGS.into_iter().chain(["URLS"]) {
            assert!(is_applications(name.as_ref()), "{name}");
        }
        assert!(!is_applications("WEBPUBSUB_EMULATOR_PORT".as_ref()));
    }

    #[test]
    fn a_command_is_needed() {
        for arguments in [&["p"][..], &["p", "--"], &["p", "--port", "0"]] {
            let call = Call {
                arguments: arguments.iter().map(OsString::from).collect(),
                variables: Vec::new(),
            };
            let Err(Stop::Failed { code, problem }) = run(call) else {
                panic!("it ran")
            };
            assert_eq!(code, FAILED);
            assert!(problem.contains("exec -- npm test"), "{problem}");
        }
    }
}
