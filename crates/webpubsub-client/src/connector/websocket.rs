//! WebSockets by tokio-tungstenite.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::{Sink, Stream};
use http::header::{HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::either::Either;
use webpubsub_protocol::session::{Closure, DialFailure, WireFrame};

use super::proxy::{self, Proxies};
use super::tls::{self, Roots, TlsConfigError};
use super::{Connector, Dial, Transport};

/// What tungstenite allocates per connection each way; its own default of 128 KiB is for bulk transfers.
const BUFFER: usize = 4 * 1024;

/// The longest text of a refusal that is kept.
const REFUSAL_CHARS: usize = 200;

/// Opens WebSockets with tokio-tungstenite and rustls. Never compresses.
#[derive(Clone)]
pub struct WebSocketConnector {
    proxies: Proxies,
    tls: TlsConnector,
}

/// Settings of a [`WebSocketConnector`].
#[derive(Debug, Default)]
#[must_use = "a connector is made by `build`"]
pub struct WebSocketConnectorBuilder {
    roots: Roots,
    provider: Option<Arc<CryptoProvider>>,
    proxies: Option<Proxies>,
}

impl WebSocketConnector {
    /// Proxies from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`; never for this machine), and the
    /// certificates that the machine trusts.
    ///
    /// # Errors
    ///
    /// When the machine's certificates cannot be used.
    pub fn new() -> Result<Self, TlsConfigError> {
        Self::builder().build()
    }

    /// Other settings.
    pub fn builder() -> WebSocketConnectorBuilder {
        WebSocketConnectorBuilder::default()
    }
}

impl std::fmt::Debug for WebSocketConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketConnector")
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

impl WebSocketConnectorBuilder {
    /// Trusts only these certificates, instead of those that the machine trusts.
    pub fn root_certificates(mut self, roots: RootCertStore) -> Self {
        self.roots = Roots::Custom(Arc::new(roots));
        self
    }

    /// Uses this crypto provider. Default: aws-lc-rs, whatever the process's default is.
    pub fn crypto_provider(mut self, provider: CryptoProvider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Uses this HTTP proxy for all hosts, whatever the environment says: `http://user:password@host:port`. Both `ws`
    /// and `wss` go through a tunnel (`CONNECT`).
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxies = Some(Proxies::always(url));
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Some(Proxies::Off);
        self
    }

    /// Makes the connector.
    ///
    /// # Errors
    ///
    /// When the certificates cannot be used.
    pub fn build(self) -> Result<WebSocketConnector, TlsConfigError> {
        let config = tls::config(self.provider, self.roots)?;
        Ok(WebSocketConnector {
            proxies: self.proxies.unwrap_or_else(Proxies::from_environment),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

impl Connector for WebSocketConnector {
    type Transport = WebSocketTransport;

    async fn connect(&self, dial: Dial) -> Result<WebSocketTransport, DialFailure> {
        let stream = proxy::connect(&dial.url, &self.proxies).await?;
        let stream = match dial.url.scheme() {
            "wss" => Either::Right(self.encrypt(&dial, stream).await?),
            _ => Either::Left(stream),
        };
        let mut request = dial.url.as_str().into_client_request().map_err(|_| {
            DialFailure::Credential("the client access URL is not valid".to_owned())
        })?;
        let offered = HeaderValue::from_str(&dial.subprotocol)
            .map_err(|_| DialFailure::Subprotocol(dial.subprotocol.clone()))?;
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, offered);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(dial.max_message_bytes))
            .max_frame_size(Some(dial.max_message_bytes));
        let (socket, response) = client_async_with_config(request, stream, Some(config))
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
        Ok(WebSocketTransport {
            socket,
            goodbye: Goodbye::Unsaid,
        })
    }
}

impl WebSocketConnector {
    async fn encrypt(
        &self,
        dial: &Dial,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, DialFailure> {
        let host = dial.url.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host).map_err(|_| {
            DialFailure::Credential("the client access URL has no valid host".to_owned())
        })?;
        self.tls
            .connect(name, stream)
            .await
            .map_err(|error| proxy::network(&error))
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
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::SecWebSocketSubProtocolError(_),
        ) => DialFailure::Subprotocol(dial.subprotocol.clone()),
        Error::Url(_) | Error::HttpFormat(_) => {
            DialFailure::Credential("the client access URL is not valid".to_owned())
        }
        error => proxy::network(&error),
    }
}

/// A WebSocket of a [`WebSocketConnector`].
#[derive(Debug)]
pub struct WebSocketTransport {
    socket: WebSocketStream<Either<TcpStream, TlsStream<TcpStream>>>,
    goodbye: Goodbye,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    Unsaid,
    Said,
    Flushed,
}

impl Stream for WebSocketTransport {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
            return Poll::Ready(Some(match message {
                Some(Ok(Message::Text(text))) => Ok(WireFrame::Text(shared(text))),
                Some(Ok(Message::Binary(bytes))) => Ok(WireFrame::Binary(bytes)),
                // tungstenite answers pings itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => Err(closure_of(frame)),
                Some(Err(error)) => Err(closure_of_error(&error)),
                None => Err(Closure::default()),
            }));
        }
    }
}

impl Sink<WireFrame> for WebSocketTransport {
    type Error = Closure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket)
            .poll_ready(cx)
            .map_err(|error| closure_of_error(&error))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        let message = match frame {
            WireFrame::Text(text) => Message::Text(shared_text(text)),
            WireFrame::Binary(bytes) => Message::Binary(bytes),
        };
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(|error| closure_of_error(&error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket)
            .poll_flush(cx)
            .map_err(|error| closure_of_error(&error))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket)
            .poll_close(cx)
            .map_err(|error| closure_of_error(&error))
    }
}

impl Transport for WebSocketTransport {
    fn poll_goodbye(mut self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()> {
        if self.goodbye == Goodbye::Unsaid {
            if ready!(Pin::new(&mut self.socket).poll_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason: Utf8Bytes::default(),
            };
            if Pin::new(&mut self.socket)
                .start_send(Message::Close(Some(frame)))
                .is_err()
            {
                return Poll::Ready(());
            }
            self.goodbye = Goodbye::Said;
        }
        if self.goodbye == Goodbye::Said {
            if ready!(Pin::new(&mut self.socket).poll_flush(cx)).is_err() {
                return Poll::Ready(());
            }
            self.goodbye = Goodbye::Flushed;
        }
        // Until the peer has closed, too.
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {}
        Poll::Ready(())
    }
}

fn shared(text: Utf8Bytes) -> ByteString {
    ByteString::try_from(bytes::Bytes::from(text)).expect("text messages are UTF-8")
}

fn shared_text(text: ByteString) -> Utf8Bytes {
    Utf8Bytes::try_from(text.into_bytes()).expect("a ByteString is UTF-8")
}

fn closure_of(frame: Option<CloseFrame>) -> Closure {
    frame.map_or_else(Closure::default, |frame| Closure {
        code: Some(frame.code.into()),
        reason: frame.reason.to_string(),
        error: None,
    })
}

fn closure_of_error(error: &Error) -> Closure {
    Closure {
        code: None,
        reason: String::new(),
        error: Some(error.to_string()),
    }
}
