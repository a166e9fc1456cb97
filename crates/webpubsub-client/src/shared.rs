//! What the handles of a client and its driver share: the session behind one lock, and who waits for what.
//!
//! Handles mutate the session under the lock and wake the driver; only the driver drains it. The lock is never held
//! across an await.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use bytestring::ByteString;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot, watch};
use webpubsub_protocol::frame::FrameError;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Event as SessionEvent, Now, Outcome, Request, RequestId, Session, State, StreamKey,
    SubmitError, SubscriptionId,
};

use crate::event::Event;
use crate::inbound::{StreamFeed, StreamsFeed};
use crate::inbox::Inbox;
use crate::metrics::Metrics;

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Signalled when requests may fit again.
    pub(crate) room: Notify,
    status: watch::Sender<Status>,
    pub(crate) metrics: Arc<dyn Metrics>,
}

/// What a client is doing, for those who only look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) connection_id: Option<ByteString>,
    pub(crate) user_id: Option<ByteString>,
}

pub(crate) struct Inner {
    pub(crate) session: Session,
    /// Whether a driver runs.
    pub(crate) driven: bool,
    driver: Option<Waker>,
    waiters: BTreeMap<RequestId, oneshot::Sender<Settled>>,
    answers: BTreeMap<RequestId, Answer>,
    inboxes: Vec<Arc<Inbox>>,
    subscriptions: BTreeMap<SubscriptionId, StreamsFeed>,
    streams: BTreeMap<StreamKey, StreamFeed>,
    failures: BTreeMap<RequestId, watch::Sender<Option<FrameError>>>,
    /// Counts the changes of groups whose states somebody views.
    views: BTreeMap<GroupName, watch::Sender<u64>>,
    stopping: Vec<oneshot::Sender<()>>,
}

/// How a request went, with the answer when it is one that has one.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) outcome: Outcome,
    pub(crate) answer: Option<Answer>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Option<Payload>,
    pub(crate) metadata: Metadata,
}

impl Shared {
    pub(crate) fn new(session: Session, metrics: Arc<dyn Metrics>) -> Arc<Self> {
        let status = Status {
            state: State::Stopped,
            connection_id: None,
            user_id: None,
        };
        Arc::new(Self {
            inner: Mutex::new(Inner {
                session,
                driven: false,
                driver: None,
                waiters: BTreeMap::new(),
                answers: BTreeMap::new(),
                inboxes: Vec::new(),
                subscriptions: BTreeMap::new(),
                streams: BTreeMap::new(),
                failures: BTreeMap::new(),
                views: BTreeMap::new(),
                stopping: Vec::new(),
            }),
            room: Notify::new(),
            status: watch::Sender::new(status),
            metrics,
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Changes the session and lets the driver act on it.
    pub(crate) fn act<R>(&self, change: impl FnOnce(&mut Inner, Now) -> R) -> R {
        let mut inner = self.lock();
        let result = change(&mut inner, now());
        let driver = inner.driver.take();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Submits a request. A refusal does not wake the driver: it has nothing to do, and waking it would wake whoever
    /// waits for room.
    pub(crate) fn submit(
        &self,
        request: &Request,
    ) -> Result<(RequestId, oneshot::Receiver<Settled>), SubmitError> {
        let mut inner = self.lock();
        inner.session.check(request)?;
        let id = inner.session.submit(now(), request.clone())?;
        let settled = inner.wait_for(id);
        let driver = inner.driver.take();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok((id, settled))
    }

    pub(crate) fn wake_driver(&self) {
        self.act(|_, _| ());
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn add_inbox(&self, inbox: Arc<Inbox>) {
        let mut inner = self.lock();
        // What has happened is not for the newcomer.
        inner.dispatch(&*self.metrics);
        inner.inboxes.push(inbox);
    }

    pub(crate) fn remove_inbox(&self, inbox: &Arc<Inbox>) {
        // The driver may have been waiting for this consumer.
        self.act(|inner, _| inner.inboxes.retain(|other| !Arc::ptr_eq(other, inbox)));
    }

    /// The last handle is gone: nobody can start the client again, so the streams of events end.
    pub(crate) fn abandon(&self) {
        self.act(|inner, now| {
            inner.session.stop(now);
            if !inner.driven {
                inner.dispatch(&*self.metrics);
            }
            for inbox in inner.inboxes.drain(..) {
                inbox.close();
            }
            inner.subscriptions.clear();
            inner.streams.clear();
            inner.views.clear();
        });
    }

    /// Publishes the state, if it changed.
    pub(crate) fn publish_status(&self, inner: &Inner) {
        let status = Status {
            state: inner.session.state(),
            connection_id: inner.session.connection_id().cloned(),
            user_id: inner.session.user_id().cloned(),
        };
        let mut state_changed = false;
        self.status.send_if_modified(|current| {
            state_changed = current.state != status.state;
            let changed = *current != status;
            *current = status;
            changed
        });
        if state_changed {
            self.metrics.state_changed(inner.session.state());
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn set_driver(&mut self, waker: &Waker) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(waker),
            None => self.driver = Some(waker.clone()),
        }
    }

    pub(crate) fn wait_for(&mut self, request: RequestId) -> oneshot::Receiver<Settled> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.insert(request, sender);
        receiver
    }

    pub(crate) fn wait_for_stop(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.stopping.push(sender);
        receiver
    }

    /// No socket is being closed any more.
    pub(crate) fn sockets_closed(&mut self) {
        for waiter in self.stopping.drain(..) {
            let _ = waiter.send(());
        }
    }

    pub(crate) fn subscribe(&mut self, id: SubscriptionId, feed: StreamsFeed) {
        self.subscriptions.insert(id, feed);
    }

    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.session.unsubscribe_streams(id);
        self.subscriptions.remove(&id);
    }

    /// Told once when this stream fails.
    pub(crate) fn watch_stream(
        &mut self,
        stream: RequestId,
    ) -> watch::Receiver<Option<FrameError>> {
        let (sender, receiver) = watch::channel(None);
        self.failures.insert(stream, sender);
        receiver
    }

    /// Told of each change in the states of this group.
    pub(crate) fn view(&mut self, group: GroupName) -> watch::Receiver<u64> {
        // Views that nobody holds any more go when another one is made.
        self.views.retain(|_, changes| !changes.is_closed());
        let changes = self
            .views
            .entry(group)
            .or_insert_with(|| watch::Sender::new(0));
        changes.subscribe()
    }

    pub(crate) fn forget_stream(&mut self, stream: RequestId) {
        self.failures.remove(&stream);
    }

    /// Whether a consumer wants nothing to be read for now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.inboxes.iter().any(|inbox| inbox.is_blocking())
    }

    /// Whether the socket may be read: always until a connection stands, which needs a frame or two, so that a slow
    /// consumer does not cost a recovery.
    pub(crate) fn may_read(&self) -> bool {
        self.session.state() != State::Connected || !self.is_blocked()
    }

    /// Hands the session's events to those who wait for them.
    pub(crate) fn dispatch(&mut self, metrics: &dyn Metrics) {
        while let Some(event) = self.session.poll_event() {
            self.dispatch_one(event, metrics);
        }
    }

    fn dispatch_one(&mut self, event: SessionEvent, metrics: &dyn Metrics) {
        match event {
            SessionEvent::Answered {
                request,
                payload,
                metadata,
            } => {
                self.answers.insert(request, Answer { payload, metadata });
            }
            SessionEvent::Settled { request, outcome } => {
                let answer = self.answers.remove(&request);
                if let Some(waiter) = self.waiters.remove(&request) {
                    // Nobody may be listening any more.
                    let _ = waiter.send(Settled { outcome, answer });
                }
            }
            SessionEvent::StreamFailed {
                stream,
                stream_id,
                error,
            } => {
                tracing::debug!(%stream_id, name = %error.name, "an outbound stream failed");
                if let Some(failed) = self.failures.remove(&stream) {
                    failed.send_replace(Some(error));
                }
            }
            SessionEvent::StreamOpened {
                subscription,
                stream,
                group,
                stream_id,
            } => {
                let feed = self.subscriptions.get(&subscription);
                if let Some(feed) = feed.and_then(|feed| feed.open(group, stream_id)) {
                    self.streams.insert(stream, feed);
                }
            }
            SessionEvent::StreamFragment { stream, fragment } => {
                if let Some(feed) = self.streams.get(&stream)
                    && !feed.push(fragment)
                {
                    self.streams.remove(&stream);
                }
            }
            SessionEvent::StreamEnded { stream, end } => {
                if let Some(feed) = self.streams.remove(&stream) {
                    feed.end(end);
                }
            }
            SessionEvent::Ignored(why) => {
                tracing::debug!("{why}");
                metrics.frame_ignored();
            }
            event => {
                if let SessionEvent::GroupState { group, .. } = &event
                    && let Some(changes) = self.views.get(group)
                {
                    changes.send_modify(|count| *count += 1);
                }
                note(&event, metrics);
                if let Some(event) = Event::of(event) {
                    self.tell(event);
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        let Some((last, others)) = self.inboxes.split_last() else {
            return;
        };
        for inbox in others {
            inbox.push(event.clone());
        }
        last.push(event);
    }
}

/// Logs and counts what happens to the connection.
fn note(event: &SessionEvent, metrics: &dyn Metrics) {
    match event {
        SessionEvent::Connecting { attempt } => tracing::debug!(attempt, "connecting"),
        SessionEvent::Connected { connection_id, .. } => {
            tracing::info!(%connection_id, "connected");
        }
        SessionEvent::Recovering { cause } => {
            tracing::info!(%cause, "the socket was lost; recovering the connection");
            metrics.recovering(cause);
        }
        SessionEvent::Recovered { replayed } => {
            tracing::info!(replayed, "recovered");
            metrics.recovered(*replayed);
        }
        SessionEvent::Disconnected {
            connection_id,
            cause,
            ..
        } => {
            tracing::info!(%connection_id, %cause, "disconnected");
            metrics.disconnected(cause);
        }
        SessionEvent::Stopped { reason } => tracing::info!(%reason, "stopped"),
        SessionEvent::RejoinFailed { group, error } => {
            tracing::warn!(%group, name = %error.name, "the group could not be joined again");
        }
        SessionEvent::StateRestoreFailed { group, error } => {
            tracing::warn!(%group, name = %error.name, "group state could not be restored");
        }
        _ => {}
    }
}

/// The time for the session: tokio's clock, which tests can stop, and the wall clock.
pub(crate) fn now() -> Now {
    Now {
        mono: tokio::time::Instant::now().into_std(),
        wall: SystemTime::now(),
    }
}
