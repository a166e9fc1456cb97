//! Which requests of a connection were executed, so that a repeated one is not executed again.

use std::collections::{BTreeSet, VecDeque};

use webpubsub_protocol::frame::AckId;

/// The latest ids that succeeded; the oldest is forgotten first. Failed ones may be used again.
#[derive(Debug)]
pub(super) struct AckMemory {
    most: usize,
    order: VecDeque<AckId>,
    known: BTreeSet<AckId>,
}

impl AckMemory {
    /// Remembers so many ids.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            order: VecDeque::new(),
            known: BTreeSet::new(),
        }
    }

    pub(super) fn contains(&self, id: AckId) -> bool {
        self.known.contains(&id)
    }

    pub(super) fn remember(&mut self, id: AckId) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_thousand_are_known() {
        // req: S-6-5
        let mut acks = AckMemory::new(1000);
        for id in 0..=1000 {
            acks.remember(AckId(id));
            acks.remember(AckId(id));
        }
        assert!(!acks.contains(AckId(0)));
        assert!(acks.contains(AckId(1)));
        assert!(acks.contains(AckId(1000)));
    }
}
