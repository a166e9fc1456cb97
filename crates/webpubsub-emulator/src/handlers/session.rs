//! What event handlers leave with a connection, and the order of its events.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use url::Url;

use super::cookies::Jar;

/// Lives as long as its connection and survives its sockets. `Debug` shows neither state nor cookies.
#[derive(Default)]
pub(crate) struct Session {
    /// The host that the client connected to, without a port.
    origin: String,
    left: Mutex<Left>,
    /// The events whose requests have not been started, and whom to wake when they come first. Only the next one in
    /// line is ever woken: a connection may have as many events waiting as it is in groups.
    waiting: Mutex<BTreeMap<u64, Option<Waker>>>,
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
        self.waiting.lock().insert(event_id, None);
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
        poll_fn(|context| {
            let mut waiting = self.session.waiting.lock();
            if waiting
                .first_key_value()
                .is_none_or(|(first, _)| *first == self.event_id)
            {
                return Poll::Ready(());
            }
            waiting.insert(self.event_id, Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut waiting = self.session.waiting.lock();
            waiting.remove(&self.event_id);
            waiting
                .first_entry()
                .and_then(|mut next| next.get_mut().take())
        };
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

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
    fn each_turn_that_passes_wakes_the_next_one_and_nobody_else() {
        const EVENTS: u64 = 100;

        struct Counting(AtomicUsize);
        impl Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let session = Session::new("h");
        let wakes = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let turns: Vec<Turn> = (0..EVENTS).map(|id| session.turn(id)).collect();
        for turn in &turns[1..] {
            assert!(pin!(turn.comes()).poll(&mut context).is_pending());
        }
        for (passed, turn) in turns.into_iter().enumerate() {
            assert_eq!(turn.comes().now_or_never(), Some(()));
            assert_eq!(wakes.0.load(Ordering::Relaxed), passed);
            drop(turn);
        }
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
