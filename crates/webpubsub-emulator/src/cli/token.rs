//! `token` makes client access tokens, and `token explain` says what is in one and whether it would be accepted.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use serde::Serialize;
use webpubsub_protocol::access::{ClientProtocol, ClientTokenOptions, sign_client_token};
use webpubsub_protocol::permission::PermissionSet;

use super::explain::Explanation;
use super::output::{self, line};
use super::service::{self, Target};
use super::stop::NO;
use super::{Call, Stop};

const NOTES: &str = "\
Exit status: 0 when a token was made, or when the explained one would be accepted; 2 when the command cannot be understood;
3 when the explained token would be refused.

Examples:
  webpubsub-emulator token --hub chat --user ana --role webpubsub.joinLeaveGroup --lifetime 10m
  webpubsub-emulator token --hub chat --url
  webpubsub-emulator token explain - --hub chat < token.txt";

/// Make an access token for a client, or explain one
#[derive(Parser)]
#[command(name = "token", max_term_width = 120, args_conflicts_with_subcommands = true, after_help = format!("{}\n\n{NOTES}", service::WHERE))]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    make: Make,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Verb {
    /// Say what is in a token, whether the service would accept it, and why not
    ///
    /// It prints the claims, never the token itself.
    Explain {
        /// Token, or client access URL that holds one; `-` reads it from stdin, where nobody else sees it
        #[arg(value_name = "TOKEN")]
        token: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Make {
    /// Id of the user [default: an anonymous client]
    #[arg(long, value_name = "ID")]
    user: Option<String>,

    /// Role, such as `webpubsub.sendToGroup.room-7`. May be repeated
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// Group that the client is in from the start. May be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,

    /// How long the token lets a client connect, such as `90s`, `10m` or `2h`; connections outlive it
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    lifetime: Duration,

    /// Kind of client: `default`, `mqtt` or `socketio`
    #[arg(long, value_name = "KIND", default_value = "default")]
    client: ClientProtocol,

    /// Print the whole URL to connect to in place of the token
    #[arg(long, conflicts_with = "json")]
    url: bool,

    /// Print one JSON object with `url`, `baseUrl` and `token`
    #[arg(long)]
    json: bool,
}

pub(super) fn command() -> clap::Command {
    Cli::command()
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let (cli, variables) = service::parse::<Cli>("token", call)?;
    let service = cli.target.service(&variables)?;
    match cli.verb {
        None => {
            make(cli.make, &service)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Verb::Explain { token, json }) => {
            let token = match token.as_str() {
                "-" => from_stdin()?,
                _ => token,
            };
            let explanation = Explanation::of(token.trim(), &service, now());
            match json {
                true => output::json(&explanation)?,
                false => line(explanation.to_string().trim_end())?,
            }
            Ok(match explanation.is_accepted() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(NO),
            })
        }
    }
}

fn make(make: Make, service: &service::Service) -> Result<(), Stop> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Made<'a> {
        url: &'a str,
        base_url: &'a str,
        token: &'a str,
    }

    let (_, ignored) = PermissionSet::from_roles(&make.role);
    for role in ignored {
        // The token is made all the same: that the service takes such roles in silence is often what is looked for.
        let _ = writeln!(
            io::stderr(),
            "warning: role `{}` has no effect: {}",
            role.role,
            role.reason
        );
    }
    if make.lifetime.as_secs() == 0 {
        return Err(Stop::usage(
            "`--lifetime`: a token lives for a second or more",
        ));
    }
    let mut options = ClientTokenOptions::default()
        .lifetime(make.lifetime)
        .protocol(make.client);
    options.user_id = make.user;
    options.roles = make.role;
    options.groups = make.group;
    let connection = &service.connection;
    let made = sign_client_token(
        connection.endpoint(),
        service.hub()?,
        connection.access_key(),
        &options,
        now(),
    );
    if make.json {
        return output::json(&Made {
            url: made.url(),
            base_url: made.base_url(),
            token: made.token().as_str(),
        });
    }
    match make.url {
        true => line(made.url()),
        false => line(made.token().as_str()),
    }
}

fn from_stdin() -> Result<String, Stop> {
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| Stop::failed(format!("cannot read stdin: {error}")))?;
    Ok(text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the outermost layer: what is below takes the time as an argument"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}
