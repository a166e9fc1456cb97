//! The stream of a handshake, which ends with the head of the response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;

/// How a response begins that accepts the upgrade.
const ACCEPTED: &[u8] = b"HTTP/1.1 101";

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The most that is read for a response, in bytes.
const RESPONSE_BYTES: usize = 64 * 1024;

/// What is read at once.
const CHUNK_BYTES: usize = 2 * 1024;

/// A connection on which the upgrade is negotiated.
///
/// Frames that follow an accepted upgrade in the same packet are kept for the [`Decoder`](super::frames::Decoder); a
/// refusal passes through whole, with its text. Flushing the request waits for the head of the response, because that is
/// when tungstenite makes its read buffer: clients that all connect at once then do not need one each at the same time.
pub(super) struct Upgrading {
    socket: Socket,
    /// What was read.
    response: Vec<u8>,
    /// What of it is for the handshake, once that is known.
    response_len: Option<usize>,
    /// What of it was passed on.
    passed: usize,
}

impl Upgrading {
    pub(super) const fn new(socket: Socket) -> Self {
        Self {
            socket,
            response: Vec::new(),
            response_len: None,
            passed: 0,
        }
    }

    /// The connection, and what was read of the first frames.
    pub(super) fn into_parts(self) -> (Socket, Vec<u8>) {
        let mut read = self.response;
        let frames = read.split_off(self.response_len.unwrap_or(read.len()));
        (self.socket, frames)
    }

    /// Reads until the head is complete, or until the peer ends the connection.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; CHUNK_BYTES];
        while self.response_len.is_none() {
            let mut buffer = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            self.add(buffer.filled());
            if self.response.len() > RESPONSE_BYTES {
                return Poll::Ready(Err(io::Error::other("the response is too long")));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Adds what was read; nothing is the end.
    fn add(&mut self, read: &[u8]) {
        let from = self.response.len().saturating_sub(END_OF_HEAD.len() - 1);
        self.response.extend_from_slice(read);
        let mut ends = self.response[from..].windows(END_OF_HEAD.len());
        let end = ends.position(|bytes| bytes == END_OF_HEAD);
        self.response_len = match end {
            Some(end) if self.response.starts_with(ACCEPTED) => {
                Some(from + end + END_OF_HEAD.len())
            }
            Some(_) => Some(self.response.len()),
            None if read.is_empty() => Some(self.response.len()),
            None => None,
        };
    }
}

impl AsyncRead for Upgrading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_head(cx))?;
        let end = self.response_len.unwrap_or(self.response.len());
        if self.passed == end {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        let len = buffer.remaining().min(end - self.passed);
        buffer.put_slice(&self.response[self.passed..][..len]);
        self.passed += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgrading {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.poll_head(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_behind_the_head_are_kept_and_a_refusal_keeps_its_text() {
        let accepted: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\na: b\r\n\r\nframes";
        let refused: &[u8] = b"HTTP/1.1 404 Not Found\r\n\r\nwhy";
        for (response, size, frames) in [
            (accepted, accepted.len(), "frames"),
            (accepted, 9, "fra"),
            (accepted, 1, ""),
            (refused, refused.len(), ""),
        ] {
            let mut upgrading = Upgrading::new(Box::new(tokio::io::empty()));
            for piece in response.chunks(size) {
                if upgrading.response_len.is_none() {
                    upgrading.add(piece);
                }
            }
            let (_, rest) = upgrading.into_parts();
            assert_eq!(rest, frames.as_bytes(), "in pieces of {size}");
        }
    }

    #[test]
    fn a_response_that_breaks_off_ends() {
        let mut upgrading = Upgrading::new(Box::new(tokio::io::empty()));
        upgrading.add(b"HTTP/1.1 101 Swit");
        assert_eq!(upgrading.response_len, None);
        upgrading.add(b"");
        assert_eq!(upgrading.response_len, Some(17));
    }
}
