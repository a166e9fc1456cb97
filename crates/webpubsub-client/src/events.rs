//! A consumer of a client's events.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::event::Event;
use crate::inbox::Inbox;
use crate::shared::Shared;

/// The events of a client, as a stream. Created by [`WebPubSubClient::events`](crate::WebPubSubClient::events).
///
/// Each consumer receives all events that happen after it was created. Dropping it ends the delivery. The stream ends when
/// the last handle of the client is dropped.
pub struct Events {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) const fn new(inbox: Arc<Inbox>, shared: Arc<Shared>) -> Self {
        Self { inbox, shared }
    }

    /// The next event; `None` if there will be no more.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next_event(cx)).await
    }

    /// The next event, which counts as waiting in the inbox until what comes with it is dropped.
    pub(crate) async fn next_held(&mut self) -> Option<(Event, Held)> {
        let event = std::future::poll_fn(|cx| self.inbox.poll_held(cx)).await?;
        let held = Held {
            bytes: event.cost(),
            inbox: Arc::clone(&self.inbox),
            shared: Arc::clone(&self.shared),
        };
        Some((event, held))
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

/// An event that was taken and not used yet.
pub(crate) struct Held {
    bytes: usize,
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.inbox.release(self.bytes) {
            self.shared.wake_driver();
        }
    }
}
