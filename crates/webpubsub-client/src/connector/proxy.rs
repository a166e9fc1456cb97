//! TCP, straight or through a proxy.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tower::Service as _;
use url::{Host, Url};
use webpubsub_protocol::session::DialFailure;

use super::socket::Socket;
use super::tls::Tls;

/// Where SOCKS proxies listen when their URL has no port.
const SOCKS_PORT: u16 = 1080;

/// Which proxies are used.
#[derive(Clone)]
pub(super) enum Proxies {
    /// Those that the environment names; never for this machine.
    Environment(Arc<Environment>),
    /// One for all hosts.
    Always(Arc<Intercept>),
    /// None.
    Off,
}

/// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in upper or lower case.
pub(super) struct Environment {
    for_wss: Option<Variable>,
    for_ws: Option<Variable>,
    /// Finds a proxy for all hosts but those of `NO_PROXY`.
    exceptions: Matcher,
}

/// A variable that names a proxy.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    proxy: Result<Intercept, ProxyError>,
}

/// The URL of a proxy cannot be used. It is not shown, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of the proxy is not one of http, https, socks5 or socks5h with a host, such as http://proxy:3128"
)]
#[non_exhaustive]
pub struct ProxyError;

impl Proxies {
    pub(super) fn from_environment() -> Self {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // A CGI program gets HTTP_PROXY from its client, by the header `Proxy`.
        if variable("REQUEST_METHOD").is_some() {
            return Self::Off;
        }
        let named = |names: [&'static str; 2]| {
            let (name, url) = names
                .into_iter()
                .find_map(|name| Some((name, variable(name)?)))?;
            let proxy = url.to_str().map_or(Err(ProxyError), proxy);
            (!url.is_empty()).then_some(Variable { name, proxy })
        };
        let for_all = named(["ALL_PROXY", "all_proxy"]);
        let for_wss = named(["HTTPS_PROXY", "https_proxy"]).or_else(|| for_all.clone());
        let for_ws = named(["HTTP_PROXY", "http_proxy"]).or(for_all);
        if for_ws.is_none() && for_wss.is_none() {
            return Self::Off;
        }
        let exceptions = variable("NO_PROXY").or_else(|| variable("no_proxy"));
        let exceptions = exceptions.unwrap_or_default();
        let exceptions = exceptions.to_string_lossy().into_owned();
        Self::Environment(Arc::new(Environment {
            for_wss,
            for_ws,
            exceptions: Matcher::builder().all("http://any").no(exceptions).build(),
        }))
    }

    pub(super) fn always(url: &str) -> Result<Self, ProxyError> {
        Ok(Self::Always(Arc::new(proxy(url)?)))
    }

    /// The proxy for a target, if it has one.
    fn choose(&self, url: &Url, target: &Uri) -> Result<Option<Intercept>, DialFailure> {
        match self {
            Self::Off => Ok(None),
            Self::Always(proxy) => Ok(Some(Intercept::clone(proxy))),
            // An emulator on this machine is out of a proxy's reach.
            Self::Environment(_) if is_this_machine(url) => Ok(None),
            Self::Environment(environment) => environment.choose(target),
        }
    }
}

impl Environment {
    fn choose(&self, target: &Uri) -> Result<Option<Intercept>, DialFailure> {
        if self.exceptions.intercept(target).is_none() {
            return Ok(None);
        }
        let variable = match target.scheme_str() {
            Some("https") => &self.for_wss,
            _ => &self.for_ws,
        };
        let Some(Variable { name, proxy }) = variable else {
            return Ok(None);
        };
        match proxy {
            Ok(proxy) => Ok(Some(proxy.clone())),
            Err(error) => Err(DialFailure::Configuration(format!(
                "{error}: see the environment variable {name}"
            ))),
        }
    }
}

/// Reads the URL of a proxy as curl does: without a scheme it is `http`.
fn proxy(url: &str) -> Result<Intercept, ProxyError> {
    let proxy = Matcher::builder().all(url).build();
    let proxy = proxy
        .intercept(&Uri::from_static("http://any"))
        .ok_or(ProxyError)?;
    let scheme = proxy.uri().scheme_str().unwrap_or_default();
    let is_supported = matches!(scheme, "http" | "https" | "socks5" | "socks5h");
    let has_host = proxy.uri().host().is_some_and(|host| !host.is_empty());
    // A part of the password is left there when an `@` in it is not escaped.
    let authority = proxy.uri().authority();
    let is_bare = authority.is_some_and(|authority| !authority.as_str().contains('@'));
    (is_supported && has_host && is_bare)
        .then_some(proxy)
        .ok_or(ProxyError)
}

/// A TCP connection to the URL's host, or a tunnel to it.
pub(super) async fn connect(
    url: &Url,
    proxies: &Proxies,
    tls: &Tls,
) -> Result<Socket, DialFailure> {
    let target = target(url)?;
    match proxies.choose(url, &target)? {
        None => tcp(target).await,
        Some(proxy) if is_socks(&proxy) => socks(&proxy, target).await,
        Some(proxy) => tunnel(&proxy, target, tls).await,
    }
}

async fn tcp(address: Uri) -> Result<Socket, DialFailure> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let stream = connector.call(address).await;
    let stream = stream.map_err(|error| network(&error))?;
    Ok(Box::new(TokioIo::into_inner(stream)))
}

fn is_socks(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("socks5" | "socks5h"))
}

/// By SOCKS 5. With the scheme `socks5` this machine looks the host up, with `socks5h` the proxy does.
async fn socks(proxy: &Intercept, target: Uri) -> Result<Socket, DialFailure> {
    let target = match proxy.uri().scheme_str() {
        Some("socks5") => resolved(&target).await?,
        _ => target,
    };
    let address = with_default_port(proxy.uri(), SOCKS_PORT)?;
    let stream = tcp(address.clone()).await?;
    let mut socks = SocksV5::new(address, connected(stream));
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    let stream = socks.call(target).await;
    stream
        .map(TokioIo::into_inner)
        .map_err(|error| network(&error))
}

/// By the method `CONNECT` of HTTP.
async fn tunnel(proxy: &Intercept, target: Uri, tls: &Tls) -> Result<Socket, DialFailure> {
    let address = proxy.uri();
    let mut stream = tcp(address.clone()).await?;
    if address.scheme_str() == Some("https") {
        let host = address.host().unwrap_or_default();
        stream = tls.connect(host, stream).await?;
    }
    let mut tunnel = Tunnel::new(address.clone(), connected(stream));
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    let stream = tunnel.call(target).await;
    stream
        .map(TokioIo::into_inner)
        .map_err(|error| network(&error))
}

/// A connection to a proxy in the form in which hyper's connectors want it: as a service that makes it.
fn connected(
    stream: Socket,
) -> impl tower::Service<
    Uri,
    Response = TokioIo<Socket>,
    Error = io::Error,
    Future = impl Future<Output = io::Result<TokioIo<Socket>>> + Send + 'static,
> {
    let mut stream = Some(TokioIo::new(stream));
    tower::service_fn(move |_| {
        let once = io::Error::other("a connection to a proxy is used once");
        std::future::ready(stream.take().ok_or(once))
    })
}

/// The target with an address in place of its host.
async fn resolved(target: &Uri) -> Result<Uri, DialFailure> {
    let (host, port) = (target.host().unwrap_or_default(), target.port_u16());
    let host = host.trim_matches(['[', ']']);
    let addresses = tokio::net::lookup_host((host, port.unwrap_or_default())).await;
    let mut addresses = addresses.map_err(|error| network(&error))?;
    let address = addresses
        .next()
        .ok_or_else(|| DialFailure::Network(format!("there is no address for {host}")))?;
    format!("http://{address}/")
        .parse()
        .map_err(|_| DialFailure::Network(format!("there is no address for {host}")))
}

fn with_default_port(proxy: &Uri, port: u16) -> Result<Uri, DialFailure> {
    let host = proxy.host().unwrap_or_default();
    let port = proxy.port_u16().unwrap_or(port);
    let invalid = |_| DialFailure::Configuration(ProxyError.to_string());
    format!("http://{host}:{port}/").parse().map_err(invalid)
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

/// Names all causes, since the one at the bottom says what happened.
pub(super) fn network(error: &dyn std::error::Error) -> DialFailure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    DialFailure::Network(text)
}

/// Shows where proxies are, without passwords.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(environment) => {
                let variables = [&environment.for_wss, &environment.for_ws];
                let names = variables
                    .into_iter()
                    .flatten()
                    .map(|variable| variable.name);
                f.debug_set().entries(names).finish()
            }
            Self::Always(proxy) => f.debug_tuple("Always").field(proxy.uri()).finish(),
            Self::Off => f.write_str("Off"),
        }
    }
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

    #[test]
    fn proxies_that_cannot_be_used_are_refused_without_being_shown() {
        for url in [
            "http://p:1",
            "https://p",
            "p:3128",
            "p",
            "socks5://p",
            "socks5h://ana:secret@p:1080",
        ] {
            assert!(Proxies::always(url).is_ok(), "{url}");
        }
        for url in [
            "htttp://p",
            "ftp://p",
            "socks4://p",
            "",
            "http://",
            "://",
            "http:// p",
            "https://ana@:secret@p",
        ] {
            let Err(error) = Proxies::always(url) else {
                panic!("{url} was accepted");
            };
            assert!(!error.to_string().contains("htttp"));
        }
        let shown = format!("{:?}", Proxies::always("http://ana:secret@p:1"));
        assert!(
            shown.contains("p:1") && !shown.contains("secret"),
            "{shown}"
        );
    }

    /// The proxy for a URL when these variables are set.
    fn choice(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, DialFailure> {
        let proxies = Proxies::from_variables(|name| {
            let mut found = variables.iter().filter(|(variable, _)| *variable == name);
            found.next().map(|(_, value)| OsString::from(value))
        });
        let url = Url::parse(url).map_err(|error| network(&error))?;
        let target = target(&url)?;
        let proxy = proxies.choose(&url, &target)?;
        Ok(proxy.map(|proxy| proxy.uri().to_string()))
    }

    #[test]
    fn the_variables_say_which_proxy_is_for_what() {
        let variables = [
            ("https_proxy", "http://secure"),
            ("ALL_PROXY", "all:3128"),
            ("NO_PROXY", "except.example, 10.0.0.0/8"),
        ];
        let chosen = |url| choice(&variables, url).expect("it can be used");
        assert_eq!(
            chosen("wss://a.example/").as_deref(),
            Some("http://secure/")
        );
        assert_eq!(
            chosen("ws://a.example/").as_deref(),
            Some("http://all:3128/")
        );
        for url in [
            "wss://sub.except.example/",
            "ws://10.1.2.3/",
            "ws://localhost/",
            "wss://[::1]/",
        ] {
            assert_eq!(chosen(url), None, "{url}");
        }
        let cgi = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")];
        assert_eq!(choice(&cgi, "ws://a.example/"), Ok(None));
        assert_eq!(choice(&[("HTTP_PROXY", "")], "ws://a.example/"), Ok(None));
    }

    #[test]
    fn a_variable_that_cannot_be_used_fails_the_dials_it_is_for() {
        let variables = [
            ("HTTPS_PROXY", "htttp://ana:secret@p"),
            ("ALL_PROXY", "http://all"),
            ("no_proxy", "except.example"),
        ];
        let failure = choice(&variables, "wss://a.example/").expect_err("it cannot be used");
        let text = failure.to_string();
        assert!(matches!(failure, DialFailure::Configuration(_)));
        assert!(
            text.contains("HTTPS_PROXY") && !text.contains("secret"),
            "{text}"
        );
        assert!(choice(&variables, "ws://a.example/").is_ok_and(|proxy| proxy.is_some()));
        assert_eq!(choice(&variables, "wss://except.example/"), Ok(None));
        assert_eq!(choice(&variables, "wss://127.0.0.1/"), Ok(None));
    }
}
