//! How a client gets a WebSocket: the seam for other transports, and for tests.

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
    /// Where to, `ws` or `wss`. A secret: its query holds a token.
    pub url: Url,
    /// The one subprotocol to offer. A socket without it is no use: report
    /// [`DialFailure::Subprotocol`].
    pub subprotocol: String,
    /// Larger messages end the connection.
    pub max_message_bytes: usize,
}

impl Dial {
    /// A dial, for tests of connectors.
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
/// [`WebSocketConnector`] is the usual one, on tokio-tungstenite. Implement it for another transport, or to test an
/// application without a network.
pub trait Connector: Send + Sync + 'static {
    /// An open WebSocket.
    type Transport: Transport;

    /// Opens one. Dropping the future gives it up.
    ///
    /// # Errors
    ///
    /// Why there is none; the client decides by it whether to try again.
    fn connect(
        &self,
        dial: Dial,
    ) -> impl Future<Output = Result<Self::Transport, DialFailure>> + Send;
}

/// An open WebSocket. As a stream it gives messages until it ends with an error, as a sink it takes them. Before it
/// reports a close frame of the peer, it answers it with the same code. Dropping it aborts the connection without a close
/// frame.
pub trait Transport:
    Stream<Item = Result<WireFrame, Closure>> + Sink<WireFrame, Error = Closure> + Send + 'static
{
    /// Sends what waits, then a close frame with this code, and waits for the peer's. Ready when nothing more can be
    /// done for it.
    fn poll_close_with(self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()>;
}

/// A connector cannot be made with these settings.
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
