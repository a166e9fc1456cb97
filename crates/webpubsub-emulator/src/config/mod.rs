//! The configuration of the binary: flags over environment over file over defaults.
//!
//! What a value may be is the library's business; this module only knows where values come from, so that every mistake
//! can be named with its flag, its variable, or its file and line.

mod cli;
mod environment;
mod error;
mod file;
mod hubs;
mod microsoft;
pub(crate) mod reload;
mod setting;
mod table;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use serde::de::DeserializeOwned;
use tracing_subscriber::EnvFilter;
use webpubsub_emulator::{
    Emulator, EmulatorBuilder, Fault, HubOptions, InvalidFault, InvalidState, KeyRole, SavedState,
    StartError, WELL_KNOWN_KEY,
};
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::name::HubName;

use cli::Arguments;
pub(crate) use cli::{address_command, command, describe};
pub(crate) use environment::CONNECTION_STRINGS;
pub(crate) use error::{ConfigError, did_you_mean};
pub(crate) use hubs::HubSummary;
use reload::Reload;
pub(crate) use setting::is_true;
use setting::{Kind, Layer, Setting, Spec, Value};

pub(crate) const DEFAULT_PORT: u16 = 8080;
const DEFAULT_LOG: &str = "info";

/// All settings of one run.
#[derive(Debug)]
pub(crate) struct Config {
    layer: Layer,
    hubs: BTreeMap<HubName, HubOptions>,
    file: Option<Source>,
    /// What was given but has no effect.
    pub(crate) warnings: Vec<String>,
}

/// The file, and what comes before it.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    above: Layer,
}

/// What the arguments of a command ask for whose flags are settings.
#[derive(Debug)]
pub(crate) enum Asked {
    Config(Box<Config>),
    Help(String),
    Version(String),
}

impl Config {
    /// Reads the arguments of `command` (the first one is the program's name), variables, and the file that they name.
    pub(crate) fn read(
        command: clap::Command,
        arguments: Vec<OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Asked, ConfigError> {
        let (flags, config) = match cli::read(command, arguments)? {
            Arguments::Run { layer, config } => (*layer, config),
            Arguments::Help(text) => return Ok(Asked::Help(text)),
            Arguments::Version(text) => return Ok(Asked::Version(text)),
        };
        let environment = environment::read(variables)?;
        let mut warnings = environment.warnings;
        let above = flags.or(environment.layer);
        let mut layer = above.clone();
        let mut file = None;
        if let Some(path) = config.or(environment.config) {
            let path = PathBuf::from(path);
            let text = file::load(&path)?;
            let (below, ignored) = file::parse(&path, &text)?;
            layer = layer.or(below);
            warnings.extend(ignored);
            file = Some(Source { path, text, above });
        }
        Ok(Asked::Config(Box::new(Self {
            hubs: layer.hub_options()?,
            layer,
            file,
            warnings,
        })))
    }

    pub(crate) fn json(&self) -> bool {
        self.layer.is_on(&table::JSON)
    }

    /// The filter for log lines.
    pub(crate) fn log_filter(&self) -> Result<EnvFilter, ConfigError> {
        self.log_filter_or(DEFAULT_LOG)
    }

    /// The filter for log lines; `default` where none was given.
    pub(crate) fn log_filter_or(&self, default: &str) -> Result<EnvFilter, ConfigError> {
        let Some(Setting {
            value: Value::Text(filter),
            origin,
        }) = self.layer.one(&table::LOG)
        else {
            return Ok(EnvFilter::new(default));
        };
        EnvFilter::builder().parse(filter).map_err(|error| {
            let hint = "expected a level (`off`, `error`, `warn`, `info`, `debug`, `trace`) or a list of `target=level`";
            ConfigError::new(origin, format!("{error}; {hint}"))
        })
    }

    /// Whether each line of the log is a JSON object.
    pub(crate) fn logs_json(&self) -> Result<bool, ConfigError> {
        let Some(Setting {
            value: Value::Text(format),
            origin,
        }) = self.layer.one(&table::LOG_FORMAT)
        else {
            return Ok(false);
        };
        match format.as_str() {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err(ConfigError::new(origin, "expected `text` or `json`")),
        }
    }

    /// Whether the primary key is a secret of the user, not the one that everybody knows.
    pub(crate) fn has_own_key(&self) -> bool {
        let well_known = AccessKey::new(WELL_KNOWN_KEY);
        self.layer
            .one(&table::ACCESS_KEY)
            .is_some_and(|key| key.value != Value::Secret(well_known))
    }

    /// Whether the token of the admin API is a secret of the user, and not drawn for this run.
    pub(crate) fn has_own_admin_token(&self) -> bool {
        self.layer.one(&table::ADMIN_TOKEN).is_some()
    }

    /// The emulator that was asked for; on `port` where none was given, 0 for a free one.
    pub(crate) fn builder_on(&self, port: u16) -> EmulatorBuilder {
        let defaults = Emulator::builder().port(port).admin(true);
        let builder = self.layer.apply(defaults);
        let hubs = self.hubs.iter();
        hubs.fold(builder, |builder, (name, options)| {
            builder.hub(name.as_str(), options.clone())
        })
    }

    /// The state to begin with, if there is a file with one.
    pub(crate) fn seed(&self) -> Result<Option<SavedState>, ConfigError> {
        self.read_json(&table::SEED)
    }

    /// Adds to a state that cannot be used where it came from.
    pub(crate) fn explain_seed(&self, error: &InvalidState) -> ConfigError {
        at(self.layer.one(&table::SEED), error)
    }

    /// The faults to begin with.
    pub(crate) fn faults(&self) -> Result<Vec<Fault>, ConfigError> {
        Ok(self.read_json(&table::FAULTS)?.unwrap_or_default())
    }

    /// Adds to a fault that could never hit anything which one it is, counted from 1, and where it came from.
    pub(crate) fn explain_fault(&self, number: usize, error: &InvalidFault) -> ConfigError {
        let problem = format!("rule {number}: {error}");
        at(self.layer.one(&table::FAULTS), &problem)
    }

    /// What the file holds whose path is the value of a setting.
    fn read_json<T: DeserializeOwned>(
        &self,
        spec: &'static Spec,
    ) -> Result<Option<T>, ConfigError> {
        let Some(Setting {
            value: Value::Text(path),
            origin,
        }) = self.layer.one(spec)
        else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::new(origin, format!("{path}: {error}")))?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| ConfigError::new(origin, format!("{path}: {error}")))
    }

    /// Where an emulator with these settings can be reached from this machine.
    pub(crate) fn address(&self) -> Result<SocketAddr, ConfigError> {
        let host = self.layer.one(&table::HOST);
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
        let port = self.layer.one(&table::PORT);
        match port.map(|port| &port.value) {
            Some(Value::Port(0)) => Err(at(
                port,
                &"0 takes another port at each start; name the one that the emulator took",
            )),
            Some(Value::Port(port)) => Ok(SocketAddr::new(ip, *port)),
            _ => Ok(SocketAddr::new(ip, DEFAULT_PORT)),
        }
    }

    /// The key that an emulator with these settings signs with.
    pub(crate) fn access_key(&self) -> AccessKey {
        match self.layer.one(&table::ACCESS_KEY).map(|key| &key.value) {
            Some(Value::Secret(key)) => key.clone(),
            _ => AccessKey::new(WELL_KNOWN_KEY),
        }
    }

    /// The hubs that were set up.
    pub(crate) fn hubs(&self) -> Vec<HubSummary> {
        self.layer.hub_summary()
    }

    /// What to follow while the emulator runs, if there is a file.
    pub(crate) fn reload(&self) -> Option<Reload> {
        let Source { path, text, above } = self.file.as_ref()?;
        let (path, text) = (path.clone(), text.clone());
        Some(Reload::new(path, text, above.clone(), self.layer.clone()))
    }

    /// Adds to a failed start where the value came from and what to do.
    pub(crate) fn explain(&self, error: &StartError) -> ConfigError {
        let layer = &self.layer;
        match error {
            StartError::InvalidHost => at(layer.one(&table::HOST), error),
            StartError::InvalidAccessKey { role, source } => {
                let key = match role {
                    KeyRole::Primary => &table::ACCESS_KEY,
                    KeyRole::Secondary => &table::SECONDARY_ACCESS_KEY,
                };
                at(layer.one(key), &format!("the key cannot be used: {source}"))
            }
            StartError::InvalidPublicEndpoint { number, source } => {
                at(layer.all(&table::PUBLIC_ENDPOINT).get(number - 1), source)
            }
            StartError::InvalidAllowedOrigin { number } => {
                let origin = layer.all(&table::ALLOWED_ORIGIN).get(number - 1);
                at(origin, &"expected `https://app.example.com`, `null` or `*`")
            }
            StartError::InvalidAdminToken => at(layer.one(&table::ADMIN_TOKEN), error),
            StartError::InvalidLimit { limit, .. } => {
                let sets = |key: &&Spec| matches!(&key.kind, Kind::Number(set) if set == limit);
                let key = table::ALL.into_iter().find(sets);
                at(key.and_then(|key| layer.one(key)), error)
            }
            StartError::WellKnownKey { address } => at(
                layer.one(&table::HOST),
                &format!(
                    "everybody knows the well-known key, so it is not used on {}, which other machines may reach. Set a \
                     key of your own (WEBPUBSUB_EMULATOR_ACCESS_KEY or `--access-key`), listen on 127.0.0.1, or pass \
                     `--allow-well-known-key` where the network protects the port, as in a container that publishes it \
                     on 127.0.0.1 only",
                    address.ip()
                ),
            ),
            StartError::AddressInUse { address } => {
                let next = address.port().checked_add(1).unwrap_or(DEFAULT_PORT);
                ConfigError::text(format!(
                    "{address} is already in use: stop the other program, or choose another port with `--port {next}` \
                     (`--port 0` takes a free one)"
                ))
            }
            StartError::Bind { address, source } => {
                let hint = match source.kind() {
                    io::ErrorKind::AddrNotAvailable => {
                        "it is not an address of this machine; choose one with `--host`"
                    }
                    io::ErrorKind::PermissionDenied => "choose a port above 1023 with `--port`",
                    _ => "choose another address with `--host` or `--port`",
                };
                ConfigError::text(format!("cannot listen on {address} ({source}): {hint}"))
            }
            other => ConfigError::text(other.to_string()),
        }
    }
}

fn at(setting: Option<&Setting>, problem: &impl fmt::Display) -> ConfigError {
    match setting {
        Some(setting) => ConfigError::new(&setting.origin, problem),
        None => ConfigError::text(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OWN_KEY: &str = "sEcReT0123456789sEcReT0123456789";

    /// The configuration that results from a command line and an environment.
    pub(super) fn config(
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Config, ConfigError> {
        let arguments = ["webpubsub-emulator"].iter().chain(arguments);
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        match Config::read(
            command(),
            arguments.map(OsString::from).collect(),
            variables,
        )? {
            Asked::Config(config) => Ok(*config),
            other => panic!("{other:?}"),
        }
    }

    /// The value of a setting, as text.
    pub(super) fn text_of(layer: &Layer, key: setting::Key) -> String {
        match layer.one(key).map(|setting| &setting.value) {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Secret(key)) => key.expose().to_owned(),
            Some(Value::Port(port)) => port.to_string(),
            other => panic!("{}: {other:?}", key.name),
        }
    }

    fn port(config: &Config) -> u16 {
        text_of(&config.layer, &table::PORT).parse().unwrap()
    }

    #[test]
    fn flags_over_environment_over_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("emulator.toml");
        fs::write(&file, "port = 1\nhost = '127.0.0.9'\njson = true").unwrap();
        let file = file.to_str().unwrap();
        let variable = ("WEBPUBSUB_EMULATOR_PORT", "2");

        assert_eq!(port(&config(&["--config", file], &[]).unwrap()), 1);
        assert_eq!(port(&config(&["--config", file], &[variable]).unwrap()), 2);
        let all = config(
            &["--config", file, "--port", "3", "--json=false"],
            &[variable],
        )
        .unwrap();
        assert_eq!(port(&all), 3);
        assert!(!all.json());
        assert_eq!(text_of(&all.layer, &table::HOST), "127.0.0.9");

        let by_variable = config(&[], &[("WEBPUBSUB_EMULATOR_CONFIG", file)]).unwrap();
        assert_eq!(port(&by_variable), 1);
        let by_flag = config(
            &["--config", file],
            &[("WEBPUBSUB_EMULATOR_CONFIG", "no/such.toml")],
        );
        assert_eq!(port(&by_flag.unwrap()), 1);
        assert!(config(&[], &[]).unwrap().layer.one(&table::PORT).is_none());
    }

    #[test]
    fn numbers_and_switches_come_from_every_source_and_reach_the_builder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("emulator.toml");
        let text = "max-ack-ids = 1\nmax-open-streams = 2\nrecovery-window = 3\nconnected-on-recovery = false\nend-on-close-without-status = true";
        fs::write(&file, text).unwrap();
        let read = config(
            &["--config", file.to_str().unwrap(), "--recovery-window", "5"],
            &[
                ("WEBPUBSUB_EMULATOR_RECOVERY_WINDOW", "4"),
                ("WEBPUBSUB_EMULATOR_MAX_OPEN_STREAMS", "6"),
                ("WEBPUBSUB_EMULATOR_END_ON_CLOSE_WITHOUT_STATUS", "off"),
                ("WEBPUBSUB_EMULATOR_CLOSE_FAILED_EVENTS_NORMALLY", "on"),
            ],
        );
        let builder = format!("{:?}", read.unwrap().builder_on(DEFAULT_PORT));
        for expected in [
            "ack_ids: 1,",
            "open_streams: 6,",
            "recovery_window: 5s",
            "connected_on_recovery: false,",
            "end_on_close_without_status: false,",
            "close_failed_events_normally: true,",
            "message_bytes: 1048576,",
        ] {
            assert!(builder.contains(expected), "{expected} {builder}");
        }
    }

    #[test]
    fn log_filters() {
        for filter in ["debug", "info,webpubsub_emulator=trace", "off"] {
            assert!(
                config(&["--log", filter], &[])
                    .unwrap()
                    .log_filter()
                    .is_ok()
            );
        }
        let error = config(&["--log", "a=loud"], &[])
            .unwrap()
            .log_filter()
            .unwrap_err();
        assert!(error.to_string().starts_with("`--log`: "), "{error}");
        let error = config(&[], &[("RUST_LOG", "a=loud")]).unwrap().log_filter();
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("environment variable `RUST_LOG`: "),
            "{error}"
        );
    }

    #[test]
    fn own_keys_are_told_from_the_well_known_one() {
        assert!(!config(&[], &[]).unwrap().has_own_key());
        assert!(
            !config(&["--access-key", WELL_KNOWN_KEY], &[])
                .unwrap()
                .has_own_key()
        );
        let own = config(&["--access-key", OWN_KEY], &[]).unwrap();
        assert!(own.has_own_key());
        assert!(!format!("{own:?} {:?}", own.builder_on(DEFAULT_PORT)).contains("sEcReT"));
    }

    #[tokio::test]
    async fn failed_starts_name_the_origin_and_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let in_use = format!(
            "127.0.0.1:{taken_port} is already in use: stop the other program, or choose another port with `--port {}` \
             (`--port 0` takes a free one)",
            taken_port.checked_add(1).unwrap_or(DEFAULT_PORT)
        );
        let blank_key = format!(" {OWN_KEY}");
        for (arguments, variables, expected) in [
            (
                vec!["--host", "example.com"],
                vec![],
                "`--host`: the host must be an IP address or `localhost`",
            ),
            (
                vec![],
                vec![("Urls", "http://example.com:80")],
                "environment variable `Urls`: the host must be an IP address or `localhost`",
            ),
            (
                vec!["--access-key", "sEcReT"],
                vec![],
                "`--access-key`: the key cannot be used: it has 6 bytes and needs at least 32",
            ),
            (
                vec![],
                vec![("WebPubSub__AccessKey", "a;sEcReT0123456789sEcReT0123456789")],
                "environment variable `WebPubSub__AccessKey`: the key cannot be used: it contains `;`, which ends a value in \
                 connection strings",
            ),
            (
                vec![],
                vec![(
                    "WEBPUBSUB_EMULATOR_SECONDARY_ACCESS_KEY",
                    blank_key.as_str(),
                )],
                "environment variable `WEBPUBSUB_EMULATOR_SECONDARY_ACCESS_KEY`: the key cannot be used: it starts or ends \
                 with white space, which connection strings do not keep",
            ),
            (
                vec![],
                vec![(
                    "WebPubSubConnectionString",
                    "Endpoint=http://localhost:1;AccessKey=sEcReT",
                )],
                "environment variable `WebPubSubConnectionString`: the key cannot be used: it has 6 bytes and needs at least \
                 32",
            ),
            (
                vec![
                    "--public-endpoint",
                    "https://a",
                    "--public-endpoint",
                    "ftp://sEcReT",
                ],
                vec![],
                "`--public-endpoint`: the endpoint is not usable: the scheme must be http or https",
            ),
            (
                vec![
                    "--allowed-origin",
                    "*",
                    "--allowed-origin",
                    "app.example.com",
                ],
                vec![],
                "`--allowed-origin`: expected `https://app.example.com`, `null` or `*`",
            ),
            (
                vec!["--max-message-bytes", "1048577"],
                vec![],
                "`--max-message-bytes`: the size of a message in bytes must be 1 to 1048576",
            ),
            (
                vec!["--ping-interval", "90"],
                vec![("WEBPUBSUB_EMULATOR_SILENCE_LIMIT", "80")],
                "environment variable `WEBPUBSUB_EMULATOR_SILENCE_LIMIT`: the limit of silence in seconds must be 90 to 86400",
            ),
            (
                vec!["--host", "0.0.0.0"],
                vec![],
                "`--host`: everybody knows the well-known key, so it is not used on 0.0.0.0, which other machines may \
                 reach. Set a key of your own (WEBPUBSUB_EMULATOR_ACCESS_KEY or `--access-key`), listen on 127.0.0.1, or \
                 pass `--allow-well-known-key` where the network protects the port, as in a container that publishes it on \
                 127.0.0.1 only",
            ),
            (
                vec![],
                vec![("WEBPUBSUB_EMULATOR_PORT", &*taken_port.to_string())],
                in_use.as_str(),
            ),
        ] {
            let config = config(&arguments, &variables).unwrap();
            let error = config.builder_on(DEFAULT_PORT).start().await.unwrap_err();
            let text = config.explain(&error).to_string();
            assert_eq!(text, expected, "{arguments:?} {variables:?}");
        }
        let config = config(&["--host", "192.0.2.1", "--access-key", OWN_KEY], &[]).unwrap();
        let error = config.builder_on(DEFAULT_PORT).start().await.unwrap_err();
        let text = config.explain(&error).to_string();
        assert!(
            text.starts_with("cannot listen on 192.0.2.1:8080 (") && text.contains("`--host`"),
            "{text}"
        );
    }
}
