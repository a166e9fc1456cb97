//! Settings in the environment.

use std::{collections::BTreeMap, ffi::OsString, net::IpAddr};

use url::{Host, Url};
use webpubsub_protocol::access::{ConnectionString, ConnectionStringError};

use super::{
    error::{ConfigError, did_you_mean},
    microsoft,
    setting::{Kind, Layer, Origin, Spec},
    table,
};

const PREFIX: &str = "WEBPUBSUB_EMULATOR_";

/// Where applications keep the connection string of their resource; the first one that is set counts.
pub(crate) const CONNECTION_STRINGS: [&str; 4] = [
    "WebPubSubConnectionString",
    "WEBPUBSUB_CONNECTION_STRING",
    "WEBPUBSUB_CONNECTIONSTRING",
    "Azure__WebPubSub__ConnectionString",
];

/// What the environment says: our own variables over Microsoft's over the application's.
#[derive(Debug)]
pub(super) struct Environment {
    pub layer: Layer,
    pub config: Option<OsString>,
    pub warnings: Vec<String>,
}

/// Reads the variables. An empty one counts as not set, as usual with containers.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Environment, ConfigError> {
    // In the order of their names, so that messages do not depend on the system. A name that is not UTF-8 is not ours.
    let variables: BTreeMap<String, OsString> = variables
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect();
    let (ours, config, mut warnings) = ours(&variables)?;
    let microsoft = microsofts(&variables)?;
    warnings.extend(microsoft.warnings);
    let (application, ignored) = applications(&variables)?;
    warnings.extend(ignored);
    Ok(Environment {
        layer: ours.or(microsoft.layer).or(application),
        config,
        warnings,
    })
}

fn ours(
    variables: &BTreeMap<String, OsString>,
) -> Result<(Layer, Option<OsString>, Vec<String>), ConfigError> {
    let mut layer = Layer::default();
    let mut config = None;
    let mut warnings = Vec::new();
    for (name, value) in variables {
        let Some(setting) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let setting = setting.to_ascii_lowercase();
        if setting == "config" {
            config = Some(value.clone());
            continue;
        }
        let Some(key) = Spec::find(&setting) else {
            let names = Spec::names().chain(["config"]);
            let suggestion = did_you_mean(&setting, names, variable);
            // Somebody else may own the variable, so it is no reason not to start.
            warnings.push(format!(
                "environment variable `{name}`: there is no such setting{suggestion}: ignored"
            ));
            continue;
        };
        let origin = Origin::Variable(name.clone());
        let text = text(value, &origin)?;
        let separators: &[char] = match key.kind {
            Kind::Texts(_) | Kind::AnonymousConnect => &[',', ';', ' '],
            // URLs may hold anything but blanks.
            Kind::EventHandler => &[' ', '\t', '\r', '\n'],
            _ => {
                layer.set(key, text, origin)?;
                continue;
            }
        };
        for item in text.split(separators).filter(|item| !item.is_empty()) {
            layer.set(key, item.to_owned(), origin.clone())?;
        }
    }
    Ok((layer, config, warnings))
}

fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('-', "_").to_ascii_uppercase())
}

fn microsofts(variables: &BTreeMap<String, OsString>) -> Result<microsoft::Reader, ConfigError> {
    let mut reader = microsoft::Reader::default();
    for (name, value) in variables {
        let path: Vec<&str> = name.split("__").collect();
        if name != "Urls" && !(path.len() > 1 && path[0].eq_ignore_ascii_case("WebPubSub")) {
            continue;
        }
        let origin = Origin::Variable(name.clone());
        reader.take(&path, text(value, &origin)?, origin, false)?;
    }
    Ok(reader)
}

/// What the application that uses the emulator has in its environment: the connection string, if it means this machine,
/// and the usual log filter.
fn applications(
    variables: &BTreeMap<String, OsString>,
) -> Result<(Layer, Option<String>), ConfigError> {
    let mut layer = Layer::default();
    if let Some(value) = variables.get("RUST_LOG") {
        let origin = Origin::Variable("RUST_LOG".to_owned());
        layer.set(&table::LOG, text(value, &origin)?, origin)?;
    }
    let Some((name, value)) = CONNECTION_STRINGS
        .iter()
        .find_map(|name| variables.get_key_value(*name))
    else {
        return Ok((layer, None));
    };
    let origin = Origin::Variable(name.clone());
    let ignored = |why: &str| Some(format!("{origin}: {why}: ignored"));
    let connection: ConnectionString = match text(value, &origin)?.parse() {
        Ok(connection) => connection,
        // The form for Entra, which can only mean Azure.
        Err(ConnectionStringError::Missing("AccessKey")) => {
            return Ok((layer, ignored("the connection string has no access key")));
        }
        Err(error) => return Err(ConfigError::new(origin, error)),
    };
    let Some(host) = this_machine(connection.endpoint()) else {
        // Never take the key of a real resource.
        return Ok((
            layer,
            ignored("the connection string does not mean this machine over http"),
        ));
    };
    layer.set(&table::HOST, host, origin.clone())?;
    let port = connection.endpoint().port().unwrap_or(80).to_string();
    layer.set(&table::PORT, port, origin.clone())?;
    let key = connection.access_key().expose().to_owned();
    layer.set(&table::ACCESS_KEY, key, origin)?;
    Ok((layer, None))
}

/// The host to listen on when the endpoint is one that the emulator can be.
fn this_machine(endpoint: &Url) -> Option<String> {
    if endpoint.scheme() != "http" || endpoint.path() != "/" {
        return None;
    }
    let loopback = |ip: IpAddr| ip.is_loopback().then(|| ip.to_string());
    match endpoint.host()? {
        Host::Domain("localhost") => Some("localhost".to_owned()),
        Host::Domain(_) => None,
        Host::Ipv4(ip) => loopback(ip.into()),
        Host::Ipv6(ip) => loopback(ip.into()),
    }
}

fn text(value: &OsString, origin: &Origin) -> Result<String, ConfigError> {
    value
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| ConfigError::new(origin, "the value is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::text_of;
    use super::*;

    fn read_all(variables: &[(&str, &str)]) -> Result<Environment, ConfigError> {
        read(
            variables
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn our_variables() {
        let environment = read_all(&[
            ("WEBPUBSUB_EMULATOR_HOST", "::1"),
            ("WEBPUBSUB_EMULATOR_PORT", "0"),
            ("WEBPUBSUB_EMULATOR_PUBLIC_ENDPOINT", "https://a, https://b"),
            ("WEBPUBSUB_EMULATOR_JSON", "1"),
            ("WEBPUBSUB_EMULATOR_LOG", ""),
            ("WEBPUBSUB_EMULATOR_CONFIG", "x.toml"),
            ("WEBPUBSUB_EMULATOR_PROT", "1"),
            ("WEBPUBSUB_EMULATORS", "1"),
        ])
        .unwrap();
        let layer = environment.layer;
        assert_eq!(text_of(&layer, &table::HOST), "::1");
        assert_eq!(text_of(&layer, &table::PORT), "0");
        assert_eq!(layer.all(&table::PUBLIC_ENDPOINT).len(), 2);
        assert!(layer.is_on(&table::JSON));
        assert!(layer.one(&table::LOG).is_none());
        assert_eq!(environment.config.unwrap(), "x.toml");
        assert_eq!(
            environment.warnings,
            [
                "environment variable `WEBPUBSUB_EMULATOR_PROT`: there is no such setting; did you mean \
                 `WEBPUBSUB_EMULATOR_PORT`?: ignored"
            ]
        );
    }

    #[test]
    fn ours_come_before_microsofts_before_the_applications() {
        let microsofts = ("Urls", "http://127.0.0.2:2");
        let applications = (
            "WebPubSubConnectionString",
            "Endpoint=http://127.0.0.3:3;AccessKey=three;",
        );
        let layer = read_all(&[
            ("WEBPUBSUB_EMULATOR_PORT", "1"),
            microsofts,
            ("webpubsub__ACCESSKEY", "two"),
            applications,
        ])
        .unwrap()
        .layer;
        assert_eq!(text_of(&layer, &table::PORT), "1");
        assert_eq!(text_of(&layer, &table::HOST), "127.0.0.2");
        assert_eq!(text_of(&layer, &table::ACCESS_KEY), "two");
        let layer = read_all(&[applications]).unwrap().layer;
        assert_eq!(text_of(&layer, &table::PORT), "3");
        assert_eq!(text_of(&layer, &table::HOST), "127.0.0.3");
        assert_eq!(text_of(&layer, &table::ACCESS_KEY), "three");
    }

    #[test]
    fn the_key_of_another_machine_is_never_taken() {
        for text in [
            "Endpoint=https://x.webpubsub.azure.com;AccessKey=sEcReT;Version=1.0;",
            "Endpoint=https://localhost:8080;AccessKey=sEcReT;",
            "Endpoint=http://localhost.evil.example:8080;AccessKey=sEcReT;",
            "Endpoint=http://192.168.0.5;AccessKey=sEcReT;",
            "Endpoint=http://localhost:8080/base;AccessKey=sEcReT;",
            "Endpoint=https://x.webpubsub.azure.com;AuthType=azure;",
        ] {
            let environment = read_all(&[("WEBPUBSUB_CONNECTION_STRING", text)]).unwrap();
            assert!(
                environment.layer.one(&table::ACCESS_KEY).is_none(),
                "{text}"
            );
            assert!(environment.layer.one(&table::PORT).is_none(), "{text}");
            let [warning] = environment.warnings.as_slice() else {
                panic!("{text}")
            };
            assert!(
                warning.contains("`WEBPUBSUB_CONNECTION_STRING`") && !warning.contains("sEcReT")
            );
        }
    }

    #[test]
    fn mistakes_are_named_with_the_variable() {
        for (name, value, expected) in [
            (
                "WEBPUBSUB_EMULATOR_PORT",
                "x",
                "environment variable `WEBPUBSUB_EMULATOR_PORT`: the port must be a number from 0 to 65535; 0 takes a free one",
            ),
            (
                "WebPubSub__AllowUnvalidatedEntraTokens",
                "perhaps",
                "environment variable `WebPubSub__AllowUnvalidatedEntraTokens`: expected `true` or `false`",
            ),
            (
                "WebPubSubConnectionString",
                "sEcReT",
                "environment variable `WebPubSubConnectionString`: segment 1 of the connection string is not `name=value`",
            ),
        ] {
            assert_eq!(
                read_all(&[(name, value)]).unwrap_err().to_string(),
                expected
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf_8_is_named() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = OsString::from_vec(vec![0xff]);
        let error = read([("WEBPUBSUB_EMULATOR_ACCESS_KEY".into(), value)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable `WEBPUBSUB_EMULATOR_ACCESS_KEY`: the value is not valid UTF-8"
        );
    }
}
