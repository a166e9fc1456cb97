//! Which pages may talk to the emulator from a browser.
//!
//! While the key is public, a page on the web could sign itself a token and open a WebSocket to a port of this machine:
//! browsers let any page do that. They say which page it is in `Origin`, so the origin decides. Programs send none, and
//! can reach the port anyway.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, header};
use url::{Host, Url};

use crate::settings::Settings;

/// The rule for `Origin` that follows from who knows the key.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// The key is secret, so a page that has a token was given it.
    all: bool,
    allowed: Vec<AllowedOrigin>,
}

/// An origin whose pages are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowedOrigin {
    Any,
    /// As browsers write it.
    Only(String),
}

impl AllowedOrigin {
    /// `*`, `scheme://host:port` with the port left out where it is the default, or one of the two that browsers send for
    /// pages from files: `null` and `file://`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "*" => Some(Self::Any),
            text @ ("null" | "file://") => Some(Self::Only(text.to_owned())),
            text => {
                let url = Url::parse(text).ok()?;
                let bare = matches!(url.path(), "" | "/")
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none();
                let names_a_host = url.host_str().is_some_and(|host| !host.contains('*'));
                (bare && names_a_host).then(|| Self::Only(written(&url)))
            }
        }
    }
}

/// The origin of a URL as browsers write it; schemes that only browsers know, as those of extensions, included.
fn written(url: &Url) -> String {
    match url.origin() {
        origin if origin.is_tuple() => origin.ascii_serialization(),
        _ => url.as_str().trim_end_matches('/').to_owned(),
    }
}

impl Origins {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self::new(
            &settings.public_endpoints,
            &settings.allowed_origins,
            settings.has_well_known_key(),
        )
    }

    /// For the admin API, whoever knows the key: pages of this machine, of public endpoints, and of origins that are allowed
    /// by name. Allowing all of them opens WebSockets, not this.
    pub(crate) fn of_admin(settings: &Settings) -> Self {
        let allowed = settings.allowed_origins.iter();
        let named: Vec<AllowedOrigin> = allowed
            .filter(|origin| **origin != AllowedOrigin::Any)
            .cloned()
            .collect();
        Self::new(&settings.public_endpoints, &named, true)
    }

    fn new(public_endpoints: &[Url], allowed: &[AllowedOrigin], has_well_known_key: bool) -> Self {
        let public = public_endpoints
            .iter()
            .map(written)
            .map(AllowedOrigin::Only);
        Self {
            all: !has_well_known_key || allowed.contains(&AllowedOrigin::Any),
            allowed: public.chain(allowed.iter().cloned()).collect(),
        }
    }

    /// Checks the `Origin` header, if there is one.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(value.as_bytes());
        match values.next().is_none() && self.allows(&text) {
            true => Ok(()),
            false => Err(ForeignOrigin(text.into_owned())),
        }
    }

    fn allows(&self, origin: &str) -> bool {
        self.all
            || is_loopback(origin)
            || AllowedOrigin::parse(origin).is_some_and(|origin| self.allowed.contains(&origin))
    }
}

/// Whether a page comes from this machine. Its port says nothing: development servers choose theirs.
fn is_loopback(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    };
    loopback && matches!(url.scheme(), "http" | "https")
}

/// Why a request is answered with 403, and what its sender can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignOrigin(String);

impl ForeignOrigin {
    pub(crate) fn origin(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForeignOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(origin) = self;
        write!(
            f,
            "Pages of `{origin}` may not connect: everybody knows the key of this emulator, so it takes browser connections \
             only from pages of this machine. If you trust these pages, start it with `--allowed-origin {origin}`, or with \
             a key of your own."
        )
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn origins(public: &[&str], allowed: &[&str], has_well_known_key: bool) -> Origins {
        let public: Vec<Url> = public.iter().map(|text| text.parse().unwrap()).collect();
        let allowed: Vec<_> = allowed
            .iter()
            .map(|text| AllowedOrigin::parse(text).unwrap())
            .collect();
        Origins::new(&public, &allowed, has_well_known_key)
    }

    fn admits(origins: &Origins, lines: &[&str]) -> bool {
        let line = |text: &&str| (header::ORIGIN, HeaderValue::from_str(text).unwrap());
        origins.check(&lines.iter().map(line).collect()).is_ok()
    }

    #[test]
    fn pages_of_this_machine_and_programs_may_connect_and_nobody_else() {
        let origins = origins(&[], &[], true);
        assert!(admits(&origins, &[]));
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://LOCALHOST:8443",
            "http://127.0.0.1:5173",
            "http://127.9.9.9",
            "http://[::1]:8080",
        ] {
            assert!(admits(&origins, &[origin]), "{origin}");
        }
        for origin in [
            "null",
            "*",
            "",
            "localhost",
            "file://",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://evil.localhost.",
            "http://evil.example:80#localhost",
            "http://localhost@evil.example",
            "http://192.168.0.5",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
            "chrome-extension://localhost",
        ] {
            assert!(!admits(&origins, &[origin]), "{origin}");
        }
        let twice = ["http://localhost", "https://evil.example"];
        assert!(!admits(&origins, &twice));
    }

    #[test]
    fn public_endpoints_and_what_is_allowed_may_connect() {
        let origins = origins(
            &["https://pubsub.example/", "http://proxy:8080/"],
            &["https://app.example:443/", "null", "vscode-webview://a1b2"],
            true,
        );
        for origin in [
            "https://pubsub.example",
            "http://proxy:8080",
            "https://app.example",
            "https://APP.example",
            "null",
            "vscode-webview://a1b2",
            "http://localhost:1",
        ] {
            assert!(admits(&origins, &[origin]), "{origin}");
        }
        for origin in [
            "http://pubsub.example",
            "https://pubsub.example:8443",
            "http://app.example",
            "https://sub.app.example",
            "vscode-webview://other",
        ] {
            assert!(!admits(&origins, &[origin]), "{origin}");
        }
    }

    #[test]
    fn with_a_secret_key_or_an_asterisk_every_page_may_connect() {
        for origins in [origins(&[], &[], false), origins(&[], &["*"], true)] {
            assert!(admits(&origins, &["https://evil.example"]));
            assert!(admits(&origins, &["null"]));
        }
    }

    #[test]
    fn what_is_an_origin() {
        for text in [
            "",
            "app.example",
            "https://",
            "https://app.example/path",
            "https://app.example?q",
            "https://app.example#f",
            "https://user@app.example",
            "https://*.example",
            "NULL",
        ] {
            assert_eq!(AllowedOrigin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let headers = HeaderMap::from_iter([(
            header::ORIGIN,
            HeaderValue::from_static("https://evil.example"),
        )]);
        let refusal = origins(&[], &[], true)
            .check(&headers)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("`--allowed-origin https://evil.example`"),
            "{refusal}"
        );
    }
}
