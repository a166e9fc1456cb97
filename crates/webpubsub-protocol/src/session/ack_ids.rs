//! Which ack ids the session may take by itself.

use std::collections::{BTreeSet, VecDeque};

use crate::frame::AckId;
use crate::limits;

/// Counts ids upwards and goes round those that callers chose: the service would take a request
/// under an id that it has seen for done, and it would be lost.
#[derive(Debug, Default)]
pub(super) struct AckIds {
    last: u64,
    /// Chosen by callers, done by the service, and still to come in our count. As many as the
    /// service remembers, the oldest first …
    chosen: VecDeque<AckId>,
    /// … and the same to look them up.
    lookup: BTreeSet<AckId>,
}

impl AckIds {
    /// The next id; `is_in_use` says which ones wait for their answer.
    pub(super) fn free(&self, is_in_use: impl Fn(AckId) -> bool) -> AckId {
        let mut id = self.last;
        loop {
            id += 1;
            let id = AckId(id);
            if !self.lookup.contains(&id) && !is_in_use(id) {
                return id;
            }
        }
    }

    /// Takes what [`free`](Self::free) gave.
    pub(super) const fn take(&mut self, id: AckId) {
        self.last = id.0;
    }

    /// The service did a request under this id, and remembers it.
    pub(super) fn done(&mut self, id: AckId) {
        if id.0 <= self.last || !self.lookup.insert(id) {
            return;
        }
        self.chosen.push_back(id);
        if self.chosen.len() > limits::REMEMBERED_ACK_IDS
            && let Some(oldest) = self.chosen.pop_front()
        {
            self.lookup.remove(&oldest);
        }
    }

    /// Another connection: nothing was done on it.
    pub(super) fn forget_done(&mut self) {
        self.chosen.clear();
        self.lookup.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ids: &mut AckIds) -> u64 {
        let id = ids.free(|_| false);
        ids.take(id);
        id.0
    }

    // req: C-6-1
    #[test]
    fn ids_go_round_what_is_done_or_in_use() {
        let mut ids = AckIds::default();
        assert_eq!(take(&mut ids), 1);
        ids.done(AckId(2));
        ids.done(AckId(2));
        assert_eq!(ids.free(|id| id == AckId(3)), AckId(4));
        assert_eq!(take(&mut ids), 3, "an id that was not taken stays free");
        ids.done(AckId(5));
        ids.forget_done();
        assert_eq!((take(&mut ids), take(&mut ids)), (4, 5));
    }

    #[test]
    fn as_many_are_remembered_as_the_service_does() {
        let mut ids = AckIds::default();
        for id in 1..=limits::REMEMBERED_ACK_IDS as u64 + 1 {
            ids.done(AckId(id));
        }
        assert_eq!(ids.free(|_| false), AckId(1));
        ids.take(AckId(1));
        assert_eq!(ids.free(|_| false).0, limits::REMEMBERED_ACK_IDS as u64 + 2);
    }
}
