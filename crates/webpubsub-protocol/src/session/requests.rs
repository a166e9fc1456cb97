//! Requests on their way: what waits, what was written, what is tried again.

mod by_ack;
mod effect;
mod queue;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytestring::ByteString;

pub(super) use effect::Effect;

use super::ack_ids::AckIds;
use super::backoff::Random;
use super::config::SessionConfig;
use super::event::{Event, Loss};
use super::group_state::Groups;
use super::growing_map::GrowingMap;
use super::protocol::WireFrame;
use super::request::{Outcome, RequestId};
use crate::frame::{AckId, AnswerTo, DecodeError, FrameError};
use crate::metadata::Metadata;
use crate::name::GroupName;
use crate::payload::Payload;
use by_ack::ByAck;
use queue::{Lane, Place, Queue};

/// Failures that may heal: the service, or the handler behind it, is in trouble.
const PASSING: [&str; 4] = [
    "InternalServerError",
    "ServiceUnavailable",
    "Timeout",
    "TransientError",
];

#[derive(Debug, Default)]
pub(super) struct Requests {
    last_id: u64,
    last_invocation_id: u64,
    ack_ids: AckIds,
    pending: GrowingMap<RequestId, Pending>,
    queue: Queue,
    last_ticket: u64,
    load: Load,
    /// How often the load became less.
    freed: u64,
    by_ack: ByAck,
    by_invocation: BTreeMap<ByteString, RequestId>,
    /// Written and unanswered.
    in_flight: usize,
    /// Callers that wait for an answer.
    awaited: usize,
    retries: BTreeSet<(Instant, RequestId)>,
}

#[derive(Debug)]
struct Pending {
    /// Empty once nothing can make it go out again.
    frame: WireFrame,
    kind: Kind,
    owner: Owner,
    /// Its place in the queue, when it stands there.
    queued: Option<Place>,
    /// Its place in the order of first writing, when it is unanswered.
    written: Option<u64>,
    /// When it is tried again after a passing failure.
    retry_at: Option<Instant>,
    retries: u32,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Answered under this id.
    Acknowledged(AckId, Effect),
    /// Answered by an `invokeResponse`.
    Invocation(ByteString),
    /// Not answered.
    Forgotten,
}

/// Who learns how a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Caller,
    /// It was settled before its answer, which still counts for what the session knows.
    Nobody,
    /// It restores a new connection; only its failure is reported.
    Session,
}

/// What the callers' requests take up.
#[derive(Debug, Default)]
struct Load {
    /// Frames that wait to be written.
    waiting: usize,
    /// Bytes of all that are held: to be written, or to be written again.
    bytes: usize,
}

impl Requests {
    /// The next ack id that this connection has not used.
    pub(super) fn free_ack_id(&self) -> AckId {
        self.ack_ids.free(|id| self.is_ack_id_in_use(id))
    }

    pub(super) fn is_ack_id_in_use(&self, id: AckId) -> bool {
        self.by_ack.get(id).is_some()
    }

    pub(super) const fn take_ack_id(&mut self, id: AckId) {
        self.ack_ids.take(id);
    }

    pub(super) fn free_invocation_id(&mut self) -> ByteString {
        loop {
            self.last_invocation_id += 1;
            let id = ByteString::from(self.last_invocation_id.to_string());
            if !self.is_invocation_id_in_use(&id) {
                return id;
            }
        }
    }

    pub(super) fn is_invocation_id_in_use(&self, id: &ByteString) -> bool {
        self.by_invocation.contains_key(id)
    }

    pub(super) const fn new_request(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    /// Frames of callers that wait to be written.
    pub(super) const fn waiting(&self) -> usize {
        self.load.waiting
    }

    /// Bytes of callers' frames that are kept.
    pub(super) const fn held_bytes(&self) -> usize {
        self.load.bytes
    }

    /// How often they became less.
    pub(super) const fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether callers wait for answers.
    pub(super) const fn any_awaited(&self) -> bool {
        self.awaited > 0
    }

    /// Whether somebody asked for the states of this group and has no answer yet.
    pub(super) fn is_subscribing(&self, group: &GroupName) -> bool {
        let subscribes = |pending: &Pending| {
            let kind = &pending.kind;
            matches!(kind, Kind::Acknowledged(_, Effect::Subscribed(to)) if to == group)
        };
        self.pending
            .iter()
            .any(|(_, pending)| pending.written.is_some() && subscribes(pending))
    }

    /// Puts a request at the end of what waits.
    pub(super) fn enqueue(&mut self, frame: WireFrame, kind: Kind) -> RequestId {
        self.load.waiting += 1;
        self.load.bytes += frame.len();
        if !matches!(kind, Kind::Forgotten) {
            self.awaited += 1;
        }
        self.insert(frame, kind, Owner::Caller, Lane::Outbox)
    }

    /// Puts one of the session's own requests before those of callers. Its success is not reported.
    pub(super) fn enqueue_restore(&mut self, frame: WireFrame, ack_id: AckId, effect: Effect) {
        let kind = Kind::Acknowledged(ack_id, effect);
        self.insert(frame, kind, Owner::Session, Lane::Restore);
    }

    fn insert(&mut self, frame: WireFrame, kind: Kind, owner: Owner, lane: Lane) -> RequestId {
        let id = self.new_request();
        match &kind {
            Kind::Acknowledged(ack_id, _) => {
                self.by_ack.insert(*ack_id, id);
            }
            Kind::Invocation(invocation_id) => {
                self.by_invocation.insert(invocation_id.clone(), id);
            }
            Kind::Forgotten => {}
        }
        let place = (lane, self.new_ticket());
        self.queue.insert(place, id);
        let pending = Pending {
            frame,
            kind,
            owner,
            queued: Some(place),
            written: None,
            retry_at: None,
            retries: 0,
        };
        self.pending.insert(id, pending);
        id
    }

    const fn new_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// The next frame to write.
    pub(super) fn next_frame(
        &mut self,
        most_in_flight: usize,
        events: &mut VecDeque<Event>,
    ) -> Option<WireFrame> {
        let (place, id) = self.queue.first()?;
        let pending = self.pending.get_mut(&id)?;
        let is_answered = !matches!(pending.kind, Kind::Forgotten);
        let is_new = pending.written.is_none();
        let is_full = self.in_flight >= most_in_flight.max(1);
        if is_answered && is_new && is_full {
            return None;
        }
        self.queue.remove(place);
        pending.queued = None;
        let frame = match pending.kind {
            // These go out again after a recovery, or a passing failure.
            Kind::Acknowledged(..) => pending.frame.clone(),
            Kind::Invocation(_) | Kind::Forgotten => pending.take_frame(),
        };
        if pending.owner != Owner::Session {
            let bytes = frame.len() - pending.frame.len();
            self.load.bytes -= bytes;
            self.load.waiting -= usize::from(is_new);
            self.freed += u64::from(is_new);
        }
        if !is_answered {
            self.pending.remove(&id);
            let outcome = Outcome::Accepted { ack_id: None };
            settled(id, outcome, events);
        } else if is_new {
            self.in_flight += 1;
            self.last_ticket += 1;
            pending.written = Some(self.last_ticket);
        }
        Some(frame)
    }

    /// An acknowledgement; whether somebody knows it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a session that an answer touches"
    )]
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        ack_id: AckId,
        error: Option<FrameError>,
        config: &SessionConfig,
        random: &mut Random,
        groups: &mut Groups,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let Some(request) = self.by_ack.get(ack_id) else {
            return false;
        };
        // What was refused for a passing reason has its answer; its next try is to come.
        let written = |pending: &Pending| pending.written.is_some();
        if !self.pending.get(&request).is_some_and(written) {
            return false;
        }
        let outcome = match error {
            None => Outcome::Accepted {
                ack_id: Some(ack_id),
            },
            Some(error) if error.name == "Duplicate" => Outcome::Duplicate { ack_id },
            Some(error) if may_pass(&error) && self.retry(now, request, config, random) => {
                return true;
            }
            Some(error) => Outcome::Rejected {
                ack_id: Some(ack_id),
                error,
            },
        };
        if matches!(
            outcome,
            Outcome::Accepted { .. } | Outcome::Duplicate { .. }
        ) {
            self.ack_ids.done(ack_id);
        }
        let Some(pending) = self.remove(request) else {
            return false;
        };
        if let Kind::Acknowledged(_, effect) = pending.kind {
            let subscribes_again = match &effect {
                Effect::Left(group) | Effect::Unsubscribed(group) => self.is_subscribing(group),
                _ => false,
            };
            let is_own = pending.owner == Owner::Session;
            groups.apply(effect, &outcome, is_own, subscribes_again, events);
        }
        if pending.owner == Owner::Caller {
            settled(request, outcome, events);
        }
        true
    }

    /// Tries a refused request again later, unless it was tried often enough or has no owner.
    fn retry(
        &mut self,
        now: Instant,
        request: RequestId,
        config: &SessionConfig,
        random: &mut Random,
    ) -> bool {
        let Some(pending) = self.pending.get_mut(&request) else {
            return false;
        };
        if pending.retries >= config.request_retries || pending.owner == Owner::Nobody {
            return false;
        }
        let delay = config.request_backoff.delay(pending.retries, random);
        let Some(at) = now.checked_add(delay) else {
            return false;
        };
        pending.retries += 1;
        pending.retry_at = Some(at);
        if pending.written.take().is_some() {
            self.in_flight -= 1;
        }
        if let Some(place) = pending.queued.take() {
            self.queue.remove(place);
        }
        if pending.owner != Owner::Session {
            self.load.waiting += 1;
        }
        self.retries.insert((at, request));
        true
    }

    /// The answer to an invocation; whether somebody waited for it.
    pub(super) fn answer(
        &mut self,
        invocation_id: &ByteString,
        result: Result<Option<Payload>, FrameError>,
        metadata: Metadata,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let Some(&request) = self.by_invocation.get(invocation_id) else {
            return false;
        };
        let written = |pending: &Pending| pending.written.is_some();
        if !self.pending.get(&request).is_some_and(written) {
            return false;
        }
        let Some(pending) = self.remove(request) else {
            return false;
        };
        if pending.owner != Owner::Caller {
            return true;
        }
        let outcome = match result {
            Ok(payload) => {
                events.push_back(Event::Answered {
                    request,
                    payload,
                    metadata,
                });
                Outcome::Accepted { ack_id: None }
            }
            Err(error) => Outcome::Rejected {
                ack_id: None,
                error,
            },
        };
        settled(request, outcome, events);
        true
    }

    /// An answer that cannot be read; whether somebody waited for it.
    pub(super) fn fail_unreadable(
        &mut self,
        to: &AnswerTo,
        error: DecodeError,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let request = match to {
            AnswerTo::Ack(id) => self.by_ack.get(*id),
            AnswerTo::Invocation(id) => self.by_invocation.get(id).copied(),
        };
        let Some(request) = request else {
            return false;
        };
        let written = |pending: &Pending| pending.written.is_some();
        if !self.pending.get(&request).is_some_and(written) {
            return false;
        }
        let removed = self.remove(request);
        if removed.is_some_and(|pending| pending.owner == Owner::Caller) {
            settled(request, Outcome::Unreadable(error), events);
        }
        true
    }

    /// The caller gave up. Returns the invocation that must be cancelled at the service.
    pub(super) fn cancel(
        &mut self,
        request: RequestId,
        events: &mut VecDeque<Event>,
    ) -> Option<ByteString> {
        let pending = self.pending.get(&request)?;
        if pending.owner != Owner::Caller {
            return None;
        }
        let is_written = pending.written.is_some();
        let mut to_cancel = None;
        match &pending.kind {
            Kind::Invocation(id) if is_written => {
                to_cancel = Some(id.clone());
                self.remove(request);
            }
            // It may be done already; its answer still counts for what the session knows.
            Kind::Acknowledged(..) if is_written => {
                self.disown(request);
            }
            _ => {
                self.remove(request);
            }
        }
        settled(request, Outcome::Cancelled, events);
        to_cancel
    }

    /// The socket was lost, the connection lives on: invocations fail, the rest waits to be written
    /// again.
    pub(super) fn pause(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        let invocations = self.find(|pending| {
            matches!(pending.kind, Kind::Invocation(_)) && pending.written.is_some()
        });
        for request in invocations {
            self.settle_lost(request, cause, events);
        }
    }

    /// The connection was recovered: what is unanswered goes out again, in the same order.
    pub(super) fn resend(&mut self) {
        let mut again = Vec::new();
        for (id, pending) in self.pending.iter_mut() {
            if let Some(order) = pending.written {
                pending.queued = Some((Lane::Again, order));
                again.push((order, id));
            }
        }
        again.sort_unstable();
        self.queue.replace(Lane::Again, again);
    }

    /// The connection is over: what was written is lost, what was not waits for the next one.
    pub(super) fn lose(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        let over = self.find(|pending| pending.written.is_some() || pending.owner != Owner::Caller);
        for request in over {
            self.settle_lost(request, cause, events);
        }
        self.ack_ids.forget_done();
    }

    /// Nothing will be written any more.
    pub(super) fn lose_all(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        for request in self.find(|_| true) {
            self.settle_lost(request, cause, events);
        }
    }

    fn settle_lost(&mut self, request: RequestId, cause: &Loss, events: &mut VecDeque<Event>) {
        let removed = self.remove(request);
        if removed.is_some_and(|pending| pending.owner == Owner::Caller) {
            settled(request, Outcome::Lost(cause.clone()), events);
        }
    }

    /// Settles what waits for an answer, since none can arrive.
    pub(super) fn stall(&mut self, events: &mut VecDeque<Event>) {
        let waiting = self.find(|pending| {
            pending.owner == Owner::Caller && !matches!(pending.kind, Kind::Forgotten)
        });
        for request in waiting {
            let written = |pending: &Pending| pending.written.is_some();
            if self.pending.get(&request).is_some_and(written) {
                self.disown(request);
            } else {
                self.remove(request);
            }
            settled(request, Outcome::Stalled, events);
        }
    }

    /// Returns the memory that requests needed which are gone.
    pub(super) fn shrink(&mut self) {
        self.pending.shrink();
        self.queue.shrink();
        self.by_ack.shrink();
    }

    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// Puts requests whose time has come at the end of what waits.
    pub(super) fn retry_due(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.retries.first().filter(|(at, _)| *at <= now) {
            self.retries.remove(&(at, id));
            let ticket = self.new_ticket();
            if let Some(pending) = self.pending.get_mut(&id) {
                let lane = match pending.owner {
                    Owner::Session => Lane::Restore,
                    Owner::Caller | Owner::Nobody => Lane::Outbox,
                };
                pending.retry_at = None;
                pending.queued = Some((lane, ticket));
                self.queue.insert((lane, ticket), id);
            }
        }
    }

    fn find(&self, is_meant: impl Fn(&Pending) -> bool) -> Vec<RequestId> {
        let meant = self.pending.iter().filter(|(_, pending)| is_meant(pending));
        meant.map(|(id, _)| id).collect()
    }

    /// Nobody waits for this written request any more.
    fn disown(&mut self, request: RequestId) {
        if let Some(pending) = self.pending.get_mut(&request) {
            pending.owner = Owner::Nobody;
            self.awaited -= 1;
        }
    }

    fn remove(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        match &pending.kind {
            Kind::Acknowledged(ack_id, _) => {
                self.by_ack.remove(*ack_id);
            }
            Kind::Invocation(invocation_id) => {
                self.by_invocation.remove(invocation_id);
            }
            Kind::Forgotten => {}
        }
        if let Some(place) = pending.queued {
            self.queue.remove(place);
        }
        if let Some(at) = pending.retry_at {
            self.retries.remove(&(at, request));
        }
        if pending.written.is_some() {
            self.in_flight -= 1;
        }
        if pending.owner != Owner::Session {
            self.load.waiting -= usize::from(pending.written.is_none());
            self.load.bytes -= pending.frame.len();
            self.freed += 1;
        }
        if pending.owner == Owner::Caller && !matches!(pending.kind, Kind::Forgotten) {
            self.awaited -= 1;
        }
        Some(pending)
    }
}

impl Pending {
    fn take_frame(&mut self) -> WireFrame {
        std::mem::replace(&mut self.frame, WireFrame::Text(ByteString::new()))
    }
}

fn settled(request: RequestId, outcome: Outcome, events: &mut VecDeque<Event>) {
    events.push_back(Event::Settled { request, outcome });
}

fn may_pass(error: &FrameError) -> bool {
    PASSING.iter().any(|name| error.name == *name)
}
