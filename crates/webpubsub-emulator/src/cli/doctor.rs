//! `doctor` plays the service against an event handler and prints what it finds. As in the settings, values are taken as
//! they are and checked later: one of them may be a key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use tokio::runtime;
use webpubsub_emulator::{Code, Doctor};
use webpubsub_protocol::access::{ConnectionString, ConnectionStringError};

use super::stop::{FAILED, USAGE};
use super::{Call, Stop};
use crate::config::{self, CONNECTION_STRINGS, ConfigError, is_true};

/// Longest limit of one request, in seconds.
const MAX_TIMEOUT: u64 = 600;

const FLAGS: [&str; 9] = [
    "url",
    "hub",
    "event",
    "key",
    "connection-string",
    "origin",
    "timeout",
    "strict",
    "json",
];

const NOTES: &str = "\
It sends the preflight, the events of one connection (user id `doctor`), an event with a wrong signature and one of another
hub; the handler takes them for real ones. Without `--key` and `--connection-string` the key comes from
WEBPUBSUB_EMULATOR_ACCESS_KEY, WebPubSub__AccessKey, or the connection string in WebPubSubConnectionString or
WEBPUBSUB_CONNECTION_STRING; else it is the well-known development key.

Exit status: 0 when nothing failed, 1 when something did, 2 when the command cannot be understood.

Example:
  webpubsub-emulator doctor --hub chat --url 'http://127.0.0.1:3000/eventhandler/{event}'";

/// Find out what is wrong with an event handler: plays the service against it and prints a checklist.
#[derive(Debug, Parser)]
#[command(name = "webpubsub-emulator doctor", version, after_help = NOTES, max_term_width = 120)]
struct Cli {
    /// URL of the handler, as the service is given it; `{event}` and `{hub}` are filled in
    #[arg(long, value_name = "URL")]
    url: Option<OsString>,

    /// Hub whose events are sent [default: chat]
    #[arg(long, value_name = "HUB")]
    hub: Option<OsString>,

    /// User event that is sent [default: message]
    #[arg(long, value_name = "NAME")]
    event: Option<OsString>,

    /// Key that signs; prefer a variable, since others on this machine can see the arguments of a program
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<OsString>,

    /// Connection string whose key signs, and whose host is the origin
    #[arg(long, value_name = "STRING")]
    connection_string: Option<OsString>,

    /// Host of the service as handlers see it [default: the connection string's, or localhost]
    #[arg(long, value_name = "HOST")]
    origin: Option<OsString>,

    /// How long each request may take [default: 5]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<OsString>,

    /// Let a handler fail that accepts wrong signatures
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict: Option<OsString>,

    /// Print one JSON document in place of the checklist
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    json: Option<OsString>,
}

/// What the arguments ask for.
#[derive(Debug)]
enum Asked {
    Examination(Examination),
    /// The text of `--help` or `--version`.
    Show(String),
}

/// A doctor, and how to print what it finds.
#[derive(Debug)]
struct Examination {
    doctor: Doctor,
    json: bool,
}

/// The command as a part of the whole command line.
pub(super) fn command() -> clap::Command {
    Cli::command()
        .name("doctor")
        .about("Find out what is wrong with an event handler")
}

/// Prints what a doctor finds. The exit status is for scripts.
pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let examination = match read(call.arguments, call.variables)? {
        Asked::Examination(examination) => examination,
        Asked::Show(text) => return Err(Stop::Show(text)),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Stop::failed(format!("cannot start the runtime: {error}")))?;
    let diagnosis = runtime.block_on(examination.doctor.examine());
    let text = match examination.json {
        true => serde_json::to_string(&diagnosis)
            .map(|text| text + "\n")
            .unwrap_or_default(),
        false => diagnosis.to_string(),
    };
    // Nobody is left to tell when stdout is closed.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(if diagnosis.find(Code::Url).is_some() {
        ExitCode::from(USAGE)
    } else if diagnosis.is_fine() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Reads the arguments; the first one is the program's name, `doctor` is left out.
fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, ConfigError> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => return Ok(Asked::Show(error.render().to_string())),
        Err(error) => return Err(config::describe(&error, &FLAGS)),
    };
    let url = text("url", cli.url)?
        .ok_or_else(|| ConfigError::new("`--url`", "give the URL of the handler"))?;
    let mut doctor = Doctor::new(url);
    let signer = signer(
        text("key", cli.key)?,
        text("connection-string", cli.connection_string)?,
        variables,
    )?;
    if let Some(key) = signer.key {
        doctor = doctor.key(key);
    }
    if let Some(origin) = text("origin", cli.origin)?.or(signer.host) {
        doctor = doctor.origin(origin);
    }
    if let Some(hub) = text("hub", cli.hub)? {
        doctor = doctor.hub(hub);
    }
    if let Some(event) = text("event", cli.event)? {
        doctor = doctor.event(event);
    }
    if let Some(timeout) = text("timeout", cli.timeout)? {
        let seconds = timeout.trim().parse().ok();
        let seconds = seconds.filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds));
        let seconds = seconds.ok_or_else(|| {
            let problem = format!("expected a number of seconds from 1 to {MAX_TIMEOUT}");
            ConfigError::new("`--timeout`", problem)
        })?;
        doctor = doctor.timeout(Duration::from_secs(seconds));
    }
    Ok(Asked::Examination(Examination {
        doctor: doctor.strict(switch("strict", cli.strict)?),
        json: switch("json", cli.json)?,
    }))
}

/// Who signs, and the host of the service if that is known.
pub(super) struct Signer {
    pub(super) key: Option<String>,
    pub(super) host: Option<String>,
}

impl Signer {
    fn of_key(key: String) -> Self {
        Self {
            key: Some(key),
            host: None,
        }
    }

    fn of_connection_string(connection: &ConnectionString) -> Self {
        Self {
            key: Some(connection.access_key().expose().to_owned()),
            host: connection.endpoint().host_str().map(str::to_owned),
        }
    }
}

/// The flags come first, then the emulator's own variables, then those of the application. Any resource's key is taken:
/// only its signatures go out, as from the service itself.
pub(super) fn signer(
    key: Option<String>,
    connection_string: Option<String>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Signer, ConfigError> {
    match (key, connection_string) {
        (Some(_), Some(_)) => {
            let problem = "there is a `--key` as well; give one of the two";
            return Err(ConfigError::new("`--connection-string`", problem));
        }
        (Some(key), None) => return Ok(Signer::of_key(key)),
        (None, Some(text)) => {
            return match text.parse() {
                Ok(connection) => Ok(Signer::of_connection_string(&connection)),
                Err(error) => Err(ConfigError::new("`--connection-string`", error)),
            };
        }
        (None, None) => {}
    }
    let variables: BTreeMap<String, String> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let microsofts = || {
        let mut variables = variables.iter();
        variables.find(|(name, _)| name.eq_ignore_ascii_case("WebPubSub__AccessKey"))
    };
    let ours = variables.get_key_value("WEBPUBSUB_EMULATOR_ACCESS_KEY");
    if let Some((_, key)) = ours.or_else(microsofts) {
        return Ok(Signer::of_key(key.clone()));
    }
    let mut names = CONNECTION_STRINGS.iter();
    let nobody = Signer {
        key: None,
        host: None,
    };
    let Some((name, text)) = names.find_map(|name| variables.get_key_value(*name)) else {
        return Ok(nobody);
    };
    match text.parse() {
        Ok(connection) => Ok(Signer::of_connection_string(&connection)),
        // The form for Entra.
        Err(ConnectionStringError::Missing("AccessKey")) => Ok(nobody),
        Err(error) => Err(ConfigError::new(
            format!("environment variable `{name}`"),
            error,
        )),
    }
}

fn text(flag: &str, value: Option<OsString>) -> Result<Option<String>, ConfigError> {
    let text = value.map(OsString::into_string).transpose();
    text.map_err(|_| ConfigError::new(format!("`--{flag}`"), "the value is not valid UTF-8"))
}

fn switch(flag: &str, value: Option<OsString>) -> Result<bool, ConfigError> {
    match text(flag, value)? {
        Some(value) => {
            is_true(&value).map_err(|problem| ConfigError::new(format!("`--{flag}`"), problem))
        }
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const URL: [&str; 2] = ["--url", "http://h/{event}"];

    fn asked(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let arguments = ["doctor"].iter().chain(arguments).map(OsString::from);
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        match read(arguments, variables).map_err(|error| error.to_string())? {
            Asked::Examination(examination) => Ok(format!("{examination:?}")),
            Asked::Show(text) => Ok(text),
        }
    }

    fn signed_by(
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (Option<String>, Option<String>) {
        let [key, connection] = ["--key", "--connection-string"].map(|flag| {
            let at = arguments.iter().position(|argument| *argument == flag);
            at.map(|at| arguments[at + 1].to_owned())
        });
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let signer = signer(key, connection, variables).unwrap();
        (signer.key, signer.host)
    }

    #[test]
    fn the_command_is_consistent() {
        let command = Cli::command();
        command.clone().debug_assert();
        let names: Vec<&str> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .collect();
        assert_eq!(names, FLAGS);
        assert!(asked(&["--help"], &[]).unwrap().contains("Exit status"));
    }

    #[test]
    fn the_key_comes_from_the_first_source_that_has_one() {
        let some = |text: &str| Some(text.to_owned());
        let ours = ("WEBPUBSUB_EMULATOR_ACCESS_KEY", "ours");
        let microsofts = ("webpubsub__accesskey", "microsoft");
        let text = "Endpoint=https://x.webpubsub.azure.com;AccessKey=string;Version=1.0;";
        let string = ("WebPubSubConnectionString", text);
        let all = [ours, microsofts, string];
        assert_eq!(signed_by(&["--key", "flag"], &all), (some("flag"), None));
        let host = || some("x.webpubsub.azure.com");
        let by_flag = signed_by(&["--connection-string", text], &all);
        assert_eq!(by_flag, (some("string"), host()));
        assert_eq!(signed_by(&[], &all), (some("ours"), None));
        assert_eq!(signed_by(&[], &all[1..]), (some("microsoft"), None));
        assert_eq!(signed_by(&[], &all[2..]), (some("string"), host()));
        let entra = "Endpoint=https://x.webpubsub.azure.com;AuthType=azure;";
        let entra = ("WebPubSubConnectionString", entra);
        assert_eq!(signed_by(&[], &[entra]), (None, None));
        assert_eq!(signed_by(&[], &[]), (None, None));
    }

    #[test]
    fn everything_reaches_the_doctor() {
        let flags = [
            "--hub",
            "news",
            "--event=order",
            "--origin=o.example",
            "--timeout",
            "7",
            "--strict",
            "--json",
        ];
        let all = asked(&[&URL[..], &flags[..]].concat(), &[]).unwrap();
        for expected in [
            "hub: \"news\"",
            "event: \"order\"",
            "origin: \"o.example\"",
            "timeout: 7s",
            "strict: true",
            "json: true",
        ] {
            assert!(all.contains(expected), "{expected} {all}");
        }
        let fewest = asked(&[&URL[..], &["--key", "sEcReT"]].concat(), &[]).unwrap();
        assert!(
            fewest.contains("strict: false") && !fewest.contains("sEcReT"),
            "{fewest}"
        );
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        for (arguments, expected) in [
            (vec![], "`--url`: give the URL of the handler"),
            (
                vec!["--url", "http://h/", "--hubb", "x"],
                "`--hubb`: there is no such flag; did you mean `--hub`?",
            ),
            (
                vec!["--url", "http://h/", "--timeout", "0"],
                "`--timeout`: expected a number of seconds from 1 to 600",
            ),
            (
                vec!["--url", "http://h/", "--strict=sEcReT"],
                "`--strict`: expected `true` or `false`",
            ),
            (
                vec!["--url", "http://h/", "--connection-string", "sEcReT"],
                "`--connection-string`: segment 1 of the connection string is not `name=value`",
            ),
            (
                vec![
                    "--url",
                    "http://h/",
                    "--key",
                    "sEcReT",
                    "--connection-string",
                    "sEcReT",
                ],
                "`--connection-string`: there is a `--key` as well; give one of the two",
            ),
            (
                vec!["--url", "http://h/", "sEcReT"],
                "there is an argument that belongs to no flag; `--help` lists the flags",
            ),
        ] {
            assert_eq!(
                asked(&arguments, &[]).unwrap_err(),
                expected,
                "{arguments:?}"
            );
        }
    }
}
