//! A line between one socket of the service and a client: it delays, and it can be cut. No IO and no randomness: moments
//! are arguments, and nothing overtakes.

use std::collections::VecDeque;
use std::time::Duration;

/// A line that carries `U` up to the service and `D` down to the client, and what its world knows about its `end` at the
/// service.
#[derive(Debug)]
pub(crate) struct Line<E, U, D> {
    pub(crate) client: usize,
    pub(crate) end: E,
    /// Whether the service will still drain it at a moment that is set.
    pub(crate) drain_is_set: bool,
    /// Whether the end of its close is set.
    pub(crate) abort_is_set: bool,
    /// The service has let go of its end.
    pub(crate) service_gone: bool,
    up: OneWay<U>,
    down: OneWay<D>,
    is_cut: bool,
}

/// One direction, in which nothing overtakes.
#[derive(Debug)]
struct OneWay<T> {
    under_way: VecDeque<(Duration, T)>,
    last_arrival: Duration,
}

impl<E, U, D> Line<E, U, D> {
    pub(crate) const fn new(client: usize, end: E) -> Self {
        Self {
            client,
            end,
            drain_is_set: false,
            abort_is_set: false,
            service_gone: false,
            up: OneWay::new(),
            down: OneWay::new(),
            is_cut: false,
        }
    }

    /// When it arrives, not before `at`; never on a line that is cut.
    pub(crate) fn send_up(&mut self, at: Duration, up: U) -> Option<Duration> {
        (!self.is_cut).then(|| self.up.send(at, up))
    }

    /// When it arrives, not before `at`; never on a line that is cut.
    pub(crate) fn send_down(&mut self, at: Duration, down: D) -> Option<Duration> {
        (!self.is_cut).then(|| self.down.send(at, down))
    }

    /// What has arrived at the service.
    pub(crate) fn take_up(&mut self, now: Duration) -> Option<U> {
        self.up.take(now)
    }

    pub(crate) fn has_up(&self, now: Duration) -> bool {
        self.up.has_arrived(now)
    }

    /// What has arrived at the client.
    pub(crate) fn take_down(&mut self, now: Duration) -> Option<D> {
        self.down.take(now)
    }

    /// How much the client has not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.down.under_way.len()
    }

    /// Loses what is under way in both directions, and everything after it.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
        self.up.under_way.clear();
        self.down.under_way.clear();
    }

    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl<T> OneWay<T> {
    const fn new() -> Self {
        Self {
            under_way: VecDeque::new(),
            last_arrival: Duration::ZERO,
        }
    }

    /// When it will arrive.
    fn send(&mut self, arrival: Duration, what: T) -> Duration {
        self.last_arrival = self.last_arrival.max(arrival);
        self.under_way.push_back((self.last_arrival, what));
        self.last_arrival
    }

    /// What has arrived.
    fn take(&mut self, now: Duration) -> Option<T> {
        let (at, _) = self.under_way.front()?;
        if *at > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, what)| what)
    }

    /// Whether something has arrived.
    fn has_arrived(&self, now: Duration) -> bool {
        self.under_way.front().is_some_and(|(at, _)| *at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_overtakes_and_a_cut_loses_all() {
        let mut line = Line::<(), char, char>::new(0, ());
        assert_eq!(line.send_up(ms(9), 'a'), Some(ms(9)));
        assert_eq!(line.send_up(ms(4), 'b'), Some(ms(9)));
        assert_eq!(line.take_up(ms(8)), None);
        assert_eq!(line.take_up(ms(9)), Some('a'));
        assert_eq!(line.take_up(ms(9)), Some('b'));
        assert_eq!(line.take_up(ms(9)), None);
        assert_eq!(line.send_down(ms(9), 'c'), Some(ms(9)));
        line.cut();
        assert_eq!(line.take_down(ms(9)), None);
        assert_eq!(line.send_down(ms(10), 'd'), None);
    }
}
