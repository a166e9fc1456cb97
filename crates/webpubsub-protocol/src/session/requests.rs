//! Requests on their way: what waits, what was written, what is tried again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytestring::ByteString;

use super::backoff::Random;
use super::config::SessionConfig;
use super::event::{Event, Loss};
use super::group_state::Groups;
use super::protocol::WireFrame;
use super::request::{Outcome, RequestId};
use crate::frame::{AckId, FrameError};
use crate::limits;
use crate::metadata::Metadata;
use crate::name::GroupName;
use crate::payload::Payload;

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
    last_ack_id: u64,
    last_invocation_id: u64,
    /// Ack ids that callers chose on this connection, as many as the service remembers.
    chosen: VecDeque<AckId>,
    pending: BTreeMap<RequestId, Pending>,
    /// Goes out first: what a recovered or a new connection needs.
    ahead: VecDeque<RequestId>,
    /// Not yet written, in order.
    outbox: VecDeque<RequestId>,
    outbox_bytes: usize,
    by_ack: BTreeMap<AckId, RequestId>,
    by_invocation: BTreeMap<ByteString, RequestId>,
    /// Written and unanswered.
    in_flight: usize,
    written: u64,
    retries: Vec<(Instant, RequestId)>,
}

#[derive(Debug)]
struct Pending {
    frame: WireFrame,
    kind: Kind,
    stage: Stage,
    retries: u32,
    /// Nobody waits for it any more.
    settled: bool,
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

/// What an acknowledgement changes.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    None,
    Joined(GroupName),
    Left(GroupName),
    StateSet(GroupName, Option<Vec<(String, String)>>),
    Subscribed(GroupName),
    Unsubscribed(GroupName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// With its place in the order of writing.
    Written(u64),
    /// Refused for a passing reason; waits for its next try.
    Retrying,
}

impl Requests {
    /// The next ack id that this connection has not used.
    pub(super) fn free_ack_id(&mut self) -> AckId {
        loop {
            self.last_ack_id += 1;
            let id = AckId(self.last_ack_id);
            if !self.by_ack.contains_key(&id) && !self.chosen.contains(&id) {
                return id;
            }
        }
    }

    /// The id that was taken last is not needed after all.
    pub(super) const fn return_ack_id(&mut self, id: AckId) {
        self.last_ack_id = id.0 - 1;
    }

    pub(super) fn choose_ack_id(&mut self, id: AckId) {
        if self.chosen.len() == limits::REMEMBERED_ACK_IDS {
            self.chosen.pop_front();
        }
        self.chosen.push_back(id);
    }

    pub(super) fn is_ack_id_in_use(&self, id: AckId) -> bool {
        self.by_ack.contains_key(&id)
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

    /// Whether a frame of this size may wait, too. A single one always may.
    pub(super) fn has_room(&self, bytes: usize, config: &SessionConfig) -> bool {
        self.outbox.is_empty()
            || self.outbox.len() < config.outbox_frames
                && self.outbox_bytes + bytes <= config.outbox_bytes
    }

    /// Puts a request at the end of what waits.
    pub(super) fn enqueue(&mut self, id: RequestId, frame: WireFrame, kind: Kind) {
        self.outbox_bytes += frame.len();
        self.outbox.push_back(id);
        self.insert(id, frame, kind, false);
    }

    /// Puts one of the session's own requests before all others. Its success is not reported.
    pub(super) fn enqueue_ahead(&mut self, frame: WireFrame, ack_id: AckId, effect: Effect) {
        let id = self.new_request();
        self.ahead.push_back(id);
        self.insert(id, frame, Kind::Acknowledged(ack_id, effect), true);
    }

    fn insert(&mut self, id: RequestId, frame: WireFrame, kind: Kind, settled: bool) {
        match &kind {
            Kind::Acknowledged(ack_id, _) => {
                self.by_ack.insert(*ack_id, id);
            }
            Kind::Invocation(invocation_id) => {
                self.by_invocation.insert(invocation_id.clone(), id);
            }
            Kind::Forgotten => {}
        }
        let pending = Pending {
            frame,
            kind,
            stage: Stage::Waiting,
            retries: 0,
            settled,
        };
        self.pending.insert(id, pending);
    }

    /// The next frame to write.
    pub(super) fn next_frame(
        &mut self,
        most_in_flight: usize,
        events: &mut VecDeque<Event>,
    ) -> Option<WireFrame> {
        let id = match self.ahead.pop_front() {
            Some(id) => id,
            None => {
                let id = *self.outbox.front()?;
                let is_answered = !matches!(self.pending.get(&id)?.kind, Kind::Forgotten);
                if is_answered && self.in_flight >= most_in_flight {
                    return None;
                }
                self.outbox.pop_front();
                self.outbox_bytes -= self.pending.get(&id)?.frame.len();
                id
            }
        };
        let pending = self.pending.get_mut(&id)?;
        let frame = pending.frame.clone();
        if matches!(pending.kind, Kind::Forgotten) {
            self.pending.remove(&id);
            let outcome = Outcome::Accepted { ack_id: None };
            events.push_back(Event::Settled {
                request: id,
                outcome,
            });
        } else {
            if !matches!(pending.stage, Stage::Written(_)) {
                self.in_flight += 1;
            }
            self.written += 1;
            pending.stage = Stage::Written(self.written);
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
        let Some(&request) = self.by_ack.get(&ack_id) else {
            return false;
        };
        let Some(pending) = self.pending.get_mut(&request) else {
            return false;
        };
        if !matches!(pending.stage, Stage::Written(_)) {
            // Answered already, for a passing failure; its next try is to come.
            return false;
        }
        let outcome = match error {
            None => Outcome::Accepted {
                ack_id: Some(ack_id),
            },
            Some(error) if error.name == "Duplicate" => Outcome::Duplicate { ack_id },
            Some(error)
                if may_pass(&error)
                    && pending.retries < config.request_retries
                    && !pending.settled =>
            {
                let delay = config.request_backoff.delay(pending.retries, random);
                pending.retries += 1;
                pending.stage = Stage::Retrying;
                self.in_flight -= 1;
                self.retries.push((now + delay, request));
                return true;
            }
            Some(error) => Outcome::Rejected {
                ack_id: Some(ack_id),
                error,
            },
        };
        let Some(pending) = self.remove(request) else {
            return false;
        };
        if let Kind::Acknowledged(_, effect) = pending.kind {
            groups.apply(effect, &outcome, pending.settled, events);
        }
        if !pending.settled {
            events.push_back(Event::Settled { request, outcome });
        }
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
        let Some(pending) = self.remove(request) else {
            return false;
        };
        if pending.settled {
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
        events.push_back(Event::Settled { request, outcome });
        true
    }

    /// The caller gave up. Returns the invocation that the service must be told about.
    pub(super) fn cancel(
        &mut self,
        request: RequestId,
        events: &mut VecDeque<Event>,
    ) -> Option<ByteString> {
        let pending = self.pending.get_mut(&request)?;
        if pending.settled {
            return None;
        }
        match (&pending.kind, pending.stage) {
            (_, Stage::Waiting | Stage::Retrying) => {
                self.remove(request);
                let outcome = Outcome::Cancelled;
                events.push_back(Event::Settled { request, outcome });
                None
            }
            (Kind::Invocation(id), Stage::Written(_)) => {
                let id = id.clone();
                self.remove(request);
                let outcome = Outcome::Cancelled;
                events.push_back(Event::Settled { request, outcome });
                Some(id)
            }
            (Kind::Acknowledged(..) | Kind::Forgotten, Stage::Written(_)) => {
                // It may be done already; its answer still counts for what the session knows.
                pending.settled = true;
                let outcome = Outcome::Cancelled;
                events.push_back(Event::Settled { request, outcome });
                None
            }
        }
    }

    /// The socket was lost, the connection lives on: invocations fail, the rest waits to be written
    /// again.
    pub(super) fn pause(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        let invocations: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| {
                matches!(
                    (&pending.kind, pending.stage),
                    (Kind::Invocation(_), Stage::Written(_))
                )
            })
            .map(|(id, _)| *id)
            .collect();
        for request in invocations {
            self.settle_lost(request, cause, events);
        }
    }

    /// The connection was recovered: what is unanswered goes out again, in the same order.
    pub(super) fn resend(&mut self) {
        let mut written: Vec<_> = self
            .pending
            .iter()
            .filter_map(|(id, pending)| match pending.stage {
                Stage::Written(order) => Some((order, *id)),
                Stage::Waiting | Stage::Retrying => None,
            })
            .collect();
        written.sort_unstable();
        let is_unwritten = |id: &RequestId| {
            self.pending
                .get(id)
                .is_some_and(|pending| pending.stage == Stage::Waiting)
        };
        let unwritten: Vec<_> = self.ahead.iter().copied().filter(is_unwritten).collect();
        self.ahead = written
            .into_iter()
            .map(|(_, id)| id)
            .chain(unwritten)
            .collect();
    }

    /// The connection is over: what was written is lost, what was not waits for the next one.
    pub(super) fn lose(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        self.ahead.clear();
        let is_over = |pending: &Pending| {
            matches!(pending.stage, Stage::Written(_))
                // The session's own requests, and those that nobody waits for.
                || pending.settled
        };
        let over: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| is_over(pending))
            .map(|(id, _)| *id)
            .collect();
        for request in over {
            self.settle_lost(request, cause, events);
        }
        self.chosen.clear();
    }

    /// Nothing will be written any more.
    pub(super) fn lose_all(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        let all: Vec<_> = self.pending.keys().copied().collect();
        for request in all {
            self.settle_lost(request, cause, events);
        }
    }

    fn settle_lost(&mut self, request: RequestId, cause: &Loss, events: &mut VecDeque<Event>) {
        if self.remove(request).is_some_and(|pending| !pending.settled) {
            let outcome = Outcome::Lost(cause.clone());
            events.push_back(Event::Settled { request, outcome });
        }
    }

    /// Answers cannot arrive: nobody shall wait for one.
    pub(super) fn stall(&mut self, events: &mut VecDeque<Event>) {
        let waits =
            |pending: &Pending| !pending.settled && !matches!(pending.kind, Kind::Forgotten);
        let waiting: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| waits(pending))
            .map(|(id, _)| *id)
            .collect();
        for request in waiting {
            if let Some(pending) = self.pending.get_mut(&request) {
                match pending.stage {
                    Stage::Written(_) => pending.settled = true,
                    Stage::Waiting | Stage::Retrying => {
                        self.remove(request);
                    }
                }
            }
            let outcome = Outcome::Stalled;
            events.push_back(Event::Settled { request, outcome });
        }
    }

    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.iter().map(|(at, _)| *at).min()
    }

    /// Puts requests whose time has come at the end of what waits.
    pub(super) fn retry_due(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.retries)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.retries = later;
        for (_, id) in due {
            if let Some(pending) = self.pending.get_mut(&id)
                && pending.stage == Stage::Retrying
            {
                pending.stage = Stage::Waiting;
                self.outbox_bytes += pending.frame.len();
                self.outbox.push_back(id);
            }
        }
    }

    pub(super) fn any_unsettled(&self) -> bool {
        self.pending
            .values()
            .any(|pending| !pending.settled && !matches!(pending.kind, Kind::Forgotten))
    }

    fn remove(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        match &pending.kind {
            Kind::Acknowledged(ack_id, _) => {
                self.by_ack.remove(ack_id);
            }
            Kind::Invocation(invocation_id) => {
                self.by_invocation.remove(invocation_id);
            }
            Kind::Forgotten => {}
        }
        match pending.stage {
            Stage::Written(_) => {
                self.in_flight -= 1;
                self.ahead.retain(|id| *id != request);
            }
            Stage::Waiting => {
                let before = self.outbox.len();
                self.outbox.retain(|id| *id != request);
                if self.outbox.len() < before {
                    self.outbox_bytes -= pending.frame.len();
                }
                self.ahead.retain(|id| *id != request);
            }
            Stage::Retrying => self.retries.retain(|(_, id)| *id != request),
        }
        Some(pending)
    }
}

fn may_pass(error: &FrameError) -> bool {
    PASSING.iter().any(|name| error.name == *name)
}
