//! The line between one socket of the service and a client: it delays, it is cut, and the client at
//! its end reads slowly. No IO and no randomness: delays are arguments, so nothing overtakes.

use std::collections::VecDeque;
use std::time::Duration;

use webpubsub_emulator::driven::{Frame, Socket};

use crate::reference::Received;
use crate::wire::Seen;

/// On its way to the service.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    /// A frame, and what it means.
    Frame(Frame, Received),
    /// The client closes with this code.
    Close(u16),
}

/// On its way to the client.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    /// The socket is open.
    Opened,
    Frame(Seen),
    /// With this code.
    Close(u16),
    /// The socket ended without a close.
    HungUp,
}

/// How fast a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the service writes.
    Full,
    /// So many frames each time.
    Slow { every: Duration, most: usize },
    /// Never.
    Stuck,
}

/// The two ends of one socket.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    pub(crate) socket: Socket,
    pub(crate) pace: Pace,
    /// Whether the service will still drain it at a moment that is set.
    pub(crate) drain_is_set: bool,
    /// Whether the end of its close is set.
    pub(crate) abort_is_set: bool,
    /// The service has let go of its end.
    pub(crate) service_gone: bool,
    up: OneWay<Up>,
    down: OneWay<Down>,
    is_cut: bool,
}

/// One direction, in which nothing overtakes.
#[derive(Debug)]
pub(crate) struct OneWay<T> {
    under_way: VecDeque<(Duration, T)>,
    last_arrival: Duration,
}

impl Link {
    pub(crate) fn new(client: usize, socket: Socket, pace: Pace) -> Self {
        Self {
            client,
            socket,
            pace,
            drain_is_set: false,
            abort_is_set: false,
            service_gone: false,
            up: OneWay::new(),
            down: OneWay::new(),
            is_cut: false,
        }
    }

    /// When it will arrive; never on a link that is cut.
    pub(crate) fn send_up(&mut self, now: Duration, delay: Duration, up: Up) -> Option<Duration> {
        (!self.is_cut).then(|| self.up.send(now + delay, up))
    }

    /// When it will arrive; never on a link that is cut.
    pub(crate) fn send_down(
        &mut self,
        now: Duration,
        delay: Duration,
        down: Down,
    ) -> Option<Duration> {
        (!self.is_cut).then(|| self.down.send(now + delay, down))
    }

    /// What has arrived at the service.
    pub(crate) fn take_up(&mut self, now: Duration) -> Option<Up> {
        self.up.take(now)
    }

    pub(crate) fn has_up(&self, now: Duration) -> bool {
        self.up.has_arrived(now)
    }

    /// What has arrived at the client.
    pub(crate) fn take_down(&mut self, now: Duration) -> Option<Down> {
        self.down.take(now)
    }

    /// Loses what is under way in both directions, and everything after it.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
        self.up.lose();
        self.down.lose();
    }
}

impl<T> OneWay<T> {
    pub(crate) fn new() -> Self {
        Self {
            under_way: VecDeque::new(),
            last_arrival: Duration::ZERO,
        }
    }

    /// When it will arrive.
    pub(crate) fn send(&mut self, arrival: Duration, what: T) -> Duration {
        self.last_arrival = self.last_arrival.max(arrival);
        self.under_way.push_back((self.last_arrival, what));
        self.last_arrival
    }

    /// What has arrived.
    pub(crate) fn take(&mut self, now: Duration) -> Option<T> {
        let (at, _) = self.under_way.front()?;
        if *at > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, what)| what)
    }

    /// Whether something has arrived.
    pub(crate) fn has_arrived(&self, now: Duration) -> bool {
        self.under_way.front().is_some_and(|(at, _)| *at <= now)
    }

    /// How much is under way.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Everything under way is lost.
    pub(crate) fn lose(&mut self) {
        self.under_way.clear();
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
        let mut way = OneWay::new();
        assert_eq!(way.send(ms(9), 'a'), ms(9));
        assert_eq!(way.send(ms(4), 'b'), ms(9));
        assert_eq!(way.take(ms(8)), None);
        assert_eq!(way.take(ms(9)), Some('a'));
        assert_eq!(way.take(ms(9)), Some('b'));
        assert_eq!(way.take(ms(9)), None);
    }
}
