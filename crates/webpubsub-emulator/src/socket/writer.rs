//! The write side of a socket: frames that the transport has not taken yet, written from where they are.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::hub::{FrameKind, WireFrame};

/// Pieces that are written at once; the system takes at most 1024.
const SLICES: usize = 64;

/// A writer that held few frames keeps their places, so that the usual message allocates nothing.
const PLACES_KEPT: usize = 4;

/// Frames on their way into the transport. Empty, it holds hardly any memory.
#[derive(Debug, Default)]
pub(super) struct Writer {
    frames: VecDeque<WireFrame>,
    /// Bytes of the first frame that are written.
    written: usize,
    /// Whether something was written since the last flush.
    unflushed: bool,
    /// Whether a ping and a pong are among the frames. One of each is enough.
    has_ping: bool,
    has_pong: bool,
}

impl Writer {
    /// Whether the transport has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.unflushed
    }

    pub(super) fn push(&mut self, frame: WireFrame) {
        self.frames.push_back(frame);
    }

    /// What is not written yet, or not completely.
    pub(super) fn frames(&self) -> impl Iterator<Item = &WireFrame> {
        self.frames.iter()
    }

    /// Puts a ping or pong before all frames that are not begun, unless one waits already.
    pub(super) fn push_first(&mut self, frame: WireFrame) {
        let waits = match frame.kind() {
            FrameKind::Ping => &mut self.has_ping,
            _ => &mut self.has_pong,
        };
        if !std::mem::replace(waits, true) {
            let at = usize::from(self.written > 0);
            self.frames.insert(at, frame);
        }
    }

    /// Forgets what is not begun: only `last` comes after a frame that is under way.
    pub(super) fn end_with(&mut self, last: WireFrame) {
        self.frames.truncate(usize::from(self.written > 0));
        self.frames.push_back(last);
    }

    /// Writes once. Ready with the bytes that the transport took; with none once everything is written and flushed.
    ///
    /// # Errors
    ///
    /// The transport is broken.
    pub(super) fn poll_write<T: AsyncWrite>(
        &mut self,
        mut io: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.frames.is_empty() {
            if self.unflushed {
                ready!(io.poll_flush(cx))?;
                self.unflushed = false;
            }
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        let mut skip = self.written;
        for frame in &self.frames {
            used = frame.fill(skip, &mut slices, used);
            if used == SLICES {
                break;
            }
            skip = 0;
        }
        let taken = match &slices[..used] {
            // The shorter way through the system.
            [one] => ready!(io.as_mut().poll_write(cx, one))?,
            all => ready!(io.as_mut().poll_write_vectored(cx, all))?,
        };
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        self.advance(taken);
        Poll::Ready(Ok(taken))
    }

    fn advance(&mut self, taken: usize) {
        self.written += taken;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            match first.kind() {
                FrameKind::Ping => self.has_ping = false,
                FrameKind::Pong => self.has_pong = false,
                _ => {}
            }
            self.frames.pop_front();
        }
        if self.frames.is_empty() && self.frames.capacity() > PLACES_KEPT {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;

    fn text(payload: &'static str) -> WireFrame {
        WireFrame::new(FrameKind::Text, Bytes::from_static(payload.as_bytes()))
    }

    /// Writes until the transport takes nothing more, or everything is written.
    fn write(writer: &mut Writer, io: &mut DuplexStream) {
        let mut cx = Context::from_waker(futures_util::task::noop_waker_ref());
        while let Poll::Ready(taken) = writer.poll_write(Pin::new(io), &mut cx) {
            if taken.expect("an open pipe") == 0 {
                return;
            }
        }
    }

    async fn read(io: &mut DuplexStream, bytes: usize) -> Vec<u8> {
        let mut all = vec![0; bytes];
        io.read_exact(&mut all).await.expect("an open pipe");
        all
    }

    #[tokio::test]
    async fn control_frames_pass_what_is_not_begun_and_cut_nothing() {
        let (mut near, mut far) = duplex(4);
        let mut writer = Writer::default();
        writer.push(text("first"));
        writer.push(text("second"));
        write(&mut writer, &mut near);
        for _ in 0..3 {
            writer.push_first(WireFrame::new(FrameKind::Pong, Bytes::new()));
        }
        let mut seen = Vec::new();
        while seen.len() < 17 {
            seen.extend(read(&mut far, 1).await);
            write(&mut writer, &mut near);
        }
        assert_eq!(seen, b"\x81\x05first\x8a\x00\x81\x06second");
        assert!(writer.is_empty());
        assert!(writer.frames.capacity() <= PLACES_KEPT, "no buffer stays");
    }

    #[tokio::test]
    async fn a_last_frame_comes_after_the_one_under_way() {
        let (mut near, mut far) = duplex(3);
        let mut writer = Writer::default();
        writer.push(text("first"));
        writer.push(text("second"));
        write(&mut writer, &mut near);
        writer.end_with(WireFrame::new(FrameKind::Close, Bytes::new()));
        let mut seen = Vec::new();
        while seen.len() < 9 {
            seen.extend(read(&mut far, 1).await);
            write(&mut writer, &mut near);
        }
        assert_eq!(seen, b"\x81\x05first\x88\x00");
        assert!(writer.is_empty());
    }
}
