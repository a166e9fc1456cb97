//! What is printed when the emulator is ready.

use std::io::{self, Write};

use serde::Serialize;
use webpubsub_emulator::{Emulator, WELL_KNOWN_KEY};
use webpubsub_protocol::access::Token;

use crate::config::HubSummary;

/// The secrets that are the user's own, and not known to everybody or drawn for this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    pub(crate) key: bool,
    pub(crate) admin_token: bool,
}

/// Writes the one line of `--json`. Its connection string and its token are complete, also with those of the user's own:
/// they are there for the program that started the emulator. `hubs` is left out when none is set up.
pub(crate) fn json(
    out: &mut impl Write,
    emulator: &Emulator,
    hubs: &[HubSummary],
) -> io::Result<()> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Ready<'a> {
        event: &'a str,
        endpoint: &'a str,
        connection_string: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        admin_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        admin_token: Option<&'a str>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        hubs: &'a [HubSummary],
    }

    let ready = Ready {
        event: "ready",
        endpoint: emulator.endpoint(),
        connection_string: emulator.connection_string(),
        admin_url: emulator.admin_url(),
        admin_token: emulator.admin_token().map(Token::as_str),
        hubs,
    };
    let line = serde_json::to_string(&ready).map_err(io::Error::other)?;
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes the banner for people. Secrets of the user's own are left out: terminals are shared and logged.
pub(crate) fn text(
    out: &mut impl Write,
    emulator: &Emulator,
    own: Own,
    hubs: &[HubSummary],
) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let endpoint = emulator.endpoint();
    let key = match own.key {
        true => "<your key>",
        false => WELL_KNOWN_KEY,
    };
    let authority = endpoint.trim_start_matches("http://");
    let listening: Vec<String> = emulator
        .addresses()
        .iter()
        .map(|address| format!("http://{address}"))
        .collect();
    writeln!(out, "Azure Web PubSub emulator {version} is ready.")?;
    writeln!(out)?;
    writeln!(out, "  Listening on:       {}", listening.join(", "))?;
    writeln!(
        out,
        "  Connection string:  Endpoint={endpoint};AccessKey={key};Version=1.0;"
    )?;
    writeln!(
        out,
        "  Client endpoint:    ws://{authority}/client/hubs/{{hub}}?access_token={{token}}"
    )?;
    writeln!(out, "  Health:             HEAD {endpoint}/api/health")?;
    if let (Some(url), Some(token)) = (emulator.admin_url(), emulator.admin_token()) {
        let token = match own.admin_token {
            true => "<your token>",
            false => token.as_str(),
        };
        writeln!(out, "  Admin API:          {url}, token {token}")?;
    }
    let mut label = "Event handlers:";
    for hub in hubs {
        for handler in &hub.event_handlers {
            writeln!(out, "  {label:<18}  {}: {handler}", hub.hub)?;
            label = "";
        }
    }
    let open = hubs.iter().filter(|hub| hub.anonymous_connect);
    let open: Vec<&str> = open.map(|hub| hub.hub.as_str()).collect();
    if !open.is_empty() {
        writeln!(out, "  Anonymous clients:  {}", open.join(", "))?;
    }
    if emulator
        .addresses()
        .iter()
        .any(|address| address.ip().is_unspecified())
    {
        writeln!(
            out,
            "  From elsewhere:     use a name or address of this machine, from containers often \
             `host.docker.internal`,\n                      in place of `localhost`"
        )?;
    }
    writeln!(out)?;
    writeln!(out, "Press Ctrl+C to stop.")?;
    out.flush()
}

/// The hubs that are set up, in one line.
pub(crate) fn hubs(hubs: &[HubSummary]) -> String {
    let texts = hubs.iter().map(|hub| {
        let handlers: Vec<String> = hub.event_handlers.iter().map(ToString::to_string).collect();
        let handlers = match handlers.is_empty() {
            true => "no event handler".to_owned(),
            false => handlers.join(", "),
        };
        let anonymous = match hub.anonymous_connect {
            true => ", anonymous clients",
            false => "",
        };
        format!("{}: {handlers}{anonymous}", hub.hub)
    });
    let texts: Vec<String> = texts.collect();
    match texts.is_empty() {
        true => "none is set up".to_owned(),
        false => texts.join("; "),
    }
}
