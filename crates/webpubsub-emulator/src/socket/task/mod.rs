//! One task per socket: it drains the outbox, hands frames to the hub, and keeps the line alive.
//! Generic over the transport, so that tests can stall, cut or script one.
//!
//! It is one future written by hand, since an emulator has many of them: an idle socket holds its transport, one timer
//! and no buffer. Each time it is polled it takes turns, first writing, then reading, neither of which is long. So a client
//! that sends much is answered while it does, and one that is sent much is heard.
//!
//! A client is not read while its own outbox is more than half full, or one that it filled, as long as the client
//! at the other end still takes something ([`crate::hub::Crowded`]).

mod faults;
#[cfg(feature = "__simulation")]
mod held;
mod read;
mod wait;
mod write;

use std::future::Future;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{BufMut as _, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use webpubsub_protocol::limits::MESSAGE_BYTES;

use faults::Disturbance;
#[cfg(feature = "__simulation")]
pub(super) use held::Holds;
use read::Ahead;

use super::decode::Decoder;
use super::guard::SocketGuard;
use super::reader::Reader;
use super::writer::Writer;
use crate::clock::Timer;
use crate::faults::line::Line as FaultyLine;
use crate::hub::{Crowded, Flush, FrameKind, Line, Outbox, Wakes, WireFrame};

/// Turns of writing and reading before other sockets have theirs.
const TURNS: usize = 8;

/// What is still read of a message. Above the service's limit, so that a message that is a little too large is read whole
/// and answered by a clean 1009 instead of a reset.
const READABLE_BYTES: usize = 2 * MESSAGE_BYTES;
/// Runs a socket until it is closed, or until the service goes away without waiting for it.
///
/// The task holds the only lasting reference to the socket, so that aborting the task closes it.
pub(super) struct SocketTask<T>(Arc<Shared<T>>);

/// A socket, and its outbox, which may be asked without waiting for the socket.
struct Shared<T> {
    outbox: Arc<Outbox>,
    socket: Mutex<Socket<T>>,
}

struct Socket<T> {
    // Dropped before the guard: whoever waits for the guard knows that nothing is written any more.
    io: FaultyLine<T>,
    guard: SocketGuard,
    reader: Reader,
    decoder: Decoder,
    writer: Writer,
    phase: Phase,
    /// The task, once it has begun.
    task: Option<Waker>,
    /// Outboxes that this client filled.
    crowded: Crowded,
    /// What was read while it was held back.
    ahead: Ahead,
    /// Whether that leaves room for more.
    is_heard: bool,
    timer: Timer,
    /// When the client was last heard, or read again after it was not.
    heard_at: Instant,
    ping_at: Instant,
    /// When the transport last took something of what waits for it.
    blocked_since: Option<Instant>,
    /// Whether the outbox holds the client for one that does not take what it is sent.
    has_stalled: bool,
    disturbance: Option<Box<Disturbance>>,
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is under way, or its answer is awaited, at most until then.
    Closing {
        until: Instant,
        /// Whether the client closed, so that there is no answer.
        by_client: bool,
        is_shut: bool,
    },
}

/// A turn; a break ends the task.
type Turn<T> = ControlFlow<(), T>;

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> SocketTask<T> {
    /// A socket whose handshake is done.
    pub(super) fn new(io: T, guard: SocketGuard) -> Self {
        guard.hub.handshake_done(guard.attachment.key);
        let (outbox, epoch) = (Arc::clone(&guard.attachment.outbox), guard.attachment.epoch);
        let shared = Arc::new(Shared {
            outbox,
            socket: Mutex::new(Socket::new(io, guard)),
        });
        let socket: Arc<dyn Flush> = Arc::<Shared<T>>::clone(&shared);
        shared.outbox.set_socket(epoch, Arc::downgrade(&socket));
        Self(shared)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Future for SocketTask<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            let mut socket = self.0.socket.lock();
            let mut wakes = Wakes::default();
            let turn = socket.take_turn(cx, &mut wakes);
            if turn.is_break() {
                socket.give_up();
            }
            let has_woken = !wakes.is_empty();
            if has_woken {
                let clock = socket.guard.service.clock().clone();
                drop(socket);
                wakes.carry_out(&clock);
            }
            match turn {
                Break(()) => return Poll::Ready(()),
                Continue(false) => return Poll::Pending,
                // Writing to others takes its time.
                Continue(true) if has_woken => break,
                Continue(true) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: AsyncWrite + AsyncRead + Send + Unpin> Flush for Shared<T> {
    fn flush(&self, now: Instant) {
        match self.socket.try_lock() {
            Some(mut socket) => socket.flush(now),
            // The task, or somebody else, is at it and may have looked already.
            None => self.outbox.wake_task(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    fn new(io: T, guard: SocketGuard) -> Self {
        let now = guard.service.clock().mono();
        let ping_at = now + guard.service.settings().limits.ping_interval;
        Self {
            io: FaultyLine::new(io),
            reader: Reader::new(READABLE_BYTES),
            decoder: Decoder::new(guard.attachment.outbox.form(), guard.service.settings()),
            writer: Writer::default(),
            phase: Phase::Open,
            task: None,
            crowded: Crowded::default(),
            ahead: Ahead::default(),
            is_heard: true,
            timer: Timer::new(guard.service.clock().clone(), ping_at),
            heard_at: now,
            ping_at,
            blocked_since: None,
            has_stalled: false,
            disturbance: None,
            guard,
        }
    }

    /// Writes, then reads. Whether there is reason for another turn; if not, it waits. Whoever goes on because of what was
    /// read is added to `wakes`.
    fn take_turn(&mut self, cx: &mut Context<'_>, wakes: &mut Wakes) -> Turn<bool> {
        if self
            .task
            .as_ref()
            .is_none_or(|task| !task.will_wake(cx.waker()))
        {
            self.task = Some(cx.waker().clone());
        }
        let now = self.guard.service.clock().mono();
        if self.may_be_disturbed() {
            self.be_disturbed(cx, now)?;
        }
        let found = self.write(cx, now)?;
        let has_more = match (self.phase, found.line) {
            (Phase::Open, Line::Open | Line::NotYet) => self.read(cx, now, found, wakes)?,
            (
                Phase::Closing {
                    by_client: true, ..
                },
                _,
            ) => false,
            _ => self.await_answer(cx)?,
        };
        if !has_more {
            self.wait(cx, now, found)?;
        } else if !wakes.is_empty() {
            // The client's own answers do not wait for what others are sent.
            self.write(cx, now)?;
        }
        if self.disturbance.is_some() {
            self.strike(cx, now)?;
            self.drive(cx)?;
        }
        Continue(has_more)
    }
}

/// A close frame; one without a status has no payload.
pub(super) fn close_frame(close: Option<(u16, &str)>) -> WireFrame {
    let mut payload = BytesMut::new();
    if let Some((code, reason)) = close {
        payload.put_u16(code);
        payload.put_slice(reason.as_bytes());
    }
    WireFrame::new(FrameKind::Close, payload.freeze())
}

/// What a socket with such a transport holds in place.
#[cfg(test)]
pub(super) const fn size<T>() -> usize {
    size_of::<Shared<T>>()
}
