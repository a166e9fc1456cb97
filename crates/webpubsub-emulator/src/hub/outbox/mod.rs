//! What waits to go out on one connection. It has its own lock, so a socket drains it without the
//! hub's; only the hub puts in, under its lock, so that all sockets see one order.
//!
//! It lives as long as its connection. Sockets come and go: each has an epoch, and only the latest
//! one drains, once the earlier ones have let go.
//!
//! On a reliable connection every message gets a sequence id and stays here until the client
//! acknowledged it ([`acknowledging`], [`replay`]). It fills while no socket is attached.
//!
//! # Limits and back-pressure
//!
//! An outbox is crowded while it is more than half full and its client still takes what it is sent,
//! or still acknowledges. Whoever fills a crowded outbox waits ([`room`]), so it stays within its limits but for
//! what those who fill it had begun. A client that stalls holds nobody back any more. For it the limits are strict, and
//! it is closed when something exceeds them.
//!
//! A client that sends without pause acknowledges behind its own frames. Its socket looks ahead for acknowledgements
//! while it is held back, but not without end. Beyond that the client is not heard: it holds nobody back, is not closed for
//! what it did not acknowledge, and loses the oldest messages of its replay, so that it cannot be recovered.

mod acknowledging;
mod drain;
mod queue;
mod replay;
mod room;
#[cfg(test)]
mod tests;
mod wakes;

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(crate) use acknowledging::{Acknowledged, Acknowledging};
pub(crate) use drain::{Batch, Found, Line};
use parking_lot::Mutex;
use queue::Queue;
pub(crate) use queue::{Item, Waiting};
use replay::Replay;
pub(crate) use room::Crowded;
use room::Queuers;
pub(crate) use wakes::{Flush, Wakes};

use super::connection::Epoch;
use super::message::{Frame, WireForm};
use crate::inspect::Fill;

/// How long a close waits for queued frames before the socket is aborted.
pub(crate) const CLOSE_DRAIN: Duration = Duration::from_secs(5);

/// The same for a client that does not read: most likely it never will.
pub(crate) const SLOW_DRAIN: Duration = Duration::from_secs(1);

/// How long a client may take nothing while something waits, or acknowledge nothing while much is unacknowledged, until
/// it counts as one that does not read.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(5);

/// On reliable connections control frames fit even when messages fill the queue.
const RELIABLE_EXTRA_FRAMES: usize = 32;
const RELIABLE_EXTRA_BYTES: usize = 64 * 1024;

/// How often more than its limit is kept of what a client leaves unacknowledged while it acknowledges at all.
const ACKNOWLEDGING_FACTOR: usize = 2;

/// The most that a queue of one connection may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutboxLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// How the service ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
    /// When the socket is aborted if it has not drained.
    pub(crate) abort_at: Instant,
}

/// What an outbox holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// What waits for the socket.
    pub(crate) queue: Fill,
    /// What the client has not acknowledged.
    pub(crate) replay: Fill,
    /// Whether the client takes what it is sent.
    pub(crate) reads: bool,
}

/// Why nothing more fits; the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The client does not read.
    Queue,
    /// The client does not acknowledge.
    Replay,
}

impl Full {
    /// Why the client is told to go.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Queue => "The outbound message queue is full.",
            Self::Replay => "The reliable message buffer is full.",
        }
    }
}

pub(crate) struct Outbox {
    form: WireForm,
    /// For what goes to the socket.
    limits: OutboxLimits,
    /// For what the client has not acknowledged.
    replay_limits: OutboxLimits,
    acknowledging: Acknowledging,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    /// Reliable connections only. Boxed: most connections have none.
    replay: Option<Box<Replay>>,
    end: Option<End>,
    /// Of the socket that drains.
    epoch: Epoch,
    /// Sockets that have not let go, earlier ones included.
    sockets: u32,
    /// Of the task of the socket that drains, while it waits.
    waker: Option<Waker>,
    /// The socket that drains.
    socket: Option<Weak<dyn Flush>>,
    /// Whether somebody is about to write to the socket, or its task is about to look.
    is_announced: bool,
    queuers: Queuers,
    /// Frames of this client wait for a handler.
    is_paused: bool,
    /// Whether the client takes what it is sent.
    reads: bool,
    /// Whether the client acknowledges what it is sent.
    acknowledges: bool,
    /// Whether its acknowledgements are read. They are not while the client is held back and has sent much more.
    is_heard: bool,
}

impl State {
    /// Something waits for the socket.
    fn announce(&mut self, wakes: &mut Wakes) {
        if self.is_announced {
            return;
        }
        match self.socket.as_ref().and_then(Weak::upgrade) {
            Some(socket) => {
                self.is_announced = true;
                wakes.flush(socket);
            }
            None => wakes.wake(self.waker.take()),
        }
    }
}

#[derive(Debug)]
enum End {
    /// No socket is attached; messages are still kept.
    Detached,
    Closed(Close),
}

impl Outbox {
    /// An outbox with its first socket.
    pub(crate) fn new(
        form: WireForm,
        acknowledging: Acknowledging,
        limits: OutboxLimits,
        replay_limits: OutboxLimits,
        now: Instant,
    ) -> Arc<Self> {
        let (limits, replay) = match acknowledging {
            Acknowledging::Never => (limits, None),
            Acknowledging::Cumulative => {
                let limits = OutboxLimits {
                    frames: limits.frames + RELIABLE_EXTRA_FRAMES,
                    bytes: limits.bytes + RELIABLE_EXTRA_BYTES,
                };
                (limits, Some(Box::new(Replay::new(now))))
            }
        };
        let state = State {
            queue: Queue::default(),
            replay,
            end: None,
            epoch: Epoch::default(),
            sockets: 1,
            waker: None,
            socket: None,
            is_announced: false,
            queuers: Queuers::default(),
            is_paused: false,
            reads: true,
            acknowledges: true,
            is_heard: true,
        };
        Arc::new(Self {
            form,
            limits,
            replay_limits,
            acknowledging,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn form(&self) -> WireForm {
        self.form
    }

    /// Whether messages are kept until the client has acknowledged them.
    pub(crate) fn is_reliable(&self) -> bool {
        self.acknowledging != Acknowledging::Never
    }

    // For the hub, under its lock. What is to be woken is added to `wakes` and woken after it.

    /// Puts an item at the end. Returns whether the outbox is crowded.
    pub(super) fn push(&self, now: Instant, item: Item, wakes: &mut Wakes) -> Result<bool, Full> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let is_detached = match state.end {
            None => false,
            Some(End::Detached) => true,
            // Nobody will read it.
            Some(End::Closed(_)) => return Ok(false),
        };
        let id = match (&mut state.replay, &item) {
            (Some(replay), Item::Message(message)) => {
                let limits = match state.acknowledges {
                    true => self.replay_limits.times(ACKNOWLEDGING_FACTOR),
                    false => self.replay_limits,
                };
                if replay.is_full_for(now, message, limits) {
                    if !state.acknowledges {
                        return Err(Full::Replay);
                    }
                    replay.make_room_for(message, limits);
                }
                Some(replay.keep(now, message))
            }
            _ => None,
        };
        if is_detached {
            // Acks and pongs are lost; messages wait to be replayed.
            return Ok(false);
        }
        let next = Waiting::new(item, id);
        // What would not even fit alone is too much for anybody.
        let is_too_large = next.len() > self.limits.bytes;
        if is_too_large || !state.reads && state.queue.is_full_for(&next, self.limits) {
            return Err(Full::Queue);
        }
        state.queue.push(next);
        state.announce(wakes);
        Ok(self.is_crowded(state))
    }

    /// Ends the connection after what waits, plus one `last` frame that no limit holds back.
    pub(super) fn close(&self, last: Option<Frame>, close: Close, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if matches!(state.end, None | Some(End::Detached)) {
            if let Some(frame) = last {
                state
                    .queue
                    .push(Waiting::new(Item::Control(Box::new(frame)), None));
            }
            state.end = Some(End::Closed(close));
            state.replay = None;
            wakes.wake(state.waker.take());
            wakes.wake(state.queuers.release());
        }
    }

    /// Whether another socket could go on where the last one stopped.
    pub(super) fn is_recoverable(&self) -> bool {
        let state = self.state.lock();
        state.replay.as_deref().is_some_and(Replay::is_complete)
    }

    /// The client has something that it was sent.
    pub(super) fn acknowledge(&self, now: Instant, acknowledged: Acknowledged, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(replay) = &mut state.replay {
            replay.acknowledge(now, acknowledged);
            state.acknowledges = true;
            wakes.wake(self.release(state));
        }
    }

    /// The socket is gone, the connection waits for another one.
    pub(super) fn detach(&self, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.queue.clear();
            state.end = Some(End::Detached);
            // Strict while nobody is there.
            (state.reads, state.acknowledges) = (false, false);
            wakes.wake(state.queuers.release());
        }
    }

    /// The connection has another socket: it gets `first`, then everything unacknowledged in order. An earlier one
    /// gets nothing more.
    pub(super) fn attach(
        &self,
        now: Instant,
        epoch: Epoch,
        first: Option<Frame>,
        wakes: &mut Wakes,
    ) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.queue.clear();
        if let Some(frame) = first {
            state
                .queue
                .push(Waiting::new(Item::Control(Box::new(frame)), None));
        }
        for waiting in state.replay.iter_mut().flat_map(|replay| replay.again(now)) {
            state.queue.push(waiting);
        }
        state.end = None;
        state.epoch = epoch;
        state.socket = None;
        state.is_announced = false;
        state.sockets += 1;
        (state.reads, state.acknowledges, state.is_heard) = (true, true, true);
        wakes.wake(state.waker.take());
        wakes.wake(self.release(state));
    }

    /// Stops or goes on reading this client's frames.
    pub(super) fn pause(&self, is_paused: bool, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if state.is_paused != is_paused {
            state.is_paused = is_paused;
            wakes.wake(state.waker.take());
        }
    }

    // For those who fill it.

    fn poll_room(&self, cx: &Context<'_>, place: &mut Option<(u64, Waker)>) -> Poll<()> {
        let mut state = self.state.lock();
        if !self.is_crowded(&state) {
            return Poll::Ready(());
        }
        state.queuers.wait(cx, place);
        Poll::Pending
    }

    fn is_crowded(&self, state: &State) -> bool {
        state.end.is_none()
            && (state.reads && state.queue.exceeds(self.limits.half())
                || self.awaits_acknowledgement(state).is_some())
    }

    /// The replay queue, while so much of it is unacknowledged that whoever fills it waits.
    fn awaits_acknowledgement<'a>(&self, state: &'a State) -> Option<&'a Replay> {
        let replay = state.replay.as_deref()?;
        let waits =
            state.acknowledges && state.is_heard && replay.exceeds(self.replay_limits.half());
        waits.then_some(replay)
    }

    /// Has those who wait for room woken, if there is some.
    fn release(&self, state: &mut State) -> Vec<Waker> {
        match self.is_crowded(state) {
            true => Vec::new(),
            false => state.queuers.release(),
        }
    }

    /// What it holds now.
    pub(crate) fn held(&self) -> Held {
        let state = self.state.lock();
        let replay = state.replay.as_deref().map(Replay::fill);
        Held {
            queue: state.queue.fill(),
            replay: replay.unwrap_or_default(),
            reads: state.reads,
        }
    }
}

impl OutboxLimits {
    const fn half(self) -> Self {
        Self {
            frames: self.frames / 2,
            bytes: self.bytes / 2,
        }
    }

    const fn times(self, factor: usize) -> Self {
        Self {
            frames: self.frames.saturating_mul(factor),
            bytes: self.bytes.saturating_mul(factor),
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("form", &self.form)
            .field("acknowledging", &self.acknowledging)
            .finish_non_exhaustive()
    }
}
