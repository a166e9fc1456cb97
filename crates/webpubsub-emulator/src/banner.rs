//! What is printed when the emulator is ready.

use std::io::{self, Write};

use serde::Serialize;
use webpubsub_emulator::{Emulator, WELL_KNOWN_KEY};

use crate::config::HubSummary;

/// Writes the one line of `--json`. Its connection string is complete, also with a key of the user's own: it is there
/// for the program that started the emulator. `hubs` is left out when none is set up.
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
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        hubs: &'a [HubSummary],
    }

    let ready = Ready {
        event: "ready",
        endpoint: emulator.endpoint(),
        connection_string: emulator.connection_string(),
        hubs,
    };
    let line = serde_json::to_string(&ready).map_err(io::Error::other)?;
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes the banner for people. A key of the user's own is left out: terminals are shared and logged.
pub(crate) fn text(
    out: &mut impl Write,
    emulator: &Emulator,
    has_own_key: bool,
    hubs: &[HubSummary],
) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let endpoint = emulator.endpoint();
    let key = match has_own_key {
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
