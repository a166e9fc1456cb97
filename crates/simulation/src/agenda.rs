//! What happens when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// The events of a world, in the order of their moments; those of one moment in the order in which they were scheduled.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    moments: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, E>,
    scheduled: u64,
}

impl<E> Agenda<E> {
    pub(crate) const fn new() -> Self {
        Self {
            moments: BinaryHeap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
        }
    }

    pub(crate) fn schedule(&mut self, at: Duration, event: E) {
        self.scheduled += 1;
        self.moments.push(Reverse((at, self.scheduled)));
        self.events.insert(self.scheduled, event);
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.moments.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next event.
    pub(crate) fn next(&mut self) -> Option<E> {
        let Reverse((_, number)) = self.moments.pop()?;
        self.events.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_moment_and_then_in_the_order_they_were_scheduled() {
        let mut agenda = Agenda::new();
        for (at, event) in [(2, 'b'), (1, 'a'), (2, 'c')] {
            agenda.schedule(Duration::from_secs(at), event);
        }
        assert_eq!(agenda.next_at(), Some(Duration::from_secs(1)));
        let all: String = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(all, "abc");
        assert_eq!(agenda.next_at(), None);
    }
}
