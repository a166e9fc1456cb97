//! What the handles of a client and its driver share: the session behind one lock, and who waits for what.
//!
//! Handles change the session under the lock and wake the driver; only the driver carries out what the session wants.
//! Whoever changes the session also hands out its events before the lock is released, so nothing that happened ever
//! waits for somebody to notice. The lock is never held across an await.

mod callers;
mod dispatch;
mod outbound;
mod report;
mod room;
mod seat;
mod stall;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::{oneshot, watch};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    AlreadyStarted, Now, Outcome, RequestId, Session, State, StopReason,
};

pub(crate) use report::Report;
pub(crate) use room::Lane;
pub(crate) use seat::{Rest, Seat, Turn};

use crate::event::Event;
use crate::inbound::InboundFeeds;
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::sync::{Mutex, MutexGuard, now};
use callers::{Caller, Callers};
use outbound::OutboundStreams;
use room::Room;
use seat::Place;
use stall::StallWatch;

pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// What the client is doing, for those who only look.
    state: watch::Sender<State>,
    pub(crate) metrics: Arc<dyn Metrics>,
}

pub(crate) struct Inner {
    pub(crate) session: Session,
    /// The state of the session that was published last.
    published: State,
    /// Whether a driver runs, and which.
    place: Place,
    /// Counts the starts.
    run: Run,
    /// Who waits for the first connection of this run.
    starting: Option<oneshot::Sender<Result<(), StopReason>>>,
    /// Who waits for the sockets to be closed.
    stopping: Vec<oneshot::Sender<()>>,
    room: Room,
    stall: StallWatch,
    /// Callers by their requests, until they have taken how these went.
    callers: Callers,
    /// Callers to wake when the lock is released.
    woken: Vec<Waker>,
    answers: BTreeMap<RequestId, Answer>,
    inboxes: Vec<Arc<Inbox>>,
    /// Events for the inboxes, until the lock is released.
    outgoing: Vec<Event>,
    /// What the driver should log and count.
    reports: Vec<Report>,
    pub(crate) inbound: InboundFeeds,
    pub(crate) outbound: OutboundStreams,
    /// Counts the changes of groups whose states somebody views.
    views: BTreeMap<GroupName, watch::Sender<u64>>,
}

/// Names one start of the client, so that whoever gives it up stops no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run(u64);

/// A start that was accepted.
pub(crate) struct Started {
    pub(crate) run: Run,
    /// Completes when there is a connection, or when there will be none.
    pub(crate) connected: oneshot::Receiver<Result<(), StopReason>>,
    /// For a new driver, when none runs.
    pub(crate) seat: Option<Seat>,
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
        let state = session.state();
        Arc::new(Self {
            inner: Mutex::new(Inner {
                session,
                published: state,
                place: Place::default(),
                run: Run::default(),
                starting: None,
                stopping: Vec::new(),
                room: Room::default(),
                stall: StallWatch::default(),
                callers: Callers::default(),
                woken: Vec::new(),
                answers: BTreeMap::new(),
                inboxes: Vec::new(),
                outgoing: Vec::new(),
                reports: Vec::new(),
                inbound: InboundFeeds::default(),
                outbound: OutboundStreams::default(),
                views: BTreeMap::new(),
            }),
            state: watch::Sender::new(state),
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
        self.release(inner, Change::ByHandle);
        result
    }

    /// Starts the session.
    ///
    /// # Errors
    ///
    /// When it runs already.
    pub(crate) fn start(self: &Arc<Self>) -> Result<Started, AlreadyStarted> {
        self.act(|inner, now| {
            inner.session.start(now)?;
            inner.run.0 += 1;
            inner.stall = StallWatch::default();
            let (sender, connected) = oneshot::channel();
            inner.starting = Some(sender);
            Ok(Started {
                run: inner.run,
                connected,
                seat: inner.place.take(self),
            })
        })
    }

    /// Stops the session. The receiver completes when no socket is being closed any more; there is none when nothing
    /// is left to wait for.
    pub(crate) fn stop(&self) -> Option<oneshot::Receiver<()>> {
        self.act(|inner, now| {
            inner.session.stop(now);
            inner.place.is_taken().then(|| {
                let (sender, stopped) = oneshot::channel();
                inner.stopping.push(sender);
                stopped
            })
        })
    }

    /// Stops the session unless it was started again since this run.
    pub(crate) fn give_up(&self, run: Run) {
        self.act(|inner, now| {
            if inner.run == run {
                inner.session.stop(now);
            }
        });
    }

    /// The last handle is gone: nobody can start the client again, so the streams of events end.
    pub(crate) fn abandon(&self) {
        self.act(|inner, now| {
            inner.session.stop(now);
            inner.dispatch();
            for inbox in inner.inboxes.drain(..) {
                inbox.close();
            }
            inner.inbound = InboundFeeds::default();
            inner.views.clear();
        });
    }

    /// How a request went; `None` when nobody can know any more.
    pub(crate) fn poll_settled(
        &self,
        request: RequestId,
        cx: &Context<'_>,
    ) -> Poll<Option<Settled>> {
        let mut inner = self.lock();
        match inner.callers.get_mut(&request) {
            Some(Caller::Waiting(waker)) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            Some(Caller::Settled(_)) | None => Poll::Ready(inner.take_settled(request)),
        }
    }

    /// Gives a request up, and with it a stream that it has opened.
    pub(crate) fn cancel(&self, request: RequestId) {
        self.act(|inner, now| {
            inner.callers.remove(&request);
            inner.session.cancel(now, request);
        });
    }

    /// Gives a request up unless it is settled. Then returns how it went; a stream that it has opened stays open.
    pub(crate) fn expire(&self, request: RequestId) -> Option<Settled> {
        self.act(|inner, now| {
            let settled = inner.take_settled(request);
            if settled.is_none() {
                inner.session.cancel(now, request);
            }
            settled
        })
    }

    pub(crate) fn wake_driver(&self) {
        self.act(|_, _| ());
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn add_inbox(&self, inbox: Arc<Inbox>) {
        self.lock().inboxes.push(inbox);
    }

    pub(crate) fn remove_inbox(&self, inbox: &Arc<Inbox>) {
        // The driver may have been waiting for this consumer.
        self.act(|inner, _| inner.inboxes.retain(|other| !Arc::ptr_eq(other, inbox)));
    }

    /// Ends a change: hands out what happened, and wakes whoever has something to do now, outside the lock.
    fn release(&self, mut inner: MutexGuard<'_, Inner>, change: Change) {
        inner.dispatch();
        self.publish_state(&mut inner);
        let callers = inner.callers_to_wake();
        let settled = std::mem::take(&mut inner.woken);
        let driver = match change {
            Change::ByDriver => None,
            Change::ByHandle => inner.place.wake(),
        };
        drop(inner);
        for waker in settled.into_iter().chain(callers).chain(driver) {
            waker.wake();
        }
    }

    /// Publishes the state, if it changed.
    fn publish_state(&self, inner: &mut Inner) {
        let state = inner.session.state();
        if std::mem::replace(&mut inner.published, state) != state {
            self.state.send_replace(state);
            inner.reports.push(Report::State(state));
        }
    }
}

#[cfg(test)]
impl Inner {
    /// Whether nobody waits for anything.
    pub(crate) fn is_at_rest(&mut self) -> bool {
        !self.place.is_taken()
            && self.session.poll_action().is_none()
            && self.session.poll_event().is_none()
            && self.starting.is_none()
            && self.stopping.is_empty()
            && self.callers.is_empty()
            && self.woken.is_empty()
            && self.room.is_empty()
            && self.reports.is_empty()
    }
}

/// Who changed the session, and so who must be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The driver looks again before it rests.
    ByDriver,
    ByHandle,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
