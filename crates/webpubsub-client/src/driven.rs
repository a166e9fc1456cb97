//! An inbox that is filled and read by hand. For the simulations of this workspace; not part of the API.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use webpubsub_protocol::session;

use crate::event::Event;
use crate::inbox::{Inbox, Overflow};

/// One consumer of events.
#[derive(Debug)]
pub struct Consumer(Arc<Inbox>);

impl Consumer {
    /// A consumer whose inbox takes so many bytes.
    #[must_use]
    pub fn new(limit: usize, overflow: Overflow) -> Self {
        Self(Inbox::new(limit, overflow))
    }

    /// What consumers hear of an event of the session; `None` for those that are for the driver alone.
    #[must_use]
    pub fn event(event: session::Event) -> Option<Event> {
        Event::of(event)
    }

    /// Puts an event in.
    pub fn push(&self, event: Event) {
        // Whether anybody reads it, the simulation knows.
        let _ = self.0.push_all([event]);
    }

    /// Whether nothing should be read from the socket.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.0.room() == Some(0)
    }

    /// The next event: pending when there is none now, `None` when there will be none.
    pub fn poll(&self) -> Poll<Option<Event>> {
        self.0.poll(&Context::from_waker(Waker::noop())).0
    }
}
