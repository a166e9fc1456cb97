//! What a socket does with the outbox of its connection.

use std::sync::Weak;
use std::task::{Context, Waker};
use std::time::Instant;

use super::queue::{Item, Waiting};
use super::{Close, End, Epoch, Flush, Full, Outbox, STALL_LIMIT, State};

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
    /// Whether something waits that was not taken.
    pub(crate) has_more: bool,
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
    /// Says which socket may be written to by whoever fills the outbox.
    pub(crate) fn set_socket(&self, epoch: Epoch, socket: Weak<dyn Flush>) {
        let mut state = self.state.lock();
        if state.epoch == epoch {
            state.socket = Some(socket);
        }
    }

    /// Wakes the socket's task, unless that has happened since it looked.
    pub(crate) fn wake_task(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Hands what waits to `put`, without what has expired, and has the task woken when that changes.
    pub(crate) fn poll(
        &self,
        cx: &Context<'_>,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        put: impl FnMut(Waiting),
    ) -> Found {
        self.look(Some(cx), epoch, now, most, put)
    }

    /// The same for whoever stands in for the task.
    pub(crate) fn take(
        &self,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        put: impl FnMut(Waiting),
    ) -> Found {
        self.look(None, epoch, now, most, put)
    }

    fn look(
        &self,
        cx: Option<&Context<'_>>,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        put: impl FnMut(Waiting),
    ) -> Found {
        let mut released = Vec::new();
        let found = {
            let mut state = self.state.lock();
            let state = &mut *state;
            let line = Self::drain(state, epoch, now, most, put);
            if line != Line::Superseded {
                released = self.release(state);
                state.is_announced = false;
                if let Some(cx) = cx {
                    match &mut state.waker {
                        Some(waker) if waker.will_wake(cx.waker()) => {}
                        waker => *waker = Some(cx.waker().clone()),
                    }
                }
            }
            let is_crowded = state.reads && state.queue.exceeds(self.limits.half());
            let replay = self.awaits_acknowledgement(state);
            Found {
                line,
                has_more: !state.queue.is_empty(),
                // Whatever an earlier socket still does holds nobody up, nor is it held up.
                is_paused: line != Line::Superseded && (state.is_paused || is_crowded),
                acknowledges_until: replay.map(|replay| replay.acknowledged_at + STALL_LIMIT),
            }
        };
        released.into_iter().for_each(Waker::wake);
        found
    }

    fn drain(
        state: &mut State,
        epoch: Epoch,
        now: Instant,
        most: Batch,
        mut put: impl FnMut(Waiting),
    ) -> Line {
        if state.epoch != epoch {
            return Line::Superseded;
        }
        if state.sockets > 1 {
            return Line::NotYet;
        }
        let (mut frames, mut bytes) = (0, 0);
        while frames < most.frames
            && bytes < most.bytes
            && let Some(next) = state.queue.pop()
        {
            if !matches!(&next.item, Item::Message(message) if message.is_expired(now)) {
                frames += 1;
                bytes += next.len();
                put(next);
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

    /// Says whether the client's acknowledgements are read. While they are not, nobody waits for them.
    pub(crate) fn set_heard(&self, epoch: Epoch, now: Instant, is_heard: bool) {
        let heard = self.judge(epoch, |state| {
            state.is_heard = is_heard;
            if let Some(replay) = &mut state.replay {
                replay.acknowledged_at = now;
            }
            Ok(())
        });
        debug_assert_eq!(heard, Ok(()), "there is no judgement");
    }

    fn judge(
        &self,
        epoch: Epoch,
        judgement: impl FnOnce(&mut State) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let (result, released) = {
            let mut state = self.state.lock();
            let state = &mut *state;
            // A socket that was lost or replaced knows nothing of the present one.
            if state.epoch != epoch || state.end.is_some() {
                return Ok(());
            }
            let result = judgement(state);
            (result, self.release(state))
        };
        released.into_iter().for_each(Waker::wake);
        result
    }

    /// A socket has let go of its transport and writes nothing any more.
    pub(crate) fn let_go(&self) {
        let mut state = self.state.lock();
        state.sockets -= 1;
        drop(state);
        self.wake_task();
    }
}
