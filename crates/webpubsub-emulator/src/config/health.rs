//! The command line of `health`: the settings that say where the emulator listens.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Command;

use super::setting::{Layer, Value};
use super::{Asked, Config, ConfigError, DEFAULT_PORT, at, cli, table};

const NOTES: &str = "\
It reads the flags, variables and file that the emulator reads, and asks HEAD /api/health on this machine.

Exit status: 0 when the emulator is healthy, 1 when it is not or does not answer within 5 seconds, 2 when the command
cannot be understood.";

/// The command as a part of the whole command line.
pub(super) fn command() -> Command {
    Command::new("health")
        .about("Ask a running emulator whether it works, as the health check of a container does")
        .after_help(NOTES)
        .max_term_width(120)
        .args([
            cli::flag(&table::HOST),
            cli::flag(&table::PORT),
            cli::config(),
        ])
}

/// Reads the arguments; the first one is the program's name, `health` is left out.
pub(super) fn read(
    arguments: Vec<OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<super::Command, ConfigError> {
    let command = command().bin_name("webpubsub-emulator health");
    match Config::read(command, arguments, variables)? {
        Asked::Config(config) => Ok(super::Command::Check(address(&config.layer)?)),
        Asked::Help(text) | Asked::Version(text) => Ok(super::Command::Show(text)),
    }
}

/// Where an emulator with these settings can be reached from this machine.
fn address(layer: &Layer) -> Result<SocketAddr, ConfigError> {
    let host = layer.one(&table::HOST);
    let ip = match host.map(|host| &host.value) {
        Some(Value::Text(name)) if !name.eq_ignore_ascii_case("localhost") => name
            .parse()
            .map_err(|_| at(host, &"expected an IP address, or `localhost`"))?,
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let port = layer.one(&table::PORT);
    match port.map(|port| &port.value) {
        Some(Value::Port(0)) => Err(at(
            port,
            &"0 takes another port at each start; name the one that the emulator took",
        )),
        Some(Value::Port(port)) => Ok(SocketAddr::new(ip, *port)),
        _ => Ok(SocketAddr::new(ip, DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
        let arguments = ["webpubsub-emulator"].iter().chain(arguments);
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        match read(arguments.map(OsString::from).collect(), variables) {
            Ok(super::super::Command::Check(address)) => Ok(address.to_string()),
            Ok(super::super::Command::Show(text)) => Ok(text),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
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
