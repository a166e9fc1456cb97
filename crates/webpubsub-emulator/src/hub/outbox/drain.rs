//! What a socket does with the outbox of its connection.

use std::task::{Context, Waker};
use std::time::Instant;

use super::queue::{Item, Waiting};
use super::{Close, End, Epoch, Full, Outbox, STALL_LIMIT, State};

/// Whether a socket may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// An earlier socket of the connection has not let go yet: nothing is written before it has.
    NotYet,
    /// The service closes the connection: [`Outbox::closing`] says how, once everything is written.
    Closed {
        /// When the socket is aborted if it has not drained.
        abort_at: Instant,
        /// Whether nothing is left.
        drained: bool,
    },
    /// Another socket took over: hang up.
    Superseded,
}

/// What a socket finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) line: Line,
    /// No more of this client may be read: its frames wait for a handler, or so does what it was sent for itself.
    pub(crate) is_paused: bool,
    /// When the client counts as one that does not acknowledge, if it goes on like this.
    pub(crate) acknowledges_until: Option<Instant>,
}

/// What is taken at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) frames: usize,
    /// At least one frame is taken, whatever its size.
    pub(crate) bytes: usize,
}

impl Outbox {
    /// Moves what waits into `into`, without what has expired, and has the socket woken when that changes.
    pub(crate) fn poll(
        &self,
        cx: &Context<'_>,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        into: &mut Vec<Waiting>,
    ) -> Found {
        let mut wakes = Vec::new();
        let found = {
            let mut state = self.state.lock();
            let state = &mut *state;
            let line = self.drain(state, epoch, now, most, into);
            if line != Line::Superseded {
                self.release(state, &mut wakes);
                match &mut state.waker {
                    Some(waker) if waker.will_wake(cx.waker()) => {}
                    waker => *waker = Some(cx.waker().clone()),
                }
            }
            let is_crowded = state.reads && state.queue.exceeds(self.limits.half());
            let replay = state
                .replay
                .as_ref()
                .filter(|replay| state.acknowledges && replay.exceeds(self.replay_limits.half()));
            Found {
                line,
                // Whatever an earlier socket still does holds nobody up, nor is it held up.
                is_paused: line != Line::Superseded && (state.is_paused || is_crowded),
                acknowledges_until: replay.map(|replay| replay.acknowledged_at + STALL_LIMIT),
            }
        };
        wakes.into_iter().for_each(Waker::wake);
        found
    }

    fn drain(
        &self,
        state: &mut State,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        into: &mut Vec<Waiting>,
    ) -> Line {
        if state.epoch != epoch {
            return Line::Superseded;
        }
        if state.sockets > 1 {
            return Line::NotYet;
        }
        let mut bytes = 0;
        if most.frames > 0 && !state.queue.is_empty() {
            into.reserve_exact(most.frames.min(state.queue.len()));
        }
        while into.len() < most.frames
            && bytes < most.bytes
            && let Some(next) = state.queue.pop()
        {
            if !matches!(&next.item, Item::Message(message) if message.is_expired(now)) {
                bytes += next.len();
                into.push(next);
            }
        }
        match &state.end {
            Some(End::Closed(close)) => Line::Closed {
                abort_at: close.abort_at,
                drained: state.queue.is_empty(),
            },
            Some(End::Detached) | None => Line::Open,
        }
    }

    /// How the service closes the connection, if it does.
    pub(crate) fn closing(&self) -> Option<Close> {
        match &self.state.lock().end {
            Some(End::Closed(close)) => Some(close.clone()),
            Some(End::Detached) | None => None,
        }
    }

    /// Says whether the client takes what it is sent. One that does not holds nobody back, and must not have more
    /// waiting than the limits allow.
    ///
    /// # Errors
    ///
    /// More than that waits.
    pub(crate) fn set_reads(&self, epoch: Epoch, reads: bool) -> Result<(), Full> {
        self.judge(epoch, |state| {
            state.reads = reads;
            match !reads && state.queue.exceeds(self.limits) {
                true => Err(Full::Queue),
                false => Ok(()),
            }
        })
    }

    /// Says that the client has acknowledged nothing for too long, until it does so again.
    ///
    /// # Errors
    ///
    /// More is unacknowledged than it may leave so.
    pub(crate) fn set_unacknowledging(&self, epoch: Epoch) -> Result<(), Full> {
        self.judge(epoch, |state| {
            state.acknowledges = false;
            let limits = self.replay_limits;
            match &state.replay {
                Some(replay) if replay.exceeds(limits) => Err(Full::Replay),
                _ => Ok(()),
            }
        })
    }

    fn judge(
        &self,
        epoch: Epoch,
        judgement: impl FnOnce(&mut State) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let mut wakes = Vec::new();
        let result = {
            let mut state = self.state.lock();
            let state = &mut *state;
            // A socket that was lost or replaced knows nothing of the present one.
            if state.epoch != epoch || state.end.is_some() {
                return Ok(());
            }
            let result = judgement(state);
            self.release(state, &mut wakes);
            result
        };
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    /// A socket has let go of its transport and writes nothing any more.
    pub(crate) fn let_go(&self) {
        let mut state = self.state.lock();
        state.sockets -= 1;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
