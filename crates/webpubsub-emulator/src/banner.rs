//! What is printed when the emulator is ready.

use std::io::{self, Write};

use serde::Serialize;
use webpubsub_emulator::{Emulator, WELL_KNOWN_KEY};

/// Writes the one line of `--json`. Its connection string is complete, also with a key of the user's own: it is there
/// for the program that started the emulator.
pub(crate) fn json(out: &mut impl Write, emulator: &Emulator) -> io::Result<()> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Ready<'a> {
        event: &'a str,
        endpoint: &'a str,
        connection_string: String,
    }

    let ready = Ready {
        event: "ready",
        endpoint: emulator.endpoint(),
        connection_string: emulator.connection_string(),
    };
    let line = serde_json::to_string(&ready).map_err(io::Error::other)?;
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes the greeting for people. A key of the user's own is left out: terminals are shared and logged.
pub(crate) fn text(out: &mut impl Write, emulator: &Emulator, has_own_key: bool) -> io::Result<()> {
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
