//! Connection strings: `Endpoint=https://<host>;AccessKey=<key>;Version=1.0;`

use std::{fmt, str::FromStr};

use url::Url;

use super::key::AccessKey;

/// A parsed connection string: the endpoint and an access key. `Debug` shows the endpoint only.
///
/// It consists of segments `name=value` in any order, separated by `;`. Names are compared without regard to case, white
/// space around names and values is ignored, and so are unknown names. Unlike in the official JavaScript package, a repeated
/// name, a segment without `=`, and a `Version` other than `1.x` are errors.
///
/// ```
/// use webpubsub_protocol::access::ConnectionString;
///
/// let parsed: ConnectionString = "Endpoint=http://localhost;Port=8080;AccessKey=abc=;Version=1.0;".parse()?;
/// assert_eq!(parsed.endpoint().as_str(), "http://localhost:8080/");
/// # Ok::<(), webpubsub_protocol::access::ConnectionStringError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    endpoint: Url,
    access_key: AccessKey,
}

impl ConnectionString {
    /// Creates a connection string from an endpoint, as returned by [`parse_endpoint`], and an access key.
    #[must_use]
    pub fn new(endpoint: Url, access_key: AccessKey) -> Self {
        Self {
            endpoint,
            access_key,
        }
    }

    /// The endpoint. Its path ends with `/`.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The access key.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// The connection string with its key, as used in configuration. The name makes every use visible in a review.
    #[must_use]
    pub fn expose(&self) -> String {
        let endpoint = self.endpoint.as_str();
        // Parsing adds one slash where none is.
        let endpoint = match endpoint.strip_suffix('/') {
            Some(bare) if !bare.ends_with('/') => bare,
            _ => endpoint,
        };
        format!(
            "Endpoint={endpoint};AccessKey={};Version=1.0;",
            self.access_key.expose()
        )
    }
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments = Segments::read(text)?;
        let endpoint = segments
            .endpoint
            .ok_or(ConnectionStringError::Missing("Endpoint"))?;
        let key = segments
            .access_key
            .ok_or(ConnectionStringError::Missing("AccessKey"))?;
        if let Some(version) = segments.version
            && version != "1"
            && !version.starts_with("1.")
        {
            return Err(ConnectionStringError::UnsupportedVersion);
        }
        let mut endpoint = parse_endpoint(endpoint)?;
        if let Some(port) = segments.port {
            let port: u16 = port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(ConnectionStringError::InvalidPort)?;
            endpoint
                .set_port(Some(port))
                .map_err(|()| ConnectionStringError::InvalidPort)?;
        }
        Ok(Self {
            endpoint,
            access_key: AccessKey::new(key),
        })
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("endpoint", &self.endpoint.as_str())
            .field("access_key", &self.access_key)
            .finish()
    }
}

/// Parses an endpoint: `http` or `https` (`https` if there is no scheme), a host, and optionally a port and a path. The path
/// of the result ends with `/`.
///
/// # Errors
///
/// If it is not a URL, has another scheme, or contains a user name, query or fragment.
pub fn parse_endpoint(text: &str) -> Result<Url, ConnectionStringError> {
    let invalid = ConnectionStringError::InvalidEndpoint;
    let mut url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("https://{text}")),
    }
    .map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the scheme must be http or https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "it must not carry a user name or password".to_owned(),
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it must not carry a query or fragment".to_owned()));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Why a connection string is not valid. The error names the segment but never contains its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// A required segment is missing or empty.
    #[error(
        "the connection string has no `{0}`; expected `Endpoint=https://<host>;AccessKey=<key>;Version=1.0;`"
    )]
    Missing(&'static str),
    /// A segment appears twice.
    #[error("the connection string has more than one `{0}`")]
    Repeated(&'static str),
    /// A segment is not `name=value`. Counted from 1.
    #[error("segment {0} of the connection string is not `name=value`")]
    NotAPair(usize),
    /// The endpoint cannot be used.
    #[error("the endpoint is not usable: {0}")]
    InvalidEndpoint(String),
    /// The port is not a number from 1 to 65535.
    #[error("`Port` of the connection string must be a number from 1 to 65535")]
    InvalidPort,
    /// The version is not `1` or `1.x`.
    #[error("`Version` of the connection string is not supported; expected `1.0`")]
    UnsupportedVersion,
}

#[derive(Default)]
struct Segments<'a> {
    endpoint: Option<&'a str>,
    access_key: Option<&'a str>,
    port: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Segments<'a> {
    fn read(text: &'a str) -> Result<Self, ConnectionStringError> {
        let mut segments = Self::default();
        for (index, segment) in text.split(';').enumerate() {
            if segment.trim().is_empty() {
                continue;
            }
            // Keys usually end in `=`: only the first one separates.
            let (name, value) = segment
                .split_once('=')
                .ok_or(ConnectionStringError::NotAPair(index + 1))?;
            let (slot, label) = match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => (&mut segments.endpoint, "Endpoint"),
                "accesskey" => (&mut segments.access_key, "AccessKey"),
                "port" => (&mut segments.port, "Port"),
                "version" => (&mut segments.version, "Version"),
                _ => continue,
            };
            if slot.is_some() {
                return Err(ConnectionStringError::Repeated(label));
            }
            let value = value.trim();
            if value.is_empty() {
                return Err(ConnectionStringError::Missing(label));
            }
            *slot = Some(value);
        }
        Ok(segments)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        #[serde(rename = "connectionStrings")]
        connection_strings: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        text: String,
        endpoint: Option<String>,
        key: Option<String>,
        error: Option<String>,
    }

    #[test]
    fn vectors() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../tests/vectors/access.json")).unwrap();
        assert!(vectors.connection_strings.len() > 10);
        for vector in vectors.connection_strings {
            match (vector.text.parse::<ConnectionString>(), vector.error) {
                (Ok(parsed), None) => {
                    assert_eq!(
                        Some(parsed.endpoint().as_str()),
                        vector.endpoint.as_deref(),
                        "{}",
                        vector.text
                    );
                    assert_eq!(
                        Some(parsed.access_key().expose()),
                        vector.key.as_deref(),
                        "{}",
                        vector.text
                    );
                }
                (Err(error), Some(expected)) => {
                    assert_eq!(error.to_string(), expected, "{}", vector.text)
                }
                (result, expected) => {
                    panic!("{}: {result:?}, expected error {expected:?}", vector.text)
                }
            }
        }
    }

    #[test]
    fn nothing_shows_the_key() {
        let parsed: ConnectionString = "Endpoint=https://a.example;AccessKey=s3cret;Version=1.0;"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{parsed:?}"),
            r#"ConnectionString { endpoint: "https://a.example/", access_key: AccessKey(redacted) }"#
        );
        for text in [
            "Endpoint=https://a.example;AccessKey=s3cret;AccessKey=s3cret",
            "Endpoint=ftp://a.example;AccessKey=s3cret",
            "Endpoint=https://a.example;s3cret",
            "Endpoint=https://a.example;AccessKey=s3cret;Port=s3cret",
            "Endpoint=https://a.example;AccessKey=s3cret;Version=s3cret",
        ] {
            let error = text.parse::<ConnectionString>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn exposed_text_parses_to_the_same() {
        let text = "Endpoint=http://127.0.0.1:8080;AccessKey=k==;Version=1.0;";
        let parsed: ConnectionString = text.parse().unwrap();
        assert_eq!(parsed.expose(), text);
        assert_eq!(parsed.expose().parse(), Ok(parsed));
        for endpoint in ["https://a.example//", "https://a.example/b///"] {
            let text = format!("Endpoint={endpoint};AccessKey=k;Version=1.0;");
            let parsed: ConnectionString = text.parse().unwrap();
            assert_eq!(parsed.expose().parse(), Ok(parsed), "{endpoint}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,120}") {
            let _ = text.parse::<ConnectionString>();
            let _ = parse_endpoint(&text);
        }

        #[test]
        fn parsing_never_panics_near_the_grammar(
            text in "(Endpoint|endpoint|AccessKey|Port|Version|X)?[=; ]{0,2}(http://|https://|ws://)?[a-z\\[\\]:.@/?#=; 0-9é]{0,30}(;AccessKey=[a-zA-Z=+/]{0,10};?)?"
        ) {
            let _ = text.parse::<ConnectionString>();
        }

        #[test]
        fn round_trip(host in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?\\.example", port in proptest::option::of(1u16..), key in "[A-Za-z0-9+/]{1,60}={0,2}") {
            let port = port.map(|port| format!("Port={port};")).unwrap_or_default();
            let text = format!("AccessKey={key};{port}Endpoint=https://{host}");
            let parsed: ConnectionString = text.parse().unwrap();
            prop_assert_eq!(parsed.access_key().expose(), key);
            prop_assert_eq!(parsed.expose().parse(), Ok(parsed));
        }
    }
}
