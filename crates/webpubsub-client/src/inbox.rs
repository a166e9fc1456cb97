//! One inbox per consumer of events, limited in bytes.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use parking_lot::Mutex;

use crate::event::Event;
use crate::shared::Shared;

/// What happens when a consumer does not keep up and its inbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Nothing is read from the socket until the consumer has taken events. The service keeps up to 1,000 messages
    /// meanwhile, then it ends the connection. Requests that wait for an answer for a second fail with
    /// [`SendError::Stalled`](crate::SendError::Stalled), so that a consumer which waits for its own request goes on.
    #[default]
    Pause,
    /// The oldest messages are dropped; [`Event::Dropped`] tells how many. News of the connection are never dropped.
    DropOldest,
    /// The consumer's stream ends with [`Event::Overflowed`].
    Close,
}

/// The events of a client, as a stream. From [`WebPubSubClient::events`](crate::WebPubSubClient::events).
///
/// Each consumer gets all events that happen after it was made. Dropping it stops its delivery. The stream ends when
/// the client is gone.
pub struct Events {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) const fn new(inbox: Arc<Inbox>, shared: Arc<Shared>) -> Self {
        Self { inbox, shared }
    }

    /// The next event; `None` when there will be none.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next_event(cx)).await
    }

    fn poll_next_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let (polled, unblocked) = self.inbox.poll(cx);
        if unblocked {
            self.shared.wake_driver();
        }
        polled
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_next_event(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.remove_inbox(&self.inbox);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    limit: usize,
    overflow: Overflow,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Event>,
    bytes: usize,
    dropped: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new(limit: usize, overflow: Overflow) -> Arc<Self> {
        Arc::new(Self {
            limit,
            overflow,
            state: Mutex::default(),
        })
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.bytes += event.cost();
        let is_message = event.is_message();
        state.queue.push_back(event);
        if state.bytes > self.limit && is_message {
            match self.overflow {
                Overflow::Pause => {}
                Overflow::DropOldest => state.drop_oldest(self.limit),
                Overflow::Close => {
                    state.bytes += Event::Overflowed.cost();
                    state.queue.push_back(Event::Overflowed);
                    state.closed = true;
                }
            }
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No more events will come.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nothing may be read from the socket for now.
    pub(crate) fn is_blocking(&self) -> bool {
        self.overflow == Overflow::Pause && {
            let state = self.state.lock();
            state.bytes > self.limit && !state.closed
        }
    }

    /// The next event, and whether this made reading possible again.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> (Poll<Option<Event>>, bool) {
        let mut state = self.state.lock();
        if state.dropped > 0 {
            let messages = std::mem::take(&mut state.dropped);
            return (Poll::Ready(Some(Event::Dropped { messages })), false);
        }
        let Some(event) = state.queue.pop_front() else {
            if state.closed {
                return (Poll::Ready(None), false);
            }
            state.waker = Some(cx.waker().clone());
            return (Poll::Pending, false);
        };
        let was_over = state.bytes > self.limit;
        state.bytes -= event.cost();
        let unblocked = self.overflow == Overflow::Pause && was_over && state.bytes <= self.limit;
        (Poll::Ready(Some(event)), unblocked)
    }
}

impl State {
    fn drop_oldest(&mut self, limit: usize) {
        let mut kept = VecDeque::with_capacity(self.queue.len());
        while let Some(event) = self.queue.pop_front() {
            if self.bytes > limit && event.is_message() {
                self.bytes -= event.cost();
                self.dropped += 1;
            } else {
                kept.push_back(event);
                if self.bytes <= limit {
                    break;
                }
            }
        }
        kept.append(&mut self.queue);
        self.queue = kept;
    }
}
