//! What commands print on stdout.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use super::Stop;

/// Prints a line at once. Nobody is left to print for when stdout is closed, as behind `| head`: then the command ends, and
/// that is no failure.
pub(super) fn line(text: impl fmt::Display) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Stop::Show(String::new()),
            _ => Stop::failed(format!("cannot write to stdout: {error}")),
        })
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Stop> {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => Err(Stop::failed(error.to_string())),
    }
}
