//! Streams that this client publishes.

mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use stream::{End, Failure, Fragment, Outbound, Start, Unwritten};

use super::config::SessionConfig;
use super::event::{Event, Loss};
use super::protocol::WireFrame;
use super::request::{Outcome, RequestId, SubmitError};
use crate::frame::{ClientFrame, FrameError};
use crate::payload::Payload;

/// How long a stream pauses after the service refused a fragment for a passing reason; doubles with
/// each refusal of the same fragment.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// Streams by the request that opened them.
#[derive(Debug, Default)]
pub(super) struct OutboundStreams {
    streams: BTreeMap<RequestId, Outbound>,
    by_id: BTreeMap<ByteString, RequestId>,
    /// When each stream that waits goes on, or is overdue.
    deadlines: BTreeSet<(Instant, RequestId)>,
    /// Who wrote last, so that streams take turns.
    last: Option<RequestId>,
    /// Streams that the service has not heard of.
    unwritten: usize,
    /// How often a stream, or all of them, took up less.
    freed: u64,
}

/// The service acknowledged what it cannot have received: the stream's order is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    expected: u64,
    /// What it may expect, from the oldest fragment without an acknowledgement to the next one.
    window: (u64, u64),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expected,
            window: (oldest, next),
        } = self;
        write!(
            f,
            "Invalid sequence id {expected} for ack. Expected range [{oldest}, {next}]."
        )
    }
}

/// A fragment came out of turn.
const INVALID_SEQUENCE_ID: &str = "InvalidSequenceId";

impl OutboundStreams {
    pub(super) fn is_id_in_use(&self, id: &ByteString) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn id_of(&self, stream: RequestId) -> Option<&ByteString> {
        self.streams.get(&stream).map(|stream| &stream.id)
    }

    pub(super) fn has_room(&self, stream: RequestId, config: &SessionConfig) -> bool {
        self.streams.get(&stream).is_some_and(|stream| {
            stream.fragments.len() < config.stream_window.max(1)
                && stream.bytes < config.stream_window_bytes.max(1)
        })
    }

    /// Streams that the service has not heard of.
    pub(super) const fn unwritten(&self) -> usize {
        self.unwritten
    }

    pub(super) const fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether callers wait for the service to open or close a stream.
    pub(super) fn any_awaited(&self) -> bool {
        self.streams.values().any(|stream| {
            stream.is_awaited || stream.end.as_ref().is_some_and(|end| end.request.is_some())
        })
    }

    pub(super) fn open(&mut self, id: ByteString, request: RequestId, frame: WireFrame) {
        self.by_id.insert(id.clone(), request);
        let stream = Outbound {
            id,
            is_awaited: true,
            start: Start::Waiting(frame),
            fragments: VecDeque::new(),
            bytes: 0,
            oldest: 1,
            cursor: 1,
            written_to: 1,
            keep_alives: VecDeque::new(),
            end: None,
            rewound_to: None,
            refusals: 0,
            paused_until: None,
            deadline: None,
        };
        self.streams.insert(request, stream);
        self.unwritten += 1;
    }

    /// The stream's id and the number of its next fragment, unless it is over or being ended.
    pub(super) fn writable(&self, stream: RequestId) -> Result<(&ByteString, u64), SubmitError> {
        match self.streams.get(&stream) {
            Some(stream) if stream.end.is_none() => Ok((&stream.id, stream.next())),
            _ => Err(SubmitError::StreamNotOpen),
        }
    }

    pub(super) fn write(
        &mut self,
        stream: RequestId,
        request: RequestId,
        frame: WireFrame,
        payload: Payload,
    ) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.bytes += frame.len();
            stream.fragments.push_back(Fragment {
                frame,
                unwritten: Some(Unwritten { request, payload }),
            });
        }
    }

    pub(super) fn end(&mut self, stream: RequestId, request: Option<RequestId>, frame: WireFrame) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.end = Some(End {
                frame,
                request,
                written: false,
                ever_written: false,
            });
        }
    }

    /// Whether another keep-alive may wait to be written.
    pub(super) fn has_room_for_keep_alive(
        &self,
        stream: RequestId,
        config: &SessionConfig,
    ) -> bool {
        let stream = self.streams.get(&stream);
        stream.is_some_and(|stream| stream.keep_alives.len() < config.stream_window.max(1))
    }

    pub(super) fn keep_alive(&mut self, stream: RequestId, request: RequestId, frame: WireFrame) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.keep_alives.push_back((request, frame));
        }
    }

    /// The owner gave the stream up. Whether the service may know it, so that it must be ended there.
    pub(super) fn cancel_open(&mut self, stream: RequestId, events: &mut VecDeque<Event>) -> bool {
        self.give_up(stream, &Outcome::Cancelled, events)
    }

    /// The caller of a write, a keep-alive or an end gave it up: it goes out no more if it has not.
    pub(super) fn withdraw(
        &mut self,
        request: RequestId,
        encode: impl Fn(&ClientFrame) -> WireFrame,
        events: &mut VecDeque<Event>,
    ) {
        let mut streams = self.streams.values_mut();
        if streams.any(|stream| stream.withdraw(request, &encode)) {
            self.freed += 1;
            let outcome = Outcome::Cancelled;
            events.push_back(Event::Settled { request, outcome });
        }
    }

    /// Settles what waits for an answer, since none can arrive. Returns the streams that have no owner
    /// any more and that the service may know.
    pub(super) fn stall(&mut self, events: &mut VecDeque<Event>) -> Vec<RequestId> {
        for stream in self.streams.values_mut() {
            if let Some(request) = stream.end.as_mut().and_then(|end| end.request.take()) {
                let outcome = Outcome::Stalled;
                events.push_back(Event::Settled { request, outcome });
            }
        }
        let awaited = self.streams.iter().filter(|(_, stream)| stream.is_awaited);
        let mut awaited: Vec<_> = awaited.map(|(stream, _)| *stream).collect();
        awaited.retain(|stream| self.give_up(*stream, &Outcome::Stalled, events));
        awaited
    }

    /// Nobody wants this stream: withdraws it when it was not written. Whether it must be ended.
    fn give_up(
        &mut self,
        request: RequestId,
        outcome: &Outcome,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(&request) else {
            return false;
        };
        if std::mem::take(&mut stream.is_awaited) {
            let outcome = outcome.clone();
            events.push_back(Event::Settled { request, outcome });
        }
        if matches!(stream.start, Start::Waiting(_)) {
            if let Some(mut stream) = self.remove(request) {
                stream.settle_rest(outcome, events);
            }
            return false;
        }
        stream.end.is_none()
    }

    /// Follows a change of when this stream goes on, or is overdue.
    fn schedule(&mut self, request: RequestId) {
        let Some(stream) = self.streams.get_mut(&request) else {
            return;
        };
        let deadline = stream.paused_until.or(stream.answered_until());
        if let Some(before) = std::mem::replace(&mut stream.deadline, deadline) {
            self.deadlines.remove(&(before, request));
        }
        self.deadlines.extend(deadline.map(|at| (at, request)));
    }

    fn remove(&mut self, request: RequestId) -> Option<Outbound> {
        let stream = self.streams.remove(&request)?;
        self.by_id.remove(&stream.id);
        if let Some(at) = stream.deadline {
            self.deadlines.remove(&(at, request));
        }
        self.unwritten -= usize::from(matches!(stream.start, Start::Waiting(_)));
        self.freed += 1;
        Some(stream)
    }

    fn find(&mut self, id: &ByteString) -> Option<(RequestId, &mut Outbound)> {
        let request = *self.by_id.get(id)?;
        self.streams
            .get_mut(&request)
            .map(|stream| (request, stream))
    }

    /// The next frame of the stream whose turn it is.
    pub(super) fn next_frame(
        &mut self,
        now: Instant,
        start_timeout: Duration,
        events: &mut VecDeque<Event>,
    ) -> Option<WireFrame> {
        let (after, up_to) = match self.last.take() {
            Some(last) => (Bound::Excluded(last), Bound::Included(last)),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        for range in [(after, Bound::Unbounded), (Bound::Unbounded, up_to)] {
            for (request, stream) in self.streams.range_mut(range) {
                let is_start = matches!(stream.start, Start::Waiting(_));
                let keep_alives = stream.keep_alives.len();
                if let Some(frame) = stream.next_frame(now, start_timeout, events) {
                    self.unwritten -= usize::from(is_start);
                    let is_less = is_start || stream.keep_alives.len() < keep_alives;
                    self.freed += u64::from(is_less);
                    let request = *request;
                    self.last = Some(request);
                    if is_start {
                        self.schedule(request);
                    }
                    return Some(frame);
                }
            }
        }
        None
    }

    /// When a paused stream goes on, or the answer to a start is overdue.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Ends the pauses that are over, and fails the streams whose start was not answered in time.
    /// Returns their ids: the service may have opened them.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        events: &mut VecDeque<Event>,
    ) -> Vec<ByteString> {
        let mut ids = Vec::new();
        while let Some(&(at, request)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            let Some(stream) = self.streams.get_mut(&request) else {
                self.deadlines.remove(&(at, request));
                continue;
            };
            if stream.paused_until.take().is_some() {
                self.schedule(request);
            } else if let Some(stream) = self.remove(request) {
                ids.push(stream.id.clone());
                stream.fail(request, &Failure::TimedOut, events);
            }
        }
        ids
    }

    /// A `streamAck`; whether the stream is known.
    pub(super) fn acknowledge(
        &mut self,
        id: &ByteString,
        expected: u64,
        events: &mut VecDeque<Event>,
    ) -> Result<bool, Violation> {
        let Some((request, stream)) = self.find(id) else {
            return Ok(false);
        };
        if matches!(stream.start, Start::Waiting(_)) {
            // Meant for an earlier stream of this name.
            return Ok(false);
        }
        if matches!(stream.start, Start::Written { .. }) && expected == 1 {
            stream.start = Start::Accepted;
            if std::mem::take(&mut stream.is_awaited) {
                let outcome = Outcome::Accepted { ack_id: None };
                events.push_back(Event::Settled { request, outcome });
            }
            self.schedule(request);
            return Ok(true);
        }
        if let Err(violation) = stream.trim(expected) {
            return Err(self.violated(request, violation, events));
        }
        self.freed += 1;
        Ok(true)
    }

    /// A `streamNack`; whether the stream is known.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        id: &ByteString,
        error: &FrameError,
        expected: u64,
        events: &mut VecDeque<Event>,
    ) -> Result<bool, Violation> {
        let Some((request, stream)) = self.find(id) else {
            return Ok(false);
        };
        // A start has no fragments to refuse: this is meant for an earlier stream of this name.
        let is_about_a_fragment = matches!(&*error.name, INVALID_SEQUENCE_ID | "TransientError");
        match stream.start {
            Start::Accepted => {}
            Start::Written { .. } if !is_about_a_fragment => {
                if let Some(stream) = self.remove(request) {
                    stream.fail(request, &Failure::Refused(error.clone()), events);
                }
                return Ok(true);
            }
            Start::Written { .. } | Start::Waiting(_) => return Ok(false),
        }
        if let Err(violation) = stream.trim(expected) {
            return Err(self.violated(request, violation, events));
        }
        let is_passing = error.name != INVALID_SEQUENCE_ID;
        if is_passing || stream.rewound_to != Some(expected) {
            stream.rewind();
            stream.rewound_to = Some(expected);
        }
        if is_passing {
            let factor = 1_u32.checked_shl(stream.refusals).unwrap_or(u32::MAX);
            stream.refusals = stream.refusals.saturating_add(1);
            stream.paused_until = now.checked_add(PAUSE.saturating_mul(factor).min(PAUSE_MOST));
            self.schedule(request);
        }
        self.freed += 1;
        Ok(true)
    }

    fn violated(
        &mut self,
        request: RequestId,
        violation: Violation,
        events: &mut VecDeque<Event>,
    ) -> Violation {
        let error = FrameError::new("ProtocolViolation", violation.to_string());
        if let Some(stream) = self.remove(request) {
            stream.fail(request, &Failure::Refused(error), events);
        }
        violation
    }

    /// A `streamClosed`; whether the stream is known.
    pub(super) fn closed(
        &mut self,
        id: &ByteString,
        error: Option<FrameError>,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let forgotten = error
            .as_ref()
            .is_some_and(|error| error.name == "StreamNotFound");
        // A start is answered by neither of these: they are meant for an earlier stream of this
        // name.
        let is_old = |stream: &Outbound| match stream.start {
            Start::Waiting(_) => true,
            Start::Written { .. } => error.is_none() || forgotten,
            Start::Accepted => false,
        };
        let known = self.find(id).filter(|(_, stream)| !is_old(stream));
        let Some(request) = known.map(|(request, _)| request) else {
            return false;
        };
        let Some(mut stream) = self.remove(request) else {
            return false;
        };
        let ended = stream.end.take_if(|end| {
            let complete = match &error {
                // The service refused a fragment, and read the end before it could be repeated.
                None => stream.fragments.is_empty() || stream.rewound_to.is_none(),
                // Written before a drop that took its answer away: the service has forgotten it.
                Some(_) => forgotten && stream.fragments.is_empty(),
            };
            end.ever_written && complete
        });
        match (ended, error) {
            (Some(end), _) => {
                stream.settle_rest(&Outcome::Cancelled, events);
                if let Some(request) = end.request {
                    let outcome = Outcome::Accepted { ack_id: None };
                    events.push_back(Event::Settled { request, outcome });
                }
            }
            (None, error) => {
                let error = error.unwrap_or_else(|| {
                    FrameError::new("Closed", "The service closed the stream too early.")
                });
                stream.fail(request, &Failure::Refused(error), events);
            }
        }
        true
    }

    /// The socket was lost, the connection lives on.
    pub(super) fn pause(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        // Whether the service knows such a stream cannot be found out.
        self.fail_where(cause, events, |stream| {
            matches!(stream.start, Start::Written { .. })
        });
        for (_, request) in std::mem::take(&mut self.deadlines) {
            if let Some(stream) = self.streams.get_mut(&request) {
                stream.paused_until = None;
                stream.deadline = None;
            }
        }
    }

    /// The connection was recovered: everything unacknowledged goes out again.
    pub(super) fn resume(&mut self) {
        for stream in self.streams.values_mut() {
            stream.rewind();
            stream.rewound_to = None;
        }
    }

    /// The connection is over. Streams that the service has not heard of wait for the next one.
    pub(super) fn lose(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        self.fail_where(cause, events, |stream| {
            !matches!(stream.start, Start::Waiting(_))
        });
    }

    pub(super) fn lose_all(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        self.fail_where(cause, events, |_| true);
    }

    fn fail_where(
        &mut self,
        cause: &Loss,
        events: &mut VecDeque<Event>,
        fails: impl Fn(&Outbound) -> bool,
    ) {
        let failing = self.streams.iter().filter(|(_, stream)| fails(stream));
        let failing: Vec<_> = failing.map(|(request, _)| *request).collect();
        for request in failing {
            if let Some(stream) = self.remove(request) {
                stream.fail(request, &Failure::Lost(cause.clone()), events);
            }
        }
    }
}
