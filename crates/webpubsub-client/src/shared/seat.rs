//! The driver's seat: who drives the session, and how a driver learns that there is something to do.
//!
//! At most one driver runs. It takes its seat when a start finds the place empty, and gives it up in one step under
//! the session's lock, in which it finds that nothing is left to carry out. So whoever starts, stops or submits under
//! that lock sees either a driver that will act on it, or none. Each seat has a number of its own, so dropping an old
//! one changes nothing for a driver that came later.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytestring::ByteString;
use webpubsub_protocol::session::{Action, Attempt, Input, Now, State, WireFrame};

use super::{Change, Inner, Report, Shared};
use crate::sync::now;

/// The place that at most one driver takes.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Numbers the seats.
    epoch: u64,
    is_taken: bool,
    /// Something changed since the driver looked.
    has_changed: bool,
    /// When a handle submitted something since then, for the first time.
    submitted_at: Option<Now>,
    /// Wakes the driver while it rests.
    driver: Option<Waker>,
    /// When the driver looks again by itself.
    alarm: Option<Instant>,
}

impl Place {
    pub(super) const fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// A seat for a new driver, when there is none.
    pub(super) fn take(&mut self, shared: &Arc<Shared>) -> Option<Seat> {
        if self.is_taken {
            return None;
        }
        self.epoch += 1;
        self.is_taken = true;
        Some(Seat {
            shared: Arc::clone(shared),
            epoch: self.epoch,
        })
    }

    /// Tells the driver that something changed.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.has_changed = true;
        self.driver.take()
    }

    /// The time for a request. The clock is read once for all that come before the driver looks: they go out together.
    pub(super) fn submission_time(&mut self) -> Now {
        *self.submitted_at.get_or_insert_with(now)
    }

    /// The driver looks.
    fn look(&mut self) {
        self.has_changed = false;
        self.submitted_at = None;
    }

    fn leave(&mut self) {
        self.is_taken = false;
        self.look();
        self.driver = None;
        self.alarm = None;
    }
}

/// The right to drive the session. Dropping it stops the session, unless the driver had nothing left to do.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    epoch: u64,
}

/// What a driver should do next.
pub(crate) struct Turn {
    pub(crate) actions: Vec<Action>,
    pub(crate) reports: Vec<Report>,
    /// How many bytes may be read; zero for none.
    pub(crate) read_limit: usize,
    /// When to look again.
    pub(crate) deadline: Option<Instant>,
    pub(crate) connection_id: Option<ByteString>,
}

/// How a driver may end its poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Something changed: take another turn.
    NotYet,
    /// It will be woken.
    Waiting,
    /// Nothing is left to do, and the seat is given up.
    Over,
}

impl Seat {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Hands in what happened and takes what is to be done, under one lock.
    pub(crate) fn turn(&self, inputs: &mut Vec<(Attempt, Input)>) -> Turn {
        let mut inner = self.shared.lock();
        let now = now();
        inner.place.look();
        for (attempt, input) in inputs.drain(..) {
            inner.session.handle_input(now, attempt, input);
        }
        let is_due = |at: Instant| at <= now.mono;
        if inner.session.poll_timeout().is_some_and(is_due) {
            inner.session.handle_timeout(now);
        }
        inner.dispatch();
        let read_limit = inner.watch_consumers(now);
        inner.dispatch();
        self.shared.publish_state(&mut inner);
        let turn = Turn {
            actions: std::iter::from_fn(|| inner.session.poll_action()).collect(),
            reports: std::mem::take(&mut inner.reports),
            read_limit,
            deadline: inner.deadline(),
            connection_id: inner.session.connection_id().cloned(),
        };
        self.shared.release(inner, Change::ByDriver);
        turn
    }

    /// The next frame to write to a socket that can take it. Afterwards, [`wake`](Self::wake) those whom it concerns.
    pub(crate) fn transmit(&self, now: Now) -> Option<WireFrame> {
        let mut inner = self.shared.lock();
        let frame = inner.session.poll_transmit(now)?;
        inner.dispatch();
        Some(frame)
    }

    /// Wakes callers whose requests were written, and those that wait for room.
    pub(crate) fn wake(&self) {
        let inner = self.shared.lock();
        self.shared.release(inner, Change::ByDriver);
    }

    /// Ends a poll: gives the seat up when the session is stopped and nothing is left to carry out, or else makes sure
    /// that `driver` is woken by the next change. `alarm` is the deadline that the driver waits for.
    pub(crate) fn rest(&self, driver: &Waker, alarm: Option<Instant>, is_closing: bool) -> Rest {
        let mut inner = self.shared.lock();
        inner.place.alarm = alarm;
        if inner.place.has_changed || inner.is_due_earlier() || !inner.reports.is_empty() {
            return Rest::NotYet;
        }
        if !is_closing {
            for waiter in inner.stopping.drain(..) {
                // It may have been dropped.
                let _ = waiter.send(());
            }
            if inner.session.state() == State::Stopped {
                inner.place.leave();
                return Rest::Over;
            }
        }
        // What the last turns needed is not kept by a client that waits.
        inner.session.shrink_to_fit();
        inner.outgoing = Vec::new();
        inner.reports = Vec::new();
        if inner.callers.is_empty() {
            inner.callers.shrink_to_fit();
        }
        match &mut inner.place.driver {
            Some(waker) => waker.clone_from(driver),
            none => *none = Some(driver.clone()),
        }
        Rest::Waiting
    }
}

impl Inner {
    /// Whether there is something to do before the driver looks again by itself.
    fn is_due_earlier(&self) -> bool {
        let alarm = self.place.alarm;
        self.deadline()
            .is_some_and(|at| alarm.is_none_or(|alarm| at < alarm))
    }

    /// When the driver must look again, whatever happens.
    fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.session.poll_timeout(), self.stall.deadline()];
        deadlines.into_iter().flatten().min()
    }
}

/// The driver ended before it was done: its runtime was shut down, or something it called panicked. Nobody may wait for
/// a driver that is gone.
impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if !inner.place.is_taken || inner.place.epoch != self.epoch {
            return;
        }
        let was_running = inner.session.state() != State::Stopped;
        // After a panic in its middle the session may panic again.
        let stopped = panic::catch_unwind(AssertUnwindSafe(|| {
            inner.session.stop(now());
            // The sockets went with the driver.
            while inner.session.poll_action().is_some() {}
            inner.dispatch();
        }));
        inner.place.leave();
        inner.stopping.clear();
        inner.starting = None;
        if stopped.is_err() {
            inner.forget_callers();
        }
        self.shared.publish_state(&mut inner);
        let reports = std::mem::take(&mut inner.reports);
        self.shared.release(inner, Change::ByDriver);
        if was_running {
            tracing::warn!("the client stops: its task ended, by a panic or with its runtime");
        }
        for report in reports {
            // Whatever the application's code panicked for may make it panic again.
            let metrics = &*self.shared.metrics;
            let _ = panic::catch_unwind(AssertUnwindSafe(|| report.emit(metrics)));
        }
    }
}
