//! Slow consumers of what a client's application is told, one for each way to deal with too much.
//!
//! They have a random generator of their own: what they do changes nothing else. What the session sees of a slow
//! consumer, a socket that is not read, is the business of `trouble`.

use std::collections::VecDeque;
use std::task::Poll;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use webpubsub_client::driven::Consumer;
use webpubsub_client::{Event, Overflow};
use webpubsub_protocol::session;

use crate::failure::{Check, Finding};

/// Small, so that a few messages are too much.
const LIMITS: std::ops::Range<usize> = 200..6_000;

/// The consumers of one client.
#[derive(Debug)]
pub(super) struct Consumers {
    rng: SmallRng,
    each: [Slow; 3],
    /// Whether one of them dropped messages, and whether one was closed, since this was asked last.
    pub(super) seen: Seen,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    pub(super) blocked: bool,
    pub(super) dropped: bool,
    pub(super) closed: bool,
}

/// A consumer, and what its inbox must hold.
#[derive(Debug)]
struct Slow {
    consumer: Consumer,
    overflow: Overflow,
    /// What was put in and not read, and whether it is a message.
    unread: VecDeque<(String, bool)>,
    is_closed: bool,
}

impl Consumers {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let each = [Overflow::Pause, Overflow::DropOldest, Overflow::Close]
            .map(|overflow| Slow::new(rng.random_range(LIMITS), overflow));
        Self {
            rng,
            each,
            seen: Seen::default(),
        }
    }

    /// All of them are told; some read.
    pub(super) fn hear(&mut self, event: &session::Event) -> Check {
        let Some(event) = Consumer::event(event.clone()) else {
            return Ok(());
        };
        let is_message = matches!(
            event,
            Event::GroupMessage(_) | Event::ServerMessage(_) | Event::GroupStateChanged { .. }
        );
        for slow in &mut self.each {
            slow.consumer.push(event.clone());
            if !slow.is_closed {
                slow.unread.push_back((format!("{event:?}"), is_message));
            }
            self.seen.blocked |= slow.consumer.is_blocking();
            let most = match self.rng.random_range(0..20) {
                0 => usize::MAX,
                1 => self.rng.random_range(1..10),
                _ => 0,
            };
            slow.read(most, &mut self.seen)?;
        }
        Ok(())
    }

    /// All of them read to the end.
    pub(super) fn catch_up(&mut self) -> Check {
        for slow in &mut self.each {
            slow.read(usize::MAX, &mut self.seen)?;
            let blocks = slow.consumer.is_blocking();
            Finding::unless_same("who has read everything blocks nobody", &false, &blocks)?;
            if !slow.is_closed {
                let left = slow.unread.len();
                Finding::unless_same("a consumer gets all that was not dropped", &0, &left)?;
            }
        }
        Ok(())
    }
}

impl Slow {
    fn new(limit: usize, overflow: Overflow) -> Self {
        Self {
            consumer: Consumer::new(limit, overflow),
            overflow,
            unread: VecDeque::new(),
            is_closed: false,
        }
    }

    fn read(&mut self, most: usize, seen: &mut Seen) -> Check {
        for _ in 0..most {
            let event = match self.consumer.poll() {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => {
                    return Finding::unless_same(
                        "only a closed inbox ends",
                        &true,
                        &self.is_closed,
                    );
                }
                Poll::Ready(Some(event)) => event,
            };
            match event {
                Event::Dropped { messages } => {
                    seen.dropped = true;
                    self.drop_oldest(messages)?;
                }
                Event::Overflowed => {
                    seen.closed = true;
                    self.is_closed = true;
                    let allowed = self.overflow == Overflow::Close;
                    Finding::unless_same("only `Close` closes", &true, &allowed)?;
                }
                event => {
                    let expected = self.unread.pop_front().map(|(text, _)| text);
                    let found = Some(format!("{event:?}"));
                    Finding::unless_same("a consumer hears in order", &expected, &found)?;
                }
            }
        }
        Ok(())
    }

    /// The oldest messages were dropped, and nothing else.
    fn drop_oldest(&mut self, messages: u64) -> Check {
        let allowed = self.overflow == Overflow::DropOldest && messages > 0;
        Finding::unless_same("only `DropOldest` drops, and says so then", &true, &allowed)?;
        for _ in 0..messages {
            let oldest = self.unread.iter().position(|(_, is_message)| *is_message);
            let Some(oldest) = oldest else {
                let seen = "more than there were";
                return Err(Finding::new("dropped messages are counted", "fewer", seen));
            };
            self.unread.remove(oldest);
        }
        Ok(())
    }
}
