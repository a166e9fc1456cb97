//! Callers that wait until their request fits.
//!
//! They wait in order, one queue for each thing that can be full, and only the first of a queue is woken, when there
//! is room. It submits its request, and if there is still room the next one is woken. All are woken by what makes waiting
//! futile: a stop, or a consumer of events that keeps the answers from arriving which would make room.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use webpubsub_protocol::session::{Request, RequestId, State, SubmitError};

use super::{Change, Inner, Shared};

#[derive(Debug, Default)]
pub(super) struct Room {
    queues: BTreeMap<Lane, VecDeque<Place>>,
    last_ticket: u64,
    /// What the session had counted as freed when callers were woken last.
    freed: u64,
    /// Everybody is woken next.
    all_try: bool,
}

/// What can be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The outbox.
    Outbox,
    /// The window of the stream that this request opened.
    Stream(RequestId),
}

/// Where somebody waits.
#[derive(Debug)]
struct Place {
    ticket: u64,
    /// `None` once it was woken, until it has tried.
    waker: Option<Waker>,
}

impl Room {
    /// Whether nobody waits in front of this caller.
    fn is_first(&self, lane: Lane, ticket: Option<u64>) -> bool {
        let first = self.queues.get(&lane).and_then(VecDeque::front);
        first.is_none_or(|first| Some(first.ticket) == ticket)
    }

    /// Waits at its place, or at the end when it is new.
    fn wait(&mut self, lane: Lane, ticket: &mut Option<u64>, waker: &Waker) {
        let queue = self.queues.entry(lane).or_default();
        let place = ticket.and_then(|ticket| {
            let place = queue.binary_search_by_key(&ticket, |caller| caller.ticket);
            place.ok()
        });
        match place.and_then(|place| queue.get_mut(place)) {
            Some(caller) => caller.waker = Some(waker.clone()),
            None => {
                self.last_ticket += 1;
                *ticket = Some(self.last_ticket);
                queue.push_back(Place {
                    ticket: self.last_ticket,
                    waker: Some(waker.clone()),
                });
            }
        }
    }

    /// Lets everybody try, whether or not there is room: requests may be refused now.
    pub(super) const fn let_all_try(&mut self) {
        self.all_try = true;
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Waits no more.
    fn leave(&mut self, lane: Lane, ticket: u64) {
        if let Some(queue) = self.queues.get_mut(&lane) {
            match queue.front() {
                Some(first) if first.ticket == ticket => drop(queue.pop_front()),
                _ => queue.retain(|caller| caller.ticket != ticket),
            }
            if queue.is_empty() {
                self.queues.remove(&lane);
            }
        }
    }
}

impl Inner {
    /// Those who should try again now: the first of each queue when there is room for it, everybody when the session
    /// is stopped or has just stalled.
    pub(super) fn callers_to_wake(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        let all_try = std::mem::take(&mut self.room.all_try);
        if self.room.queues.is_empty() {
            return woken;
        }
        let freed = self.session.room_freed();
        let has_changed = std::mem::replace(&mut self.room.freed, freed) != freed;
        let all_try = all_try || self.session.state() == State::Stopped;
        for (lane, queue) in &mut self.room.queues {
            if all_try {
                woken.extend(queue.iter_mut().filter_map(|caller| caller.waker.take()));
                continue;
            }
            let has_room = match lane {
                Lane::Outbox => self.session.has_room(),
                Lane::Stream(_) => has_changed,
            };
            if has_room && let Some(first) = queue.front_mut() {
                woken.extend(first.waker.take());
            }
        }
        woken
    }
}

impl Shared {
    /// Submits a request, or waits in the queue of its lane until there is room for it.
    pub(crate) fn poll_submit(
        &self,
        lane: Lane,
        request: &mut Option<Request>,
        ticket: &mut Option<u64>,
        cx: &Context<'_>,
    ) -> Poll<Result<RequestId, SubmitError>> {
        let mut inner = self.lock();
        let is_stopped = inner.session.state() == State::Stopped;
        let has_turn = is_stopped || inner.room.is_first(lane, *ticket);
        let fits = match request {
            Some(request) if has_turn => inner.session.check(request),
            // It may be refused before its turn, but not overtake anybody.
            Some(request) if inner.stall.is_stalled() => {
                let checked = inner.session.check(request);
                checked.and(Err(SubmitError::Full))
            }
            _ => Err(SubmitError::Full),
        };
        if fits == Err(SubmitError::Full) {
            inner.room.wait(lane, ticket, cx.waker());
            return Poll::Pending;
        }
        let result = fits.and_then(|()| match request.take() {
            Some(request) => {
                let now = inner.place.submission_time();
                inner.session.submit(now, request)
            }
            None => Err(SubmitError::NotStarted),
        });
        if let Ok(id) = result {
            let caller = super::Caller::Waiting(cx.waker().clone());
            inner.callers.insert(id, caller);
        }
        if let Some(ticket) = ticket.take() {
            inner.room.leave(lane, ticket);
        }
        self.release(inner, Change::ByHandle);
        Poll::Ready(result)
    }

    /// Waits no more.
    pub(crate) fn leave_room(&self, lane: Lane, ticket: u64) {
        let mut inner = self.lock();
        inner.room.leave(lane, ticket);
        // It may have been this caller's turn.
        self.release(inner, Change::ByHandle);
    }
}
