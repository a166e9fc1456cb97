//! `health` asks a running emulator whether it works, as containers and service managers do that have no `curl`.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Command;

use super::{Call, Stop, run};
use crate::config;

/// How long each of connecting, asking and answering may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// `localhost` is a host that every emulator serves, whatever else it serves.
const REQUEST: &[u8] = b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

const NOTES: &str = "\
It reads the flags, variables and file that the emulator reads, and asks HEAD /api/health on this machine.

Exit status: 0 when the emulator is healthy, 1 when it is not or does not answer within 5 seconds, 2 when the command
cannot be understood.

Example:
  webpubsub-emulator health --port 9000";

pub(super) fn command() -> Command {
    config::address_command("health")
        .about("Ask a running emulator whether it works, as the health check of a container does")
        .after_help(NOTES)
}

pub(super) fn run(call: Call) -> Result<ExitCode, Stop> {
    let address = run::read(command(), call)?.address()?;
    match check(address) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Stop::failed(format!("{address}: {error}"))),
    }
}

/// Succeeds if an emulator at `address` answers that it is healthy.
fn check(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = [0; HEALTHY.len()];
    stream.read_exact(&mut answer)?;
    match answer == HEALTHY {
        true => Ok(()),
        false => Err(io::Error::other("this is no healthy emulator")),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn asked(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let arguments = ["webpubsub-emulator"].iter().chain(arguments);
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let call = Call {
            arguments: arguments.map(OsString::from).collect(),
            variables: variables.collect(),
        };
        let address = run::read(command(), call).and_then(|config| Ok(config.address()?));
        match address {
            Ok(address) => Ok(address.to_string()),
            Err(Stop::Show(text)) => Ok(text),
            Err(Stop::Failed { problem, .. }) => Err(problem),
        }
    }

    #[test]
    fn it_asks_where_the_emulator_listens() {
        for (arguments, variables, expected) in [
            (&[][..], &[][..], "127.0.0.1:8080"),
            (&["--host", "::"], &[], "[::1]:8080"),
            (&["--host", "127.0.0.9", "--port", "1"], &[], "127.0.0.9:1"),
            (&[], &[("Urls", "http://0.0.0.0:81")], "127.0.0.1:81"),
            (
                &[],
                &[("WEBPUBSUB_EMULATOR_HOST", "LocalHost")],
                "127.0.0.1:8080",
            ),
        ] {
            assert_eq!(asked(arguments, variables).unwrap(), expected);
        }
        assert!(
            asked(&["--help"], &[])
                .unwrap()
                .contains("Usage: webpubsub-emulator health")
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, expected) in [
            (
                &["--port", "0"][..],
                "`--port`: 0 takes another port at each start; name the one that the emulator took",
            ),
            (
                &["--host", "example.com"],
                "`--host`: expected an IP address, or `localhost`",
            ),
            (
                &["--access-key", "x"],
                "`--access-key`: there is no such flag",
            ),
        ] {
            assert_eq!(asked(arguments, &[]).unwrap_err(), expected);
        }
    }
}
