//! An open WebSocket.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use webpubsub_protocol::session::{Closure, WireFrame};

use super::Transport;
use super::frames::{self, CloseFrame, Decoder, Incoming};
use super::socket::Socket;

/// How long the answer to a close frame may take to leave a socket that takes no more bytes.
const ANSWER: Duration = Duration::from_secs(1);

/// The bytes of frames that are gathered before they are written, give or take a frame.
const WRITE_BYTES: usize = 64 * 1024;

/// A WebSocket of a [`WebSocketConnector`](super::WebSocketConnector). While nothing is under way it holds no buffers.
pub struct WebSocketTransport {
    socket: Socket,
    decoder: Decoder,
    /// Frames to write.
    out: Vec<u8>,
    /// How much of them was written.
    written: usize,
    /// The socket took no more bytes. Until it has taken all, no more frames are.
    is_blocked: bool,
    /// The payload of the last ping that was not answered.
    ping: Option<Bytes>,
    /// What ended the socket, while the peer's close frame is being answered.
    answering: Option<Box<(Closure, Pin<Box<Sleep>>)>>,
    closing: Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// We wrote a close frame first.
    ByUs,
    /// Nothing more can be read.
    Over,
}

impl WebSocketTransport {
    /// `already_read` are the first bytes of frames, which came with the answer to the handshake.
    pub(super) fn new(socket: Socket, max_message_bytes: usize, already_read: &[u8]) -> Self {
        Self {
            socket,
            decoder: Decoder::new(max_message_bytes, already_read),
            out: Vec::new(),
            written: 0,
            is_blocked: false,
            ping: None,
            answering: None,
            closing: Closing::Open,
        }
    }

    /// Writes what was gathered, and the answer to a ping. A socket that takes no more bytes gathers no answers: the
    /// last ping is the one that is answered.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.is_blocked
                && let Some(payload) = self.ping.take()
            {
                frames::write_pong(&mut self.out, &payload);
            }
            while self.written < self.out.len() {
                let bytes = &self.out[self.written..];
                let Poll::Ready(written) = Pin::new(&mut self.socket).poll_write(cx, bytes) else {
                    self.is_blocked = true;
                    return Poll::Pending;
                };
                match written? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.written += written,
                }
            }
            self.is_blocked = false;
            self.written = 0;
            self.out = Vec::new();
            if self.ping.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Writes what was gathered, down to the network.
    fn poll_out_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// The next message or control frame; an error ends the socket.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Error>> {
        loop {
            if let Some(incoming) = self.decoder.next()? {
                return Poll::Ready(Ok(incoming));
            }
            let read = {
                let space = self.decoder.space();
                pin!(self.socket.read_buf(space)).poll(cx)
            };
            match read {
                Poll::Pending => {
                    self.decoder.rest();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(ProtocolError::ResetWithoutClosingHandshake.into()));
                }
                Poll::Ready(read) => self.decoder.has_read(read?),
            }
        }
    }

    /// The answer to the peer's close frame must leave before the socket is dropped.
    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Closure>> {
        let Some(answering) = &mut self.answering else {
            return Poll::Ready(None);
        };
        let is_late = answering.1.as_mut().poll(cx).is_ready();
        if is_late || self.poll_out_and_flush(cx).is_ready() {
            self.closing = Closing::Over;
            return Poll::Ready(self.answering.take().map(|answering| answering.0));
        }
        Poll::Pending
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked || self.out.len() >= WRITE_BYTES
    }
}

impl Stream for WebSocketTransport {
    type Item = Result<WireFrame, Closure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(closure) = ready!(self.poll_answered(cx)) {
                return Poll::Ready(Some(Err(closure)));
            }
            if self.closing == Closing::Over {
                return Poll::Ready(None);
            }
            let closure = match ready!(self.poll_incoming(cx)) {
                Ok(Incoming::Message(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Incoming::Pong) => continue,
                Ok(Incoming::Ping(payload)) => {
                    if self.closing == Closing::Open {
                        self.ping = Some(payload);
                        // What keeps it from being written shows when the next frame is written or read.
                        let _ = self.poll_out_and_flush(cx);
                    }
                    continue;
                }
                Ok(Incoming::Close(frame)) if self.closing == Closing::Open => {
                    frames::write_close(&mut self.out, frame.as_ref());
                    let limit = Box::pin(tokio::time::sleep(ANSWER));
                    self.answering = Some(Box::new((closure_of(frame), limit)));
                    continue;
                }
                Ok(Incoming::Close(frame)) => closure_of(frame),
                Err(error) => closure_of_error(&error),
            };
            self.closing = Closing::Over;
            return Poll::Ready(Some(Err(closure)));
        }
    }
}

impl Sink<WireFrame> for WebSocketTransport {
    type Error = Closure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        if self.is_blocked() {
            ready!(self.poll_out(cx)).map_err(|error| closure_of_error(&error.into()))?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: WireFrame) -> Result<(), Closure> {
        if self.closing != Closing::Open || self.answering.is_some() {
            return Err(closure_of_error(&ProtocolError::SendAfterClosing.into()));
        }
        frames::write_message(&mut self.out, &frame);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        let flushed = ready!(self.poll_out_and_flush(cx));
        Poll::Ready(flushed.map_err(|error| closure_of_error(&error.into())))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closure>> {
        if self.closing == Closing::Open && self.answering.is_none() {
            frames::write_close(&mut self.out, None);
            self.closing = Closing::ByUs;
        }
        self.poll_flush(cx)
    }
}

impl Transport for WebSocketTransport {
    fn poll_close_with(mut self: Pin<&mut Self>, cx: &mut Context<'_>, code: u16) -> Poll<()> {
        if self.closing == Closing::Open && self.answering.is_none() {
            let reason = "".into();
            frames::write_close(&mut self.out, Some(&CloseFrame { code, reason }));
            self.closing = Closing::ByUs;
        }
        if ready!(self.poll_out_and_flush(cx)).is_err() || self.closing == Closing::Over {
            return Poll::Ready(());
        }
        // The service ends the connection when both have closed.
        while ready!(self.poll_incoming(cx)).is_ok() {}
        self.closing = Closing::Over;
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

fn closure_of(frame: Option<CloseFrame>) -> Closure {
    frame.map_or_else(Closure::default, |frame| Closure {
        code: Some(frame.code),
        reason: frame.reason.into(),
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// As RFC 6455 allows: the answer to the last ping stands for all.
    #[tokio::test]
    async fn a_socket_that_takes_no_bytes_gathers_no_answers_to_pings() {
        const PAYLOAD: usize = 125;
        let (near, mut far) = tokio::io::duplex(1024);
        let mut transport = WebSocketTransport::new(Box::new(near), 1 << 20, &[]);
        for n in 0..1000 {
            far.write_all(&[0x89, 125]).await.unwrap();
            far.write_all(format!("{n:0>PAYLOAD$}").as_bytes())
                .await
                .unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut transport).poll_next(&mut cx).is_pending());
        }
        let held = transport.out.len();
        assert!(held < 2048, "{held} bytes wait");

        let flush = poll_fn(|cx| Pin::new(&mut transport).poll_flush(cx));
        let read = async {
            for pongs in 1.. {
                let mut pong = [0; 2 + 4 + PAYLOAD];
                far.read_exact(&mut pong).await.unwrap();
                let key = [pong[2], pong[3], pong[4], pong[5]];
                let payload = pong[6..].iter().zip(key.iter().cycle());
                let payload: String = payload.map(|(byte, key)| char::from(byte ^ key)).collect();
                if payload.ends_with("0999") {
                    return pongs;
                }
            }
            unreachable!("the last ping is answered");
        };
        let (flushed, pongs) = tokio::join!(flush, read);
        flushed.unwrap();
        assert!(pongs < 20, "{pongs} pongs");
    }
}
