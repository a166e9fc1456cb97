//! Named timers: an instant per name, and the earliest of them.

use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The next dial, after a back-off.
    Redial,
    /// A dial took too long.
    Dial,
    /// An open socket said nothing.
    Handshake,
    /// The service has forgotten the lost connection.
    Recovery,
    /// The next keep-alive ping.
    Ping,
    /// The socket has been silent for too long.
    Idle,
    /// The answer to a probe is overdue.
    Probe,
    /// Received messages must be acknowledged.
    SequenceAck,
    /// A refused request may be tried again.
    Retry,
}

impl Timer {
    pub(super) const ALL: [Self; 9] = [
        Self::Redial,
        Self::Dial,
        Self::Handshake,
        Self::Recovery,
        Self::Ping,
        Self::Idle,
        Self::Probe,
        Self::SequenceAck,
        Self::Retry,
    ];
}

#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// `None` is never.
    pub(super) const fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    /// Sets the timer unless it is due earlier already.
    pub(super) fn set_by(&mut self, timer: Timer, at: Option<Instant>) {
        let slot = &mut self.0[timer as usize];
        *slot = slot.iter().copied().chain(at).min();
    }

    pub(super) const fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) const fn clear_all(&mut self) {
        self.0 = [None; Timer::ALL.len()];
    }

    pub(super) const fn at(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer that is due, the earliest first.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let due = |timer: &Timer| {
            self.at(*timer)
                .filter(|at| *at <= now)
                .map(|at| (at, *timer))
        };
        let (at, timer) = Timer::ALL
            .iter()
            .filter_map(due)
            .min_by_key(|(at, _)| *at)?;
        self.clear(timer);
        Some((timer, at))
    }
}
