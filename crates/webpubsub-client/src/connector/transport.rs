//! An open WebSocket of tokio-tungstenite.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::{Sink, Stream};
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use webpubsub_protocol::session::{Closure, WireFrame};

use super::Transport;
use super::socket::Socket;

/// How long the answer to a close frame may take to leave a socket that takes no more bytes.
const ANSWER: Duration = Duration::from_secs(1);

/// A WebSocket of a [`WebSocketConnector`](super::WebSocketConnector).
pub struct WebSocketTransport {
    socket: WebSocketStream<Socket>,
    /// What ended the socket, while the peer's close frame is being answered.
    answering: Option<Box<(Closure, Pin<Box<Sleep>>)>>,
    closing: Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Unsent,
    Sent,
    Flushed,
}

impl WebSocketTransport {
    pub(super) const fn new(socket: WebSocketStream<Socket>) -> Self {
        Self {
            socket,
            answering: None,
            closing: Closing::Unsent,
        }
    }

    /// tungstenite has queued the answer to the close frame; it must leave before the socket is dropped.
    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Closure>> {
        let Some(answering) = &mut self.answering else {
            return Poll::Ready(None);
        };
        let is_flushed = Pin::new(&mut self.socket).poll_flush(cx).is_ready();
        if is_flushed || answering.1.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.answering.take().map(|answering| answering.0));
        }
        Poll::Pending
    }
}

impl Stream for WebSocketTransport {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(closure) = ready!(self.poll_answered(cx)) {
                return Poll::Ready(Some(Err(closure)));
            }
            let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
            return Poll::Ready(Some(match message {
                Some(Ok(Message::Text(text))) => Ok(WireFrame::Text(shared(text))),
                Some(Ok(Message::Binary(bytes))) => Ok(WireFrame::Binary(bytes)),
                // tungstenite answers pings itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    let limit = Box::pin(tokio::time::sleep(ANSWER));
                    self.answering = Some(Box::new((closure_of(frame), limit)));
                    continue;
                }
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
    fn poll_close_with(mut self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()> {
        if self.closing == Closing::Unsent {
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
            self.closing = Closing::Sent;
        }
        if self.closing == Closing::Sent {
            if ready!(Pin::new(&mut self.socket).poll_flush(cx)).is_err() {
                return Poll::Ready(());
            }
            self.closing = Closing::Flushed;
        }
        // Until the peer has closed, too.
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {}
        Poll::Ready(())
    }
}

impl fmt::Debug for WebSocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketTransport")
            .field("closing", &self.closing)
            .finish_non_exhaustive()
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
        ..Closure::default()
    })
}

fn closure_of_error(error: &Error) -> Closure {
    let too_large = match error {
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => Some(*max_size),
        _ => None,
    };
    Closure {
        error: Some(error.to_string()),
        too_large,
        ..Closure::default()
    }
}
