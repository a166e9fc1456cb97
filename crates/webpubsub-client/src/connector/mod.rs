//! How a client opens its WebSocket. Implement [`Connector`] for other transports, and for tests.

#[cfg(feature = "websocket")]
mod frames;
#[cfg(feature = "websocket")]
mod handshake;
#[cfg(feature = "websocket")]
mod proxy;
#[cfg(feature = "websocket")]
mod socket;
#[cfg(feature = "websocket")]
mod tls;
#[cfg(feature = "websocket")]
mod transport;
#[cfg(feature = "websocket")]
mod websocket;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, Stream};
use url::Url;
use webpubsub_protocol::session::{Closure, DialFailure};

#[cfg(feature = "websocket")]
pub use proxy::ProxyError;
#[cfg(feature = "websocket")]
pub use tls::TlsError;
#[cfg(feature = "websocket")]
pub use transport::WebSocketTransport;
#[cfg(feature = "websocket")]
pub use websocket::{WebSocketConnector, WebSocketConnectorBuilder};

pub use webpubsub_protocol::session::WireFrame;

/// A WebSocket to open.
#[derive(Clone)]
#[non_exhaustive]
pub struct Dial {
    /// The URL, with the scheme `ws` or `wss`. It is a secret, because its query contains a token.
    pub url: Url,
    /// The only subprotocol to offer. If the service does not agree to it, report [`DialFailure::Subprotocol`].
    pub subprotocol: String,
    /// The maximum size of a message, in bytes. A larger one ends the connection.
    pub max_message_bytes: usize,
}

impl Dial {
    /// Creates a dial, for tests of connectors.
    #[must_use]
    pub fn new(url: Url, subprotocol: impl Into<String>, max_message_bytes: usize) -> Self {
        Self {
            url,
            subprotocol: subprotocol.into(),
            max_message_bytes,
        }
    }
}

/// Shows the URL without its query.
impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        f.debug_struct("Dial")
            .field("url", &url.as_str())
            .field("subprotocol", &self.subprotocol)
            .field("max_message_bytes", &self.max_message_bytes)
            .finish()
    }
}

/// Opens WebSockets.
///
/// [`WebSocketConnector`] is the default; it uses tokio-tungstenite. Implement this trait to use another transport, or to
/// test an application without a network.
pub trait Connector: Send + Sync + 'static {
    /// An open WebSocket.
    type Transport: Transport;

    /// Opens a WebSocket. Dropping the future abandons the attempt.
    ///
    /// # Errors
    ///
    /// The reason why it could not be opened, by which the client decides whether to try again.
    fn connect(
        &self,
        dial: Dial,
    ) -> impl Future<Output = Result<Self::Transport, DialFailure>> + Send;
}

/// An open WebSocket. As a stream it yields messages, and finally the error that ended it; as a sink it takes messages. It
/// answers a close frame of the peer with the same code before it reports it. Dropping it aborts the connection without a
/// close frame.
pub trait Transport:
    Stream<Item = Result<WireFrame, Closure>> + Sink<WireFrame, Error = Closure> + Send + 'static
{
    /// Sends the waiting messages and a close frame with this code, and waits for the close frame of the peer. Ready when the
    /// socket is closed, or has failed.
    fn poll_close_with(self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()>;
}

/// A connector could not be created with these settings.
#[cfg(feature = "websocket")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The TLS settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A connector behind a pointer.
pub(crate) trait AnyConnector: Send + Sync {
    fn connect_any(&self, dial: Dial) -> ConnectFuture<'_>;
}

pub(crate) type AnyTransport = Pin<Box<dyn Transport>>;
pub(crate) type ConnectFuture<'a> =
    Pin<Box<dyn Future<Output = Result<AnyTransport, DialFailure>> + Send + 'a>>;

impl<C: Connector> AnyConnector for C {
    fn connect_any(&self, dial: Dial) -> ConnectFuture<'_> {
        Box::pin(async move {
            let transport = self.connect(dial).await?;
            Ok(Box::pin(transport) as AnyTransport)
        })
    }
}
