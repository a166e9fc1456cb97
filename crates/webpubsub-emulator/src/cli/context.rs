//! `context`: services by name, so that a command line says `--context staging` and holds no key. Stored is where a key can
//! be had, never the key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use url::Url;
use webpubsub_protocol::access::{AccessKey, ConnectionString, parse_endpoint};
use webpubsub_protocol::name::HubName;

use super::output::{self, line};
use super::service::variable;
use super::{Call, PROGRAM, Stop, usage};
use crate::config::did_you_mean;

/// Names the file in place of the usual one.
const FILE: &str = "WEBPUBSUB_CONTEXTS";

const NOTES: &str = "\
A context is an endpoint, a hub and where its key can be had: a variable, or a command that prints it, such as one of a key
store. Either may hold the key alone or a whole connection string. The key is asked for whenever it is needed and stored
nowhere. The file is contexts.toml in the folder webpubsub-emulator where the system keeps settings of users, or the one that
WEBPUBSUB_CONTEXTS names.

Exit status: 0 when it worked, 1 when the file cannot be read or written, 2 when the command cannot be understood.

Examples:
  webpubsub-emulator context set staging --endpoint https://staging.webpubsub.azure.com --hub chat --key-variable STAGING_KEY
  webpubsub-emulator context set staging --endpoint https://staging.webpubsub.azure.com \\
      --key-command 'az webpubsub key show -n staging -g apps --query primaryKey -o tsv'
  webpubsub-emulator send all hello --context staging";

/// Keep services by name: where they are, and where their keys can be had
#[derive(Parser)]
#[command(name = "context", after_help = NOTES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Store a service, in place of the one that has this name
    Set(Set),
    /// Print what is stored
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Forget a service
    Remove {
        /// Name of the context
        name: String,
    },
}

#[derive(Args)]
struct Set {
    /// Name of the context
    name: String,

    /// Endpoint of the service
    #[arg(long, value_name = "URL", value_parser = parse_endpoint)]
    endpoint: Url,

    /// Hub that commands mean which name none
    #[arg(long, value_name = "HUB", value_parser = hub)]
    hub: Option<String>,

    /// Variable with the access key, or with a whole connection string
    #[arg(
        long,
        value_name = "VARIABLE",
        required_unless_present = "key_command",
        conflicts_with = "key_command"
    )]
    key_variable: Option<String>,

    /// Command for the shell that prints the access key, or a whole connection string
    #[arg(long, value_name = "COMMAND")]
    key_command: Option<String>,
}

pub(super) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let cli: Cli = usage::parse("context", call.arguments)?;
    let mut contexts = Contexts::load(&call.variables)?;
    match cli.verb {
        Verb::Set(set) => {
            let context = Context {
                endpoint: set.endpoint.as_str().trim_end_matches('/').to_owned(),
                hub: set.hub,
                key_variable: set.key_variable,
                key_command: set.key_command,
            };
            contexts.stored.insert(set.name, context);
            contexts.save()?;
        }
        Verb::List { json } => contexts.print(json)?,
        Verb::Remove { name } => {
            contexts.take(&name)?;
            contexts.save()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A stored service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Context {
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_variable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_command: Option<String>,
}

impl Context {
    /// Asks for the key.
    pub(super) fn connection(
        &self,
        variables: &[(OsString, OsString)],
    ) -> Result<ConnectionString, Stop> {
        let text = match (&self.key_variable, &self.key_command) {
            (Some(name), _) => variable(variables, name)?.ok_or_else(|| {
                let problem =
                    format!("environment variable `{name}`: the context's key is not set");
                Stop::usage(problem)
            })?,
            (None, Some(command)) => printed_by(command)?,
            (None, None) => {
                return Err(Stop::usage("the context says nowhere where its key is"));
            }
        };
        let text = text.trim();
        // Only in a connection string something follows an endpoint, and no key contains `;`.
        let key = match text.contains("Endpoint=") {
            true => {
                let connection: Result<ConnectionString, _> = text.parse();
                let connection = connection
                    .map_err(|error| Stop::usage(format!("the key of the context: {error}")))?;
                connection.access_key().clone()
            }
            false => AccessKey::new(text),
        };
        let endpoint = parse_endpoint(&self.endpoint)
            .map_err(|error| Stop::usage(format!("the endpoint of the context: {error}")))?;
        Ok(ConnectionString::new(endpoint, key))
    }
}

/// All that is stored, and where.
#[derive(Debug)]
pub(super) struct Contexts {
    file: PathBuf,
    stored: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads the file; without one, nothing is stored.
    pub(super) fn load(variables: &[(OsString, OsString)]) -> Result<Self, Stop> {
        let file = file(variables)?;
        let shown = file.display();
        let stored = match fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                // Its whole text quotes the line.
                Stop::failed(format!("{shown}: {}", error.message()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Stop::failed(format!("{shown}: {error}"))),
        };
        Ok(Self { file, stored })
    }

    /// Takes one out.
    pub(super) fn take(&mut self, name: &str) -> Result<Context, Stop> {
        self.stored.remove(name).ok_or_else(|| {
            let suggestion =
                did_you_mean(name, self.stored.keys().map(String::as_str), str::to_owned);
            Stop::usage(format!(
                "there is no such context{suggestion}; `context list` prints all"
            ))
        })
    }

    fn save(&self) -> Result<(), Stop> {
        let shown = self.file.display();
        let failed = |error: &dyn std::fmt::Display| Stop::failed(format!("{shown}: {error}"));
        let text = toml::to_string(&self.stored).map_err(|error| failed(&error))?;
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        // Whole or not at all: another command may read it now.
        let new = self.file.with_extension("toml.new");
        fs::write(&new, text).map_err(|error| failed(&error))?;
        fs::rename(&new, &self.file).map_err(|error| failed(&error))
    }

    fn print(&self, json: bool) -> Result<(), Stop> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Row<'a> {
            name: &'a str,
            endpoint: &'a str,
            hub: Option<&'a str>,
            key_variable: Option<&'a str>,
            key_command: Option<&'a str>,
        }

        for (name, context) in &self.stored {
            let row = Row {
                name,
                endpoint: &context.endpoint,
                hub: context.hub.as_deref(),
                key_variable: context.key_variable.as_deref(),
                key_command: context.key_command.as_deref(),
            };
            match json {
                true => output::json(&row)?,
                false => {
                    let hub = row
                        .hub
                        .map_or_else(String::new, |hub| format!(", hub {hub}"));
                    let key = match (row.key_variable, row.key_command) {
                        (Some(variable), _) => format!("variable {variable}"),
                        (None, Some(command)) => format!("command `{command}`"),
                        (None, None) => "nowhere".to_owned(),
                    };
                    line(format_args!("{name}: {}{hub}; key: {key}", row.endpoint))?;
                }
            }
        }
        Ok(())
    }
}

/// Where contexts are stored.
fn file(variables: &[(OsString, OsString)]) -> Result<PathBuf, Stop> {
    if let Some(file) = path(variables, FILE) {
        return Ok(file);
    }
    let folder = folder(variables, "XDG_CONFIG_HOME", ".config");
    let folder = folder.ok_or_else(|| {
        Stop::usage(format!(
            "there is no folder for settings: set HOME, or {FILE} to a file for contexts"
        ))
    })?;
    Ok(folder.join("contexts.toml"))
}

/// Where the commands of `connect` are kept, if there is a place for them.
pub(super) fn history(variables: &[(OsString, OsString)]) -> Option<PathBuf> {
    let folder = folder(variables, "XDG_STATE_HOME", ".local/state")?;
    Some(folder.join("connect-history"))
}

/// Our folder among those of other programs.
fn folder(variables: &[(OsString, OsString)], name: &str, in_home: &str) -> Option<PathBuf> {
    let folder = path(variables, name)
        .or_else(|| path(variables, "APPDATA"))
        .or_else(|| path(variables, "HOME").map(|home| home.join(in_home)));
    folder.map(|folder| folder.join(PROGRAM))
}

/// The path in a variable; an empty one counts as not set.
fn path(variables: &[(OsString, OsString)], name: &str) -> Option<PathBuf> {
    let found = variables.iter().find(|(other, _)| other == name);
    let value = found.map(|(_, value)| value);
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// What a command for the shell prints. Its stdin and stderr are ours, so that it can ask for a password.
fn printed_by(command: &str) -> Result<String, Stop> {
    let (shell, flag) = match cfg!(windows) {
        true => ("cmd", "/C"),
        false => ("sh", "-c"),
    };
    let output = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output();
    let output =
        output.map_err(|error| Stop::failed(format!("cannot run the key command: {error}")))?;
    if !output.status.success() {
        let problem = format!("the key command failed: {}", output.status);
        return Err(Stop::failed(problem));
    }
    let text = String::from_utf8(output.stdout);
    text.map_err(|_| Stop::failed("the key command printed something that is not UTF-8"))
}

fn hub(name: &str) -> Result<String, webpubsub_protocol::name::InvalidName> {
    HubName::new(name).map(|_| name.to_owned())
}
