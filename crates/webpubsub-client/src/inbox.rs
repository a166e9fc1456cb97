//! One inbox per consumer of events, limited in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use crate::event::Event;
use crate::queue::{Items, Queue};

/// Events of the connection that wait in one inbox, beside messages: they come however slow the consumer is.
const CONNECTION_EVENTS: usize = 1_000;

/// Their bytes: the service's texts are in them.
const CONNECTION_EVENT_BYTES: usize = 1024 * 1024;

/// What happens when a consumer is too slow and its inbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Nothing is read from the socket until the consumer has taken events. In the meantime the service keeps up to 1,000
    /// messages, then it ends the connection. After a second, requests that wait for an answer fail with
    /// [`SendError::Stalled`](crate::SendError::Stalled), so that a consumer that waits for a request of its own can go on.
    #[default]
    Pause,
    /// The oldest messages and changes of group states are dropped; [`Event::Dropped`] says how many.
    DropOldest,
    /// The consumer's stream ends with [`Event::Overflowed`].
    Close,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    limit: usize,
    overflow: Overflow,
    queue: Queue<Event>,
    /// Somebody has asked for an event.
    was_read: AtomicBool,
    /// That nobody has was reported.
    has_warned: AtomicBool,
}

impl Inbox {
    pub(crate) fn new(limit: usize, overflow: Overflow) -> Arc<Self> {
        Arc::new(Self {
            limit,
            overflow,
            queue: Queue::new(),
            was_read: AtomicBool::new(false),
            has_warned: AtomicBool::new(false),
        })
    }

    /// Puts events in, in this order. Whether it is half full although nobody has ever read it, the first time that this
    /// is so; the caller holds the session's lock, under which nothing is logged.
    #[must_use]
    pub(crate) fn push_all(&self, events: impl IntoIterator<Item = Event>) -> bool {
        let bytes = self.queue.write(|items| {
            for event in events {
                self.push(items, event);
            }
            items.bytes()
        });
        let is_neglected = self.overflow == Overflow::Pause
            && bytes > self.limit / 2
            && !self.was_read.load(Ordering::Relaxed);
        is_neglected && !self.has_warned.swap(true, Ordering::Relaxed)
    }

    fn push(&self, items: &mut Items<Event>, event: Event) {
        if items.is_closed() {
            return;
        }
        let cost = event.cost();
        let is_over = if event.is_droppable() {
            items.push_droppable(event, cost);
            items.bytes() > self.limit
        } else {
            items.push(event, cost);
            let (count, bytes) = items.kept();
            count > CONNECTION_EVENTS || bytes > CONNECTION_EVENT_BYTES && count > 1
        };
        match self.overflow {
            _ if !is_over => {}
            Overflow::Close => {
                items.push(Event::Overflowed, Event::Overflowed.cost());
                items.close();
            }
            Overflow::Pause | Overflow::DropOldest => {
                while self.overflow == Overflow::DropOldest
                    && items.bytes() > self.limit
                    && items.drop_oldest()
                {}
                while let (count, bytes) = items.kept()
                    && (count > CONNECTION_EVENTS || bytes > CONNECTION_EVENT_BYTES && count > 1)
                    && items.drop_oldest_kept()
                {}
            }
        }
    }

    /// No more events will come.
    pub(crate) fn close(&self) {
        self.queue.write(Items::close);
    }

    /// How many bytes may come in before nothing should be read from the socket; `None` when that never happens, zero
    /// when it has.
    pub(crate) fn room(&self) -> Option<usize> {
        (self.overflow == Overflow::Pause).then(|| {
            self.queue.look(|items| match items.bytes() {
                _ if items.is_closed() => usize::MAX,
                bytes if bytes > self.limit => 0,
                bytes => (self.limit - bytes).max(1),
            })
        })
    }

    /// The next event, and whether taking it made reading possible again.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> (Poll<Option<Event>>, bool) {
        self.mark_as_read();
        let mut unblocked = false;
        let polled = self.queue.read(cx, |items| {
            let was_over = items.bytes() > self.limit;
            let event = next(items);
            unblocked = self.is_unblocked(was_over, items);
            event
        });
        (polled, unblocked)
    }

    /// The next event, which counts as waiting until [`release`](Self::release).
    pub(crate) fn poll_held(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        self.mark_as_read();
        self.queue.read(cx, |items| {
            let event = next(items)?;
            items.hold(event.cost());
            Some(event)
        })
    }

    /// So many bytes wait no more; whether this made reading possible again.
    pub(crate) fn release(&self, bytes: usize) -> bool {
        self.queue.write(|items| {
            let was_over = items.bytes() > self.limit;
            items.release(bytes);
            self.is_unblocked(was_over, items)
        })
    }

    fn is_unblocked(&self, was_over: bool, items: &Items<Event>) -> bool {
        self.overflow == Overflow::Pause && was_over && items.bytes() <= self.limit
    }

    fn mark_as_read(&self) {
        if !self.was_read.load(Ordering::Relaxed) {
            self.was_read.store(true, Ordering::Relaxed);
        }
    }
}

fn next(items: &mut Items<Event>) -> Option<Event> {
    match items.take_dropped() {
        0 => items.pop(),
        messages => Some(Event::Dropped { messages }),
    }
}
