//! Deadlines in a heap. Nothing is taken out of its middle: an entry whose cause is gone is skipped
//! once it is the first (lazy deletion), so setting and forgetting are cheap at any number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Deadlines<K>(BinaryHeap<Reverse<(Instant, K)>>);

impl<K: Copy + Ord> Deadlines<K> {
    pub(super) const fn new() -> Self {
        Self(BinaryHeap::new())
    }

    /// Adds a deadline. Returns whether it is now the earliest, so that whoever sleeps must be woken.
    pub(super) fn set(&mut self, at: Instant, what: K) -> bool {
        let earliest = self.earliest().is_none_or(|earliest| at < earliest);
        self.0.push(Reverse((at, what)));
        earliest
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The earliest deadline, with what comes due then.
    pub(super) fn first(&self) -> Option<(Instant, K)> {
        self.0.peek().map(|Reverse(first)| *first)
    }

    /// Forgets the earliest deadline.
    pub(super) fn drop_first(&mut self) {
        self.0.pop();
    }

    /// Takes the next entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.earliest()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, what))| what)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_come_due_in_order() {
        let start = crate::clock::Clock::manual().now().mono;
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::new();
        assert!(deadlines.set(at(5), 'b'));
        assert!(deadlines.set(at(3), 'a'));
        assert!(!deadlines.set(at(9), 'c'));
        assert_eq!(deadlines.earliest(), Some(at(3)));
        assert_eq!(deadlines.pop_due(at(2)), None);
        assert_eq!(deadlines.pop_due(at(5)), Some('a'));
        assert_eq!(deadlines.pop_due(at(5)), Some('b'));
        assert_eq!(deadlines.pop_due(at(5)), None);
    }
}
