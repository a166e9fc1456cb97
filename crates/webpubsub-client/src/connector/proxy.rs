//! TCP, straight or through a proxy that the environment names.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service as _;
use url::Url;
use webpubsub_protocol::session::DialFailure;

/// Whether, and which, proxies are used.
#[derive(Debug, Clone)]
pub(super) enum Proxies {
    /// As the matcher says.
    Matching(Arc<Matcher>),
    /// None.
    Off,
}

impl Proxies {
    /// Those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in any case.
    pub(super) fn from_environment() -> Self {
        Self::Matching(Arc::new(Matcher::from_env()))
    }

    /// This one for all hosts.
    pub(super) fn always(url: &str) -> Self {
        Self::Matching(Arc::new(Matcher::builder().all(url).build()))
    }
}

/// A TCP connection to the URL's host, or a tunnel to it.
pub(super) async fn connect(url: &Url, proxies: &Proxies) -> Result<TcpStream, DialFailure> {
    let target = target(url)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let proxy = match proxies {
        Proxies::Matching(matcher) => matcher.intercept(&target),
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
