//! Connections that have not sent a complete request yet: the cheapest thing to flood a server with.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Counts silent connections. At the limit the oldest one gives way, so a caller that does speak always gets in.
pub(super) struct Pending {
    limit: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

impl Pending {
    /// A limit of 0 counts as 1: otherwise nobody could ever connect.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            waiting: Mutex::default(),
        })
    }

    pub(super) fn admit(self: &Arc<Self>) -> Ticket {
        let evicted = CancellationToken::new();
        let mut waiting = self.waiting.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(id, evicted.clone());
        let oldest = match waiting.by_age.len() > self.limit {
            true => waiting.by_age.pop_first(),
            false => None,
        };
        drop(waiting);
        if let Some((_, oldest)) = oldest {
            oldest.cancel();
        }
        Ticket {
            id,
            evicted,
            pending: Arc::clone(self),
        }
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
        self.pending.waiting.lock().by_age.remove(&self.id);
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

    #[test]
    fn the_oldest_silent_connection_gives_way() {
        let pending = Pending::new(2);
        let [first, second, third] = [pending.admit(), pending.admit(), pending.admit()];
        assert!(evicted(&first) && !first.is_pending());
        assert!(!evicted(&second) && !evicted(&third));
    }

    #[test]
    fn who_has_spoken_or_gone_takes_no_place() {
        let pending = Pending::new(2);
        let spoke = pending.admit();
        spoke.settle();
        drop(pending.admit());
        let [first, second] = [pending.admit(), pending.admit()];
        assert!(!evicted(&spoke) && !evicted(&first) && !evicted(&second));
        let _third = pending.admit();
        assert!(!evicted(&spoke) && evicted(&first) && !evicted(&second));
    }

    #[test]
    fn a_limit_of_zero_still_lets_one_in() {
        let pending = Pending::new(0);
        let only = pending.admit();
        assert!(!evicted(&only));
    }
}
