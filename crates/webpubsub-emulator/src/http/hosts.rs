//! Which `Host` names are served.
//!
//! A page on the web can point its own name at a loopback address and then talk to whatever listens there, as if it were
//! its own server (DNS rebinding). The browser still sends the page's name in `Host`, so that name decides. The port in
//! it does not count: it would be no defence, and behind any forwarder it differs from ours (SSH, editors, containers). Headers
//! such as `X-Forwarded-Host` are never looked at.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, Uri, header, uri::Authority};
use url::Url;

/// The rule for `Host` that follows from where the emulator listens and who knows its key.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    rule: Rule,
    /// Hosts of the public endpoints, in lower case.
    public: Vec<String>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// All sockets are on loopback: its names, and the addresses bound.
    Loopback(Vec<IpAddr>),
    /// Reachable from elsewhere with a public key: `localhost` and IP addresses, which no page can rebind.
    NotRebindable,
    /// The key is secret, so the network need not protect it.
    Any,
}

impl Hosts {
    pub(super) fn new(
        bound: &[SocketAddr],
        public_endpoints: &[Url],
        has_well_known_key: bool,
    ) -> Self {
        let rule = if bound.iter().all(|address| address.ip().is_loopback()) {
            Rule::Loopback(bound.iter().map(SocketAddr::ip).collect())
        } else if has_well_known_key {
            Rule::NotRebindable
        } else {
            Rule::Any
        };
        let public = public_endpoints
            .iter()
            .filter_map(|url| Some(url.host_str()?.to_ascii_lowercase()))
            .collect();
        Self { rule, public }
    }

    /// Checks the `Host` header, and the host in the request target if there is one.
    pub(super) fn check(&self, target: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut values = headers.get_all(header::HOST).iter();
        let value = values.next().ok_or(Refusal::Missing)?;
        if values.next().is_some() {
            return Err(Refusal::Repeated);
        }
        let text = value.to_str().map_err(|_| Refusal::Malformed)?;
        let name = Name::parse(text).ok_or(Refusal::Malformed)?;
        if let Some(authority) = target.authority()
            && Name::parse(authority.as_str()).as_ref() != Some(&name)
        {
            return Err(Refusal::OtherTarget);
        }
        match self.allows(&name) {
            true => Ok(()),
            false => Err(Refusal::Foreign(text.to_owned())),
        }
    }

    fn allows(&self, name: &Name) -> bool {
        let own = match &self.rule {
            Rule::Any => true,
            Rule::NotRebindable => name.is_localhost() || name.ip().is_some(),
            Rule::Loopback(bound) => {
                name.is_localhost()
                    || name
                        .ip()
                        .is_some_and(|ip| super::LOCALHOST.contains(&ip) || bound.contains(&ip))
            }
        };
        own || self.public.contains(&name.host)
    }
}

/// A host in lower case, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    host: String,
    port: Option<u16>,
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        // `Authority` also takes `user@host`, and anything after the colon.
        if text.contains('@') {
            return None;
        }
        let authority: Authority = text.parse().ok()?;
        let port = match text.strip_prefix(authority.host())? {
            "" => None,
            rest => Some(rest.strip_prefix(':')?.parse().ok()?),
        };
        Some(Self {
            host: authority.host().to_ascii_lowercase(),
            port,
        })
    }

    fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }

    fn ip(&self) -> Option<IpAddr> {
        let bare = self
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(bare) => bare.parse().ok().map(IpAddr::V6),
            None => self.host.parse().ok().map(IpAddr::V4),
        }
    }
}

/// Why a request is answered with 421, and what its sender can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing,
    Repeated,
    Malformed,
    OtherTarget,
    Foreign(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("The request has no Host header; send the host and port of the emulator."),
            Self::Repeated => f.write_str("The request has more than one Host header; send one."),
            Self::Malformed => f.write_str("The Host header is not a host with an optional port."),
            Self::OtherTarget => f.write_str("The request target names another host than the Host header; send the same in both."),
            Self::Foreign(host) => write!(
                f,
                "The emulator does not serve the host `{host}`. Use the address it printed at start; if you reach it \
                 through a proxy, a container or a forwarded port, start it with `--public-endpoint http://{host}`."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn hosts(bound: &[&str], public: &[&str], has_well_known_key: bool) -> Hosts {
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let public: Vec<Url> = public.iter().map(|text| text.parse().unwrap()).collect();
        Hosts::new(&bound, &public, has_well_known_key)
    }

    fn check(hosts: &Hosts, host: &str) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::HOST,
            HeaderValue::from_bytes(host.as_bytes()).map_err(|_| Refusal::Malformed)?,
        );
        hosts.check(&Uri::from_static("/api/health"), &headers)
    }

    #[track_caller]
    fn table(hosts: &Hosts, served: &[&str], refused: &[&str]) {
        for host in served {
            assert_eq!(check(hosts, host), Ok(()), "{host}");
        }
        for host in refused {
            assert!(check(hosts, host).is_err(), "{host}");
        }
    }

    #[test]
    fn loopback_serves_its_names_with_any_port() {
        for has_well_known_key in [true, false] {
            table(
                &hosts(&["127.0.0.1:8080"], &[], has_well_known_key),
                &[
                    "localhost:8080",
                    "LocalHost:8080",
                    "localhost",
                    "localhost:9000",
                    "127.0.0.1:8080",
                    "127.0.0.1",
                    "[::1]:8080",
                    "[0:0:0:0:0:0:0:1]:8080",
                ],
                &[
                    "evil.example:8080",
                    "evil.example",
                    "localhost.evil.example:8080",
                    "evil.localhost:8080",
                    "localhost.:8080",
                    "localhost:",
                    "localhost:8080x",
                    "localhost:99999",
                    "localhost:8080:8080",
                    "user@localhost:8080",
                    "localhost:8080@evil.example",
                    "127.0.0.2:8080",
                    "127.1:8080",
                    "2130706433:8080",
                    "192.168.0.5:8080",
                    "0.0.0.0:8080",
                    "[::]:8080",
                    "[::ffff:127.0.0.1]:8080",
                    "::1:8080",
                    "http://localhost:8080",
                    "localhost:8080/",
                    "localhost:8080, evil.example",
                    "local host:8080",
                    "",
                    "*",
                    "l\u{f6}calhost:8080",
                ],
            );
        }
    }

    #[test]
    fn another_loopback_address_is_served_where_it_is_bound() {
        table(
            &hosts(&["127.0.0.2:80"], &[], true),
            &["127.0.0.2", "127.0.0.2:80", "localhost"],
            &["127.0.0.3", "127.0.0.3:80"],
        );
    }

    #[test]
    fn public_endpoints_are_served() {
        table(
            &hosts(
                &["127.0.0.1:8080"],
                &[
                    "https://Proxy.Example/base/",
                    "http://emulator:9000",
                    "http://[fd00::1]:9000",
                ],
                true,
            ),
            &[
                "proxy.example",
                "proxy.example:443",
                "EMULATOR:9000",
                "emulator",
                "[fd00::1]:9000",
                "localhost:8080",
            ],
            &["www.proxy.example", "example", "[fd00::2]:9000"],
        );
    }

    #[test]
    fn with_the_well_known_key_on_all_addresses_no_name_can_be_rebound() {
        table(
            &hosts(&["0.0.0.0:8080"], &["http://emulator:8080"], true),
            &[
                "localhost:9000",
                "127.0.0.1:8080",
                "192.168.0.5",
                "[fd00::1]:1",
                "emulator:8080",
            ],
            &[
                "evil.example:8080",
                "host.docker.internal:8080",
                "2130706433",
            ],
        );
    }

    #[test]
    fn with_an_own_key_on_another_address_any_host_is_served() {
        table(
            &hosts(&["192.168.0.5:8080"], &[], false),
            &["anything.example", "localhost:1", "10.0.0.1:8080"],
            &["", "a@b", "a b"],
        );
        table(
            &hosts(&["127.0.0.1:80", "192.168.0.5:80"], &[], false),
            &["anything.example"],
            &[],
        );
    }

    #[test]
    fn the_header_comes_once() {
        let hosts = hosts(&["127.0.0.1:8080"], &[], true);
        let target = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        assert_eq!(hosts.check(&target, &headers), Err(Refusal::Missing));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        assert_eq!(hosts.check(&target, &headers), Err(Refusal::Repeated));
    }

    #[test]
    fn an_absolute_target_names_the_same_host() {
        let hosts = hosts(&["127.0.0.1:8080"], &[], true);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:8080"));
        for (target, expected) in [
            ("http://localhost:8080/api/health", Ok(())),
            ("http://LOCALHOST:8080/", Ok(())),
            ("http://127.0.0.1:8080/", Err(Refusal::OtherTarget)),
            ("http://localhost:8081/", Err(Refusal::OtherTarget)),
            ("http://evil.example/", Err(Refusal::OtherTarget)),
            (
                "http://localhost:8080@evil.example/",
                Err(Refusal::OtherTarget),
            ),
            ("evil.example:443", Err(Refusal::OtherTarget)),
        ] {
            assert_eq!(
                hosts.check(&Uri::from_static(target), &headers),
                expected,
                "{target}"
            );
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let foreign = Refusal::Foreign("emulator:8080".to_owned()).to_string();
        assert!(
            foreign.contains("`--public-endpoint http://emulator:8080`"),
            "{foreign}"
        );
    }
}
