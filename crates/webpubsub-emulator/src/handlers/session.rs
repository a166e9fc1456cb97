//! What event handlers have to do with one connection: what they left with it, and whose turn is next.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::watch;
use url::Url;

use super::cookies::Jar;

/// Lives as long as its connection and survives its sockets. `Debug` shows neither state nor cookies.
#[derive(Default)]
pub(crate) struct Session {
    /// The host that the client connected to, without a port.
    origin: String,
    left: Mutex<Left>,
    /// The events whose requests have not been started.
    waiting: watch::Sender<BTreeSet<u64>>,
}

/// What handlers left with the connection.
#[derive(Default)]
struct Left {
    state: Option<HeaderValue>,
    cookies: Jar,
}

impl Session {
    pub(crate) fn new(origin: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            origin: origin.into(),
            ..Self::default()
        })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The turn of an event. Turns come in the order of the ids, so they are taken under the hub's lock, as ids are.
    pub(crate) fn turn(self: &Arc<Self>, event_id: u64) -> Turn {
        self.waiting.send_modify(|waiting| {
            waiting.insert(event_id);
        });
        Turn {
            session: Arc::clone(self),
            event_id,
        }
    }

    pub(super) fn state(&self) -> Option<HeaderValue> {
        self.left.lock().state.clone()
    }

    pub(super) fn set_state(&self, state: HeaderValue) {
        self.left.lock().state = Some(state);
    }

    /// The `Cookie` header of a request to this URL.
    pub(super) fn cookies(&self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        self.left.lock().cookies.header(url, now)
    }

    /// Keeps the cookies of an answer from this URL.
    pub(super) fn keep_cookies(&self, url: &Url, headers: &HeaderMap, now: SystemTime) {
        self.left.lock().cookies.keep(url, headers, now);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// An event's place among those of its connection. Dropped when the event's request was started, or never will be:
/// then the next one may go.
#[derive(Debug)]
pub(crate) struct Turn {
    session: Arc<Session>,
    event_id: u64,
}

impl Turn {
    pub(crate) const fn event_id(&self) -> u64 {
        self.event_id
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Waits until all earlier events were started.
    pub(super) async fn comes(&self) {
        let mut waiting = self.session.waiting.subscribe();
        let first = waiting.wait_for(|waiting| waiting.first() == Some(&self.event_id));
        // The sender lives in the session, so waiting cannot fail.
        let _ = first.await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.session.waiting.send_modify(|waiting| {
            waiting.remove(&self.event_id);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn turns_come_in_the_order_of_their_ids_whatever_is_dropped_first() {
        let session = Session::new("h");
        let [first, second, third] = [1, 2, 3].map(|id| session.turn(id));
        assert_eq!(first.comes().now_or_never(), Some(()));
        assert_eq!(third.comes().now_or_never(), None);
        drop(second);
        assert_eq!(
            third.comes().now_or_never(),
            None,
            "the first one has not gone"
        );
        drop(first);
        assert_eq!(third.comes().now_or_never(), Some(()));
    }

    #[test]
    fn debug_shows_neither_state_nor_cookies() {
        let session = Session::new("h");
        session.set_state(HeaderValue::from_static("private"));
        let turn = session.turn(1);
        let shown = format!("{session:?} {turn:?}");
        assert!(
            !shown.contains("private") && shown.contains("\"h\""),
            "{shown}"
        );
    }
}
