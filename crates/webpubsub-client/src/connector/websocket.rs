//! WebSockets: TCP, TLS and the handshake.

use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use webpubsub_protocol::session::DialFailure;

use super::handshake::Upgrading;
use super::proxy::{self, Proxies};
use super::tls::Tls;
use super::transport::WebSocketTransport;
use super::{Connector, ConnectorError, Dial};

/// The longest text of a refusal that is kept.
const REFUSAL_CHARS: usize = 200;

/// Opens WebSockets with tokio-tungstenite, directly or through a proxy, and encrypts them with rustls or with the TLS library
/// of the machine. Messages are never compressed.
///
/// Proxies are taken from the variables `HTTPS_PROXY` (for `wss`), `HTTP_PROXY` (for `ws`), `ALL_PROXY` and `NO_PROXY`, in
/// upper or lower case; connections to this machine never use one. The schemes `http`, `https`, `socks5` and `socks5h` are
/// supported. If the proxy for a dial cannot be used, the dial fails with [`DialFailure::Configuration`].
///
/// The connector trusts the certificates that the machine trusts, unless the features of the crate or its
/// [settings](WebSocketConnectorBuilder) say otherwise.
#[derive(Debug, Clone)]
pub struct WebSocketConnector {
    proxies: Proxies,
    tls: Tls,
}

/// Settings of a [`WebSocketConnector`].
#[derive(Debug, Default)]
#[must_use = "a connector is made by `build`"]
pub struct WebSocketConnectorBuilder {
    proxies: Option<Result<Proxies, proxy::ProxyError>>,
    #[cfg(feature = "rustls")]
    rustls: RustlsSettings,
    #[cfg(feature = "native-tls")]
    native_tls: Option<native_tls::TlsConnector>,
}

#[cfg(feature = "rustls")]
#[derive(Debug, Default)]
struct RustlsSettings {
    roots: super::tls::rustls::Roots,
    provider: Option<std::sync::Arc<rustls::crypto::CryptoProvider>>,
    is_changed: bool,
}

impl WebSocketConnector {
    /// Creates a connector that takes proxies from the environment and trusts the certificates that the machine trusts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            proxies: Proxies::from_environment(),
            tls: Tls::Default,
        }
    }

    /// Creates a connector with other settings.
    pub fn builder() -> WebSocketConnectorBuilder {
        WebSocketConnectorBuilder::default()
    }
}

impl Default for WebSocketConnector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
impl WebSocketConnectorBuilder {
    /// Trusts only these certificates.
    pub fn root_certificates(mut self, roots: rustls::RootCertStore) -> Self {
        self.rustls.roots = super::tls::rustls::Roots::Custom(std::sync::Arc::new(roots));
        self.rustls.is_changed = true;
        self
    }

    /// Trusts the certificates that Mozilla trusts, which are part of the program, instead of those that the machine
    /// trusts.
    #[cfg(feature = "webpki-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webpki-roots")))]
    pub fn bundled_root_certificates(mut self) -> Self {
        self.rustls.roots = super::tls::rustls::Roots::Bundled;
        self.rustls.is_changed = true;
        self
    }

    /// Uses this crypto provider. Default: the one of the feature `aws-lc-rs`, or else of `ring`, whatever the default of the
    /// process is. Without these features, the default of the process.
    pub fn crypto_provider(mut self, provider: rustls::crypto::CryptoProvider) -> Self {
        self.rustls.provider = Some(std::sync::Arc::new(provider));
        self.rustls.is_changed = true;
        self
    }
}

#[cfg(feature = "native-tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "native-tls")))]
impl WebSocketConnectorBuilder {
    /// Encrypts with the TLS library of the machine and these settings. Without this call, rustls is used if its feature is
    /// enabled, too.
    pub fn native_tls(mut self, connector: native_tls::TlsConnector) -> Self {
        self.native_tls = Some(connector);
        self
    }
}

impl WebSocketConnectorBuilder {
    /// Uses this proxy for all hosts, and ignores the environment: `http://user:password@host:port`, or a URL with the scheme
    /// `https`, `socks5` or `socks5h`. With `socks5h`, the proxy resolves the name of the host. [`build`](Self::build)
    /// reports a URL that cannot be used.
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxies = Some(Proxies::always(url));
        self
    }

    /// Uses no proxy, and ignores the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Some(Ok(Proxies::Off));
        self
    }

    /// Creates the connector.
    ///
    /// # Errors
    ///
    /// If the proxy or the TLS settings cannot be used.
    pub fn build(self) -> Result<WebSocketConnector, ConnectorError> {
        let proxies = match self.proxies {
            Some(proxies) => proxies?,
            None => Proxies::from_environment(),
        };
        #[allow(unused_mut, reason = "without TLS there is one way to encrypt: none")]
        let mut tls = Tls::Default;
        #[cfg(feature = "rustls")]
        if self.rustls.is_changed {
            let config = super::tls::rustls::config(self.rustls.provider, self.rustls.roots)?;
            tls = Tls::Rustls(config);
        }
        #[cfg(feature = "native-tls")]
        if let Some(connector) = self.native_tls {
            tls = Tls::Native(connector);
        }
        Ok(WebSocketConnector { proxies, tls })
    }
}

impl Connector for WebSocketConnector {
    type Transport = WebSocketTransport;

    async fn connect(&self, dial: Dial) -> Result<WebSocketTransport, DialFailure> {
        let mut stream = proxy::connect(&dial.url, &self.proxies, &self.tls).await?;
        if dial.url.scheme() == "wss" {
            let host = dial.url.host_str().unwrap_or_default();
            stream = self.tls.connect(host, stream).await?;
        }
        let mut request = dial.url.as_str().into_client_request().map_err(|_| {
            DialFailure::Credential("the client access URL is not valid".to_owned())
        })?;
        let offered = HeaderValue::from_str(&dial.subprotocol)
            .map_err(|_| DialFailure::Subprotocol(dial.subprotocol.clone()))?;
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, offered);
        // tungstenite only shakes hands; the frames are read and written by `WebSocketTransport`.
        let config = WebSocketConfig::default()
            .read_buffer_size(0)
            .write_buffer_size(0);
        let upgrading = Upgrading::new(stream);
        let (socket, response) = client_async_with_config(request, upgrading, Some(config))
            .await
            .map_err(|error| refusal(error, &dial))?;
        let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let agrees = |name: &HeaderValue| {
            name.as_bytes()
                .eq_ignore_ascii_case(dial.subprotocol.as_bytes())
        };
        if !chosen.is_some_and(agrees) {
            return Err(DialFailure::Subprotocol(dial.subprotocol));
        }
        let (stream, already_read) = socket.into_inner().into_parts();
        Ok(WebSocketTransport::new(
            stream,
            dial.max_message_bytes,
            &already_read,
        ))
    }
}

/// Why the handshake failed, without anything of the URL.
fn refusal(error: Error, dial: &Dial) -> DialFailure {
    match error {
        Error::Http(response) => {
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            let body = response.body().as_deref().unwrap_or_default();
            DialFailure::Refused {
                status: response.status().as_u16(),
                retry_after,
                body: String::from_utf8_lossy(body)
                    .chars()
                    .take(REFUSAL_CHARS)
                    .collect(),
            }
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            DialFailure::Subprotocol(dial.subprotocol.clone())
        }
        Error::Url(_) | Error::HttpFormat(_) => {
            DialFailure::Credential("the client access URL is not valid".to_owned())
        }
        error => proxy::network(&error),
    }
}
