//! Which service a command talks to: the emulator on this machine, another one, or a resource in Azure.

use std::ffi::OsString;
use std::future::Future;

use clap::Args;
use tokio::runtime;
use url::Url;
use webpubsub::azure_core::http::{ClientOptions, RetryOptions};
use webpubsub::azure_core::{Error, error::ErrorKind};
use webpubsub::{
    ConnectionString, ServiceErrorExt as _, WebPubSubServiceClient, WebPubSubServiceClientOptions,
};

use super::context::Contexts;
use super::stop::chain;
use super::{Call, PROGRAM, Stop};
use crate::config::{self, Asked, CONNECTION_STRINGS, Config, ConfigError};

/// What the help of commands that talk to a service says about where it is.
pub(super) const WHERE: &str = "\
Without `--connection-string` and `--context` the service is that of the connection string in WebPubSubConnectionString (also
WEBPUBSUB_CONNECTION_STRING, WEBPUBSUB_CONNECTIONSTRING, Azure__WebPubSub__ConnectionString), or else the emulator on this
machine: port 8080 with the well-known key, unless its own variables say otherwise.";

/// The flags that name a service and a hub.
#[derive(Args)]
#[command(next_help_heading = "Service")]
pub(super) struct Target {
    /// Connection string of the service; prefer a variable, since others on this machine can see the arguments of a program
    #[arg(long, value_name = "STRING", global = true, conflicts_with = "context")]
    connection_string: Option<ConnectionString>,

    /// A service that `context set` has stored
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,

    /// Hub [default: that of the context]
    #[arg(long, value_name = "HUB", global = true)]
    hub: Option<String>,
}

impl Target {
    /// Finds the service. Only here a stored context is asked for its key.
    pub(super) fn service(&self, variables: &[(OsString, OsString)]) -> Result<Service, Stop> {
        let mut hub = self.hub.clone();
        let connection = if let Some(connection) = &self.connection_string {
            connection.clone()
        } else if let Some(name) = &self.context {
            let context = Contexts::load(variables)?.take(name)?;
            hub = hub.or_else(|| context.hub.clone());
            context.connection(variables)?
        } else if let Some(connection) = of_application(variables)? {
            connection
        } else {
            of_emulator(variables)?
        };
        Ok(Service::new(connection, hub))
    }
}

/// A service, and the hub that was named.
pub(super) struct Service {
    pub(super) connection: ConnectionString,
    hub: Option<String>,
}

impl Service {
    pub(super) const fn new(connection: ConnectionString, hub: Option<String>) -> Self {
        Self { connection, hub }
    }

    pub(super) fn hub(&self) -> Result<&str, Stop> {
        let hub = self.hub.as_deref();
        hub.ok_or_else(|| Stop::usage("`--hub`: name the hub, as in `--hub chat`"))
    }

    pub(super) fn named_hub(&self) -> Option<&str> {
        self.hub.as_deref()
    }

    /// A client of the hub that asks once: whoever sits in front of it asks again if they want to.
    pub(super) fn client(&self) -> Result<WebPubSubServiceClient, Stop> {
        let options = WebPubSubServiceClientOptions {
            client_options: ClientOptions {
                retry: RetryOptions::none(),
                ..ClientOptions::default()
            },
            ..WebPubSubServiceClientOptions::default()
        };
        let connection = self.connection.expose();
        WebPubSubServiceClient::from_connection_string_with(&connection, self.hub()?, options)
            .map_err(|error| Stop::usage(chain(&error)))
    }
}

/// Runs what a command does.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Stop::failed(format!("cannot start the runtime: {error}")))?;
    let done = runtime.block_on(work);
    // What is left, such as a read of stdin, must not delay the exit.
    runtime.shutdown_background();
    done
}

/// The failure of a call, in the service's words if it has answered.
pub(super) fn refused(error: &Error) -> Stop {
    if let Some(answer) = error.service_error() {
        return Stop::failed(format!("the service refused: {answer}"));
    }
    let text = chain(error);
    match error.kind() {
        // Refused before anything was sent.
        ErrorKind::DataConversion => Stop::usage(text),
        _ => Stop::failed(text),
    }
}

/// The value of a variable; an empty one counts as not set.
pub(super) fn variable(
    variables: &[(OsString, OsString)],
    name: &str,
) -> Result<Option<String>, Stop> {
    let found = variables.iter().find(|(other, _)| other == name);
    let found = found.filter(|(_, value)| !value.is_empty());
    let value = found.map(|(_, value)| value.to_str().map(str::to_owned));
    match value {
        Some(None) => {
            let place = format!("environment variable `{name}`");
            Err(ConfigError::new(place, "the value is not valid UTF-8").into())
        }
        Some(value) => Ok(value),
        None => Ok(None),
    }
}

pub(super) fn of_application(
    variables: &[(OsString, OsString)],
) -> Result<Option<ConnectionString>, Stop> {
    for name in CONNECTION_STRINGS {
        if let Some(text) = variable(variables, name)? {
            let connection = text.parse();
            return connection.map(Some).map_err(|error| {
                ConfigError::new(format!("environment variable `{name}`"), error).into()
            });
        }
    }
    Ok(None)
}

/// The emulator that runs on this machine with the same variables.
pub(super) fn of_emulator(variables: &[(OsString, OsString)]) -> Result<ConnectionString, Stop> {
    let command = config::address_command(PROGRAM);
    let asked = Config::read(command, vec![PROGRAM.into()], variables.iter().cloned())?;
    let Asked::Config(config) = asked else {
        return Err(Stop::usage("the settings of the emulator cannot be read"));
    };
    let endpoint = format!("http://{}", config.address()?);
    let endpoint = Url::parse(&endpoint).map_err(|error| Stop::usage(error.to_string()))?;
    Ok(ConnectionString::new(endpoint, config.access_key()))
}

/// The arguments and variables of a command that talks to a service.
pub(super) fn parse<P: clap::Parser>(
    name: &str,
    call: Call,
) -> Result<(P, Vec<(OsString, OsString)>), Stop> {
    let parsed = super::usage::parse(name, call.arguments)?;
    Ok((parsed, call.variables))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Any {
        #[command(flatten)]
        target: Target,
    }

    fn found(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let arguments = ["p"].iter().chain(arguments);
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let call = Call {
            arguments: arguments.map(OsString::from).collect(),
            variables: variables.collect(),
        };
        let service = parse::<Any>("any", call)
            .and_then(|(any, variables)| any.target.service(&variables))
            .map(|service| service.connection.expose());
        service.map_err(|stop| match stop {
            Stop::Failed { problem, .. } | Stop::Show(problem) => problem,
        })
    }

    fn string(host: &str) -> String {
        format!("Endpoint={host};AccessKey=sEcReT;Version=1.0;")
    }

    #[test]
    fn the_first_source_that_names_a_service_wins() {
        let [a, b] = ["https://a.example", "https://b.example"].map(string);
        let applications = ("WebPubSubConnectionString", b.as_str());
        let by_flag = found(&["--connection-string", &a], &[applications]).unwrap();
        assert!(by_flag.contains("//a.example"), "{by_flag}");
        let by_variable = found(&[], &[applications, ("WEBPUBSUB_EMULATOR_PORT", "1")]).unwrap();
        assert!(by_variable.contains("//b.example"), "{by_variable}");
        let here = found(&[], &[("WEBPUBSUB_EMULATOR_PORT", "1")]).unwrap();
        assert!(here.contains("Endpoint=http://127.0.0.1:1"), "{here}");
        let here = found(&[], &[]).unwrap();
        assert!(here.contains("Endpoint=http://127.0.0.1:8080"), "{here}");
    }

    #[test]
    fn mistakes_name_the_source_and_no_key() {
        for (arguments, variables, expected) in [
            (
                vec!["--connection-string", "sEcReT"],
                vec![],
                "`--connection-string`: segment 1 of the connection string is not `name=value`",
            ),
            (
                vec![],
                vec![("WEBPUBSUB_CONNECTION_STRING", "sEcReT")],
                "environment variable `WEBPUBSUB_CONNECTION_STRING`: segment 1 of the connection string is not `name=value`",
            ),
        ] {
            assert_eq!(found(&arguments, &variables).unwrap_err(), expected);
        }
    }
}
