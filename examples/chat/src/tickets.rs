//! Random ids that stand for something this process remembers for a while.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::Rng;

/// Values behind unguessable ids. Each lives for a fixed time, and there is room for a fixed
/// number: a flood of new ones drops the oldest instead of filling the memory.
pub(crate) struct Tickets<T> {
    lifetime: Duration,
    capacity: usize,
    values: HashMap<String, (Instant, T)>,
    /// Ids by age, the oldest first; taken ones stay until their turn comes.
    ages: VecDeque<(Instant, String)>,
}

impl<T> Tickets<T> {
    pub(crate) fn new(lifetime: Duration, capacity: usize) -> Self {
        Self {
            lifetime,
            capacity,
            values: HashMap::new(),
            ages: VecDeque::new(),
        }
    }

    /// Remembers `value` and returns its id, 128 random bits in hexadecimal.
    pub(crate) fn issue(&mut self, value: T, now: Instant) -> String {
        self.make_room(now);
        let id = format!("{:032x}", rand::rng().random::<u128>());
        self.values.insert(id.clone(), (now, value));
        self.ages.push_back((now, id.clone()));
        id
    }

    /// The value behind `id`, which stays valid.
    pub(crate) fn find(&self, id: &str, now: Instant) -> Option<&T> {
        let (issued, value) = self.values.get(id)?;
        self.lives(*issued, now).then_some(value)
    }

    /// The value behind `id`, which becomes invalid.
    pub(crate) fn take(&mut self, id: &str, now: Instant) -> Option<T> {
        let (issued, value) = self.values.remove(id)?;
        self.lives(issued, now).then_some(value)
    }

    fn lives(&self, issued: Instant, now: Instant) -> bool {
        now.saturating_duration_since(issued) < self.lifetime
    }

    fn make_room(&mut self, now: Instant) {
        while let Some((issued, _)) = self.ages.front() {
            if self.lives(*issued, now) && self.ages.len() < self.capacity {
                break;
            }
            if let Some((_, id)) = self.ages.pop_front() {
                self.values.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_taken_ticket_is_gone() {
        let now = Instant::now();
        let mut tickets = Tickets::new(MINUTE, 8);
        let id = tickets.issue("value", now);
        assert_eq!(tickets.find(&id, now), Some(&"value"));
        assert_eq!(tickets.take(&id, now), Some("value"));
        assert_eq!(tickets.take(&id, now), None);
        assert_eq!(tickets.find(&id, now), None);
    }

    #[test]
    fn tickets_expire() {
        let now = Instant::now();
        let mut tickets = Tickets::new(MINUTE, 8);
        let id = tickets.issue("value", now);
        let late = now + MINUTE;
        assert_eq!(
            tickets.find(&id, late - Duration::from_nanos(1)),
            Some(&"value")
        );
        assert_eq!(tickets.find(&id, late), None);
        assert_eq!(tickets.take(&id, late), None);
    }

    #[test]
    fn a_flood_drops_the_oldest_and_keeps_the_memory_bounded() {
        let now = Instant::now();
        let mut tickets = Tickets::new(MINUTE, 3);
        let ids: Vec<_> = (0..5).map(|n| tickets.issue(n, now)).collect();
        let left: Vec<_> = ids.iter().filter_map(|id| tickets.find(id, now)).collect();
        assert_eq!(left, [&2, &3, &4]);

        let mut tickets = Tickets::new(MINUTE, 3);
        for n in 0..100 {
            let id = tickets.issue(n, now);
            tickets.take(&id, now);
        }
        assert!(tickets.ages.len() <= 3 && tickets.values.is_empty());
    }

    #[test]
    fn expired_ones_are_forgotten_when_new_ones_come() {
        let now = Instant::now();
        let mut tickets = Tickets::new(MINUTE, 1_000);
        for n in 0..10 {
            tickets.issue(n, now);
        }
        tickets.issue(10, now + MINUTE);
        assert_eq!((tickets.values.len(), tickets.ages.len()), (1, 1));
    }

    #[test]
    fn ids_are_long_and_differ() {
        let now = Instant::now();
        let mut tickets = Tickets::new(MINUTE, 8);
        let (one, two) = (tickets.issue((), now), tickets.issue((), now));
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
