//! TCP, straight or through a proxy that the environment names.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service as _;
use url::{Host, Url};
use webpubsub_protocol::session::DialFailure;

/// Whether, and which, proxies are used.
#[derive(Debug, Clone)]
pub(super) enum Proxies {
    /// Those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in any case; never for this machine.
    Environment(Arc<Matcher>),
    /// One for all hosts.
    Always(Arc<Matcher>),
    /// None.
    Off,
}

impl Proxies {
    pub(super) fn from_environment() -> Self {
        Self::Environment(Arc::new(Matcher::from_env()))
    }

    pub(super) fn always(url: &str) -> Self {
        Self::Always(Arc::new(Matcher::builder().all(url).build()))
    }
}

/// A TCP connection to the URL's host, or a tunnel to it.
pub(super) async fn connect(url: &Url, proxies: &Proxies) -> Result<TcpStream, DialFailure> {
    let target = target(url)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let proxy = match proxies {
        // An emulator on this machine is out of a proxy's reach.
        Proxies::Environment(_) if is_this_machine(url) => None,
        Proxies::Environment(matcher) | Proxies::Always(matcher) => matcher.intercept(&target),
        Proxies::Off => None,
    };
    let stream = match proxy {
        None => tcp.call(target).await.map_err(|error| network(&error))?,
        Some(proxy) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            tunnel.call(target).await.map_err(|error| network(&error))?
        }
    };
    Ok(TokioIo::into_inner(stream))
}

/// The URL as proxies know it: `https` for `wss`, without the query, which holds a token.
fn target(url: &Url) -> Result<Uri, DialFailure> {
    let invalid = |what: &str| DialFailure::Credential(what.to_owned());
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return Err(invalid("a client access URL begins with ws:// or wss://")),
    };
    let host = url
        .host_str()
        .ok_or_else(|| invalid("the client access URL has no host"))?;
    let port = url
        .port_or_known_default()
        .ok_or_else(|| invalid("the client access URL has no port"))?;
    format!("{scheme}://{host}:{port}/")
        .parse()
        .map_err(|_| invalid("the client access URL has no valid host"))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Names the cause at the bottom, which says what happened.
pub(super) fn network(error: &dyn std::error::Error) -> DialFailure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    DialFailure::Network(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_in_all_its_spellings() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9:8080", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("hub.localhost", true),
            ("localhost.example.com", false),
            ("contoso.webpubsub.azure.com", false),
            ("10.0.0.1", false),
        ] {
            let url = Url::parse(&format!("ws://{host}/client")).expect("a URL");
            assert_eq!(is_this_machine(&url), expected, "{host}");
        }
    }

    #[test]
    fn targets_hold_neither_path_nor_token() {
        let target =
            |url: &str| target(&Url::parse(url).expect("a URL")).map(|uri| uri.to_string());
        assert_eq!(
            target("wss://a.example/client/hubs/h?access_token=secret").expect("a target"),
            "https://a.example:443/"
        );
        assert_eq!(
            target("ws://[::1]:9/x").expect("a target"),
            "http://[::1]:9/"
        );
        assert!(target("https://a.example/").is_err());
    }
}
