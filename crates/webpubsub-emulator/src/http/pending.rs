//! Connections that have not sent a complete request yet: the cheapest thing to flood a server with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How long a silent connection keeps its place whatever happens. Far more than a client needs between connecting and
/// sending its request, even among thousands that connect at once.
const GRACE: Duration = Duration::from_secs(5);

/// Limits how many connections are silent at the same time.
///
/// At the limit no more are accepted, and the system keeps them waiting, until one has spoken or left. So clients that all
/// connect at once are all served. A silent connection that is older than the grace gives way to the next one: a caller
/// that does speak gets in, however many do not.
pub(super) struct Pending {
    limit: usize,
    /// The machine's time: whoever floods a server does not care for ours.
    clock: Clock,
    waiting: Mutex<Waiting>,
    /// Signalled when a place was given back.
    freed: Notify,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Silent>,
}

struct Silent {
    since: Instant,
    evicted: CancellationToken,
}

impl Pending {
    /// A limit of 0 counts as 1: otherwise nobody could ever connect.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            clock: Clock::real(),
            waiting: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// Waits for a place. Only one caller at a time may wait.
    pub(super) async fn admit(self: &Arc<Self>) -> Ticket {
        loop {
            let due = match self.try_admit() {
                Ok(ticket) => return ticket,
                Err(due) => due,
            };
            tokio::select! {
                () = self.freed.notified() => {}
                () = self.clock.sleep_until(due) => {}
            }
        }
    }

    /// A place, or when the oldest silent connection gives way.
    fn try_admit(self: &Arc<Self>) -> Result<Ticket, Instant> {
        let now = self.clock.mono();
        let mut waiting = self.waiting.lock();
        if waiting.by_age.len() >= self.limit
            && let Some(oldest) = waiting.by_age.first_entry()
        {
            let due = oldest.get().since + GRACE;
            if now < due {
                return Err(due);
            }
            oldest.remove().evicted.cancel();
        }
        let id = waiting.next;
        waiting.next += 1;
        let evicted = CancellationToken::new();
        let silent = Silent {
            since: now,
            evicted: evicted.clone(),
        };
        waiting.by_age.insert(id, silent);
        Ok(Ticket {
            id,
            evicted,
            pending: Arc::clone(self),
        })
    }
}

/// The place of one connection among the silent ones, until its first request or its end.
pub(super) struct Ticket {
    id: u64,
    evicted: CancellationToken,
    pending: Arc<Pending>,
}

impl Ticket {
    /// Gives the place back: the connection has spoken.
    pub(super) fn settle(&self) {
        let silent = self.pending.waiting.lock().by_age.remove(&self.id);
        if silent.is_some() {
            self.pending.freed.notify_one();
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.waiting.lock().by_age.contains_key(&self.id)
    }

    /// Completes when the connection has to give way; never after [`settle`](Self::settle).
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn evicted(ticket: &Ticket) -> bool {
        ticket.evicted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_silent_connection_gives_way_once_it_had_its_time() {
        let pending = Pending::new(2);
        let began = pending.clock.mono();
        let first = pending.admit().await;
        pending.clock.advance(Duration::from_secs(1));
        let second = pending.admit().await;
        let third = pending.admit().await;
        assert_eq!(pending.clock.mono() - began, GRACE);
        assert!(evicted(&first) && !first.is_pending());
        assert!(!evicted(&second) && !evicted(&third));
        let _fourth = pending.admit().await;
        assert_eq!(pending.clock.mono() - began, GRACE + Duration::from_secs(1));
        assert!(evicted(&second) && !evicted(&third));
    }

    #[tokio::test(start_paused = true)]
    async fn who_speaks_or_leaves_makes_room_at_once() {
        let pending = Pending::new(2);
        let began = pending.clock.mono();
        let (spoke, gone) = (pending.admit().await, pending.admit().await);
        assert!(pending.admit().now_or_never().is_none());
        spoke.settle();
        drop(gone);
        let (first, second) = (pending.admit().await, pending.admit().await);
        let third = async {
            tokio::task::yield_now().await;
            first.settle();
        };
        let (third, ()) = tokio::join!(pending.admit(), third);
        assert_eq!(pending.clock.mono(), began, "nobody waited for the grace");
        for ticket in [&spoke, &first, &second, &third] {
            assert!(!evicted(ticket));
        }
    }

    #[tokio::test]
    async fn a_limit_of_zero_still_lets_one_in() {
        let pending = Pending::new(0);
        let only = pending.admit().await;
        assert!(!evicted(&only));
    }
}
