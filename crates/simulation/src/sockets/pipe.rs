//! The line between a socket of the service and its client: bytes in both directions, of which each has room for some.
//! Whoever writes into a full one waits, as on a real line whose other end does not read.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a line is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes that have room in each direction.
    pub(crate) room: usize,
    /// The service's reads and writes are cut into pieces of at most so many bytes.
    pub(crate) piece: usize,
}

/// The service's end.
#[derive(Debug)]
pub(crate) struct Near(Arc<Mutex<Line>>);

/// The client's end.
#[derive(Debug)]
pub(crate) struct Far(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    shape: Shape,
    rng: SmallRng,
    up: Way,
    down: Way,
    /// Nothing passes, and both ends know.
    is_cut: bool,
    /// The service had to wait for room.
    has_been_full: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// Nothing comes after these bytes.
    has_ended: bool,
    /// The service, while it waits for bytes or for room.
    waker: Option<Waker>,
}

/// A line that chooses the sizes of its pieces by a seed.
pub(crate) fn pipe(shape: Shape, seed: u64) -> (Near, Far) {
    let line = Arc::new(Mutex::new(Line {
        shape,
        rng: SmallRng::seed_from_u64(seed),
        up: Way::default(),
        down: Way::default(),
        is_cut: false,
        has_been_full: false,
    }));
    (Near(Arc::clone(&line)), Far(line))
}

impl Far {
    /// Puts as many bytes on the line as have room; how many.
    pub(crate) fn write(&self, bytes: &mut VecDeque<u8>) -> usize {
        let mut line = self.0.lock();
        if line.is_cut {
            return 0;
        }
        let room = line.shape.room.saturating_sub(line.up.bytes.len());
        let taken = room.min(bytes.len());
        if taken > 0 {
            line.up.bytes.extend(bytes.drain(..taken));
            line.up.wake();
        }
        taken
    }

    /// Takes at most so many bytes from the line.
    pub(crate) fn read(&self, most: usize, into: &mut Vec<u8>) -> usize {
        let mut line = self.0.lock();
        let taken = most.min(line.down.bytes.len());
        into.extend(line.down.bytes.drain(..taken));
        if taken > 0 {
            line.down.wake();
        }
        taken
    }

    /// Whether nothing more can be read, now or later.
    pub(crate) fn has_ended(&self) -> bool {
        let line = self.0.lock();
        line.is_cut || line.down.has_ended && line.down.bytes.is_empty()
    }

    /// Whether something can be read.
    pub(crate) fn has_more(&self) -> bool {
        !self.0.lock().down.bytes.is_empty()
    }

    /// Whether the service ever had to wait for room, since the last call.
    pub(crate) fn has_been_full(&self) -> bool {
        std::mem::take(&mut self.0.lock().has_been_full)
    }

    /// Loses what is under way in both directions, and lets both ends know.
    pub(crate) fn cut(&self) {
        let mut line = self.0.lock();
        line.is_cut = true;
        line.up.bytes.clear();
        line.down.bytes.clear();
        line.up.wake();
        line.down.wake();
    }
}

impl Way {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        self.waker = Some(cx.waker().clone());
    }
}

impl Line {
    /// How much of `most` bytes goes at once.
    fn piece(&mut self, most: usize) -> usize {
        most.min(self.rng.random_range(1..=self.shape.piece))
    }
}

impl AsyncRead for Near {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.0.lock();
        if line.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if line.up.bytes.is_empty() {
            if line.up.has_ended {
                return Poll::Ready(Ok(()));
            }
            line.up.wait(cx);
            return Poll::Pending;
        }
        let most = into.remaining().min(line.up.bytes.len());
        let taken = line.piece(most);
        let bytes: Vec<u8> = line.up.bytes.drain(..taken).collect();
        into.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.0.lock();
        if line.is_cut || line.down.has_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = line.shape.room.saturating_sub(line.down.bytes.len());
        if room == 0 {
            line.has_been_full = true;
            line.down.wait(cx);
            return Poll::Pending;
        }
        let wanted = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let taken = line.piece(room.min(wanted));
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        line.down.bytes.extend(bytes.take(taken));
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().down.has_ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.0.lock().down.has_ended = true;
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let mut line = self.0.lock();
        line.up.has_ended = true;
        line.up.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_takes_no_more_until_it_is_read() {
        let shape = Shape { room: 5, piece: 3 };
        let (mut near, far) = pipe(shape, 1);
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while let Poll::Ready(taken) = Pin::new(&mut near).poll_write(&mut cx, b"abcdefg") {
            let taken = taken.expect("an open line");
            assert!((1..=3).contains(&taken), "{taken}");
            written += taken;
        }
        assert_eq!(written, 5);
        assert!(far.has_been_full() && !far.has_been_full());
        let mut read = Vec::new();
        assert_eq!(far.read(2, &mut read), 2);
        let again = Pin::new(&mut near).poll_write(&mut cx, b"x");
        assert!(matches!(again, Poll::Ready(Ok(1))));
        drop(near);
        assert_eq!(far.read(9, &mut read), 4);
        assert!(far.has_ended());
    }

    #[test]
    fn a_cut_is_seen_by_both_ends() {
        let (mut near, far) = pipe(Shape { room: 5, piece: 3 }, 1);
        far.write(&mut VecDeque::from(b"ab".to_vec()));
        far.cut();
        let mut cx = Context::from_waker(Waker::noop());
        let mut space = [0; 8];
        let read = Pin::new(&mut near).poll_read(&mut cx, &mut ReadBuf::new(&mut space));
        assert!(matches!(read, Poll::Ready(Err(_))));
        assert!(far.has_ended() && !far.has_more());
    }
}
