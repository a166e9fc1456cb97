//! Sockets that a test cuts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Sink, Stream};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use webpubsub_client::connector::{Connector, Dial, Transport, WebSocketTransport, WireFrame};
use webpubsub_client::{Closure, DialFailure, WebSocketConnector};

/// The usual connector, whose sockets can be cut: then they are gone without a close frame, as when a network fails.
#[derive(Debug, Clone)]
pub struct Cuttable {
    connector: WebSocketConnector,
    cut: Arc<Notify>,
}

impl Cuttable {
    /// A connector.
    #[must_use]
    pub fn new() -> Self {
        Self {
            connector: WebSocketConnector::new(),
            cut: Arc::default(),
        }
    }

    /// Cuts all sockets that are open.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }
}

impl Default for Cuttable {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector for Cuttable {
    type Transport = CutTransport;

    async fn connect(&self, dial: Dial) -> Result<CutTransport, DialFailure> {
        let socket = self.connector.connect(dial).await?;
        Ok(CutTransport {
            socket,
            cut: Box::pin(Arc::clone(&self.cut).notified_owned()),
        })
    }
}

/// A socket that can be cut.
#[derive(Debug)]
pub struct CutTransport {
    socket: WebSocketTransport,
    cut: Pin<Box<OwnedNotified>>,
}

impl Stream for CutTransport {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Closure {
                error: Some("the test cut the line".to_owned()),
                ..Closure::default()
            })));
        }
        Pin::new(&mut self.socket).poll_next(cx)
    }
}

impl Sink<WireFrame> for CutTransport {
    type Error = Closure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        Pin::new(&mut self.socket).start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

impl Transport for CutTransport {
    fn poll_close_with(mut self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()> {
        Pin::new(&mut self.socket).poll_close_with(cx, code)
    }
}
