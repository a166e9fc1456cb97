//! Streams that this client publishes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use super::event::{Event, Loss};
use super::protocol::WireFrame;
use super::request::{Outcome, RequestId, SubmitError};
use crate::frame::FrameError;

/// How long a stream pauses after the service refused a fragment for a passing reason; doubles with
/// each refusal of the same fragment.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct OutboundStreams {
    streams: BTreeMap<ByteString, Outbound>,
    /// Who wrote last, so that streams take turns.
    last: Option<ByteString>,
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

#[derive(Debug)]
struct Outbound {
    opened_by: RequestId,
    /// Whether who opened it waits for it.
    is_awaited: bool,
    start: Start,
    /// Written or not, but not acknowledged; the first one has the number `oldest`.
    fragments: VecDeque<Fragment>,
    oldest: u64,
    /// The number of the fragment to write next.
    cursor: u64,
    /// One above the highest number that was ever written.
    written_to: u64,
    keep_alives: VecDeque<(RequestId, WireFrame)>,
    end: Option<End>,
    /// Fragments are written again from here already, so further refusals of it say nothing new.
    rewound_to: Option<u64>,
    refusals: u32,
    /// Nothing is written before this time.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
enum Start {
    Waiting(WireFrame),
    Written,
    Accepted,
}

#[derive(Debug)]
struct Fragment {
    frame: WireFrame,
    /// Until it was written the first time.
    request: Option<RequestId>,
}

#[derive(Debug)]
struct End {
    frame: WireFrame,
    /// Until it was settled.
    request: Option<RequestId>,
    /// Written on this socket.
    written: bool,
    /// Written on any socket.
    ever_written: bool,
}

impl OutboundStreams {
    pub(super) fn is_open(&self, id: &ByteString) -> bool {
        self.streams.contains_key(id)
    }

    pub(super) fn opened_by(&self, request: RequestId) -> Option<&ByteString> {
        self.streams
            .iter()
            .find(|(_, stream)| stream.opened_by == request)
            .map(|(id, _)| id)
    }

    pub(super) fn has_room(&self, id: &str, window: usize) -> bool {
        self.streams
            .get(id)
            .is_some_and(|stream| stream.fragments.len() < window)
    }

    /// Streams that the service has not heard of.
    pub(super) fn unwritten(&self) -> usize {
        let is_unwritten = |stream: &&Outbound| matches!(stream.start, Start::Waiting(_));
        self.streams.values().filter(is_unwritten).count()
    }

    /// Whether callers wait for the service to open or close a stream.
    pub(super) fn any_awaited(&self) -> bool {
        self.streams.values().any(|stream| {
            stream.is_awaited || stream.end.as_ref().is_some_and(|end| end.request.is_some())
        })
    }

    pub(super) fn open(&mut self, id: ByteString, request: RequestId, frame: WireFrame) {
        let stream = Outbound {
            opened_by: request,
            is_awaited: true,
            start: Start::Waiting(frame),
            fragments: VecDeque::new(),
            oldest: 1,
            cursor: 1,
            written_to: 1,
            keep_alives: VecDeque::new(),
            end: None,
            rewound_to: None,
            refusals: 0,
            paused_until: None,
        };
        self.streams.insert(id, stream);
    }

    /// The number of the stream's next fragment.
    pub(super) fn next_number(&self, id: &ByteString) -> Result<u64, SubmitError> {
        match self.streams.get(id) {
            Some(stream) if stream.end.is_none() => Ok(stream.next()),
            _ => Err(SubmitError::StreamNotOpen),
        }
    }

    pub(super) fn write(&mut self, id: &ByteString, request: RequestId, frame: WireFrame) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.fragments.push_back(Fragment {
                frame,
                request: Some(request),
            });
        }
    }

    pub(super) fn end(&mut self, id: &ByteString, request: Option<RequestId>, frame: WireFrame) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.end = Some(End {
                frame,
                request,
                written: false,
                ever_written: false,
            });
        }
    }

    /// Whether another keep-alive may wait to be written.
    pub(super) fn has_room_for_keep_alive(&self, id: &ByteString, window: usize) -> bool {
        let stream = self.streams.get(id);
        stream.is_some_and(|stream| stream.keep_alives.len() < window.max(1))
    }

    pub(super) fn keep_alive(&mut self, id: &ByteString, request: RequestId, frame: WireFrame) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.keep_alives.push_back((request, frame));
        }
    }

    /// The opener gave up. Returns the stream when the service may know it and must be told.
    pub(super) fn cancel_open(
        &mut self,
        request: RequestId,
        events: &mut VecDeque<Event>,
    ) -> Option<ByteString> {
        let id = self.opened_by(request)?.clone();
        self.give_up(&id, &Outcome::Cancelled, events)
    }

    /// Answers cannot arrive: nobody shall wait for one. Returns the streams that nobody owns now,
    /// and that the service may know.
    pub(super) fn stall(&mut self, events: &mut VecDeque<Event>) -> Vec<ByteString> {
        for stream in self.streams.values_mut() {
            if let Some(request) = stream.end.as_mut().and_then(|end| end.request.take()) {
                let outcome = Outcome::Stalled;
                events.push_back(Event::Settled { request, outcome });
            }
        }
        let awaited = self.streams.iter().filter(|(_, stream)| stream.is_awaited);
        let awaited: Vec<_> = awaited.map(|(id, _)| id.clone()).collect();
        awaited
            .iter()
            .filter_map(|id| self.give_up(id, &Outcome::Stalled, events))
            .collect()
    }

    /// Nobody wants this stream: withdraws it when it was not written.
    fn give_up(
        &mut self,
        id: &ByteString,
        outcome: &Outcome,
        events: &mut VecDeque<Event>,
    ) -> Option<ByteString> {
        let stream = self.streams.get_mut(id)?;
        let request = stream.opened_by;
        if std::mem::take(&mut stream.is_awaited) {
            let outcome = outcome.clone();
            events.push_back(Event::Settled { request, outcome });
        }
        if matches!(stream.start, Start::Waiting(_)) {
            let mut stream = self.streams.remove(id)?;
            stream.settle_rest(outcome, events);
            return None;
        }
        stream.end.is_none().then(|| id.clone())
    }

    /// The next frame of the stream whose turn it is.
    pub(super) fn next_frame(
        &mut self,
        now: Instant,
        events: &mut VecDeque<Event>,
    ) -> Option<WireFrame> {
        let last = self.last.take();
        let (after, up_to) = match &last {
            Some(last) => (Bound::Excluded(last), Bound::Included(last)),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        for range in [(after, Bound::Unbounded), (Bound::Unbounded, up_to)] {
            for (id, stream) in self.streams.range_mut::<ByteString, _>(range) {
                if let Some(frame) = stream.next_frame(now, events) {
                    self.last = Some(id.clone());
                    return Some(frame);
                }
            }
        }
        None
    }

    /// When a paused stream goes on.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.streams
            .values()
            .filter_map(|stream| stream.paused_until)
            .min()
    }

    /// Ends the pauses that are over.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for stream in self.streams.values_mut() {
            stream.paused_until.take_if(|until| *until <= now);
        }
    }

    /// A `streamAck`; whether the stream is known.
    pub(super) fn acknowledge(
        &mut self,
        id: &ByteString,
        expected: u64,
        events: &mut VecDeque<Event>,
    ) -> Result<bool, Violation> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(false);
        };
        if matches!(stream.start, Start::Waiting(_)) {
            // Meant for an earlier stream of this name.
            return Ok(false);
        }
        if matches!(stream.start, Start::Written) && expected == 1 {
            stream.start = Start::Accepted;
            if std::mem::take(&mut stream.is_awaited) {
                let (request, outcome) = (stream.opened_by, Outcome::Accepted { ack_id: None });
                events.push_back(Event::Settled { request, outcome });
            }
            return Ok(true);
        }
        if let Err(violation) = stream.trim(expected) {
            return Err(self.violated(id, violation, events));
        }
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
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(false);
        };
        if !matches!(stream.start, Start::Accepted) {
            return Ok(false);
        }
        if let Err(violation) = stream.trim(expected) {
            return Err(self.violated(id, violation, events));
        }
        let is_passing = error.name != "InvalidSequenceId";
        if is_passing || stream.rewound_to != Some(expected) {
            stream.rewind();
            stream.rewound_to = Some(expected);
        }
        if is_passing {
            let factor = 1_u32.checked_shl(stream.refusals).unwrap_or(u32::MAX);
            stream.refusals = stream.refusals.saturating_add(1);
            stream.paused_until = now.checked_add(PAUSE.saturating_mul(factor).min(PAUSE_MOST));
        }
        Ok(true)
    }

    fn violated(
        &mut self,
        id: &ByteString,
        violation: Violation,
        events: &mut VecDeque<Event>,
    ) -> Violation {
        let error = FrameError::new("ProtocolViolation", violation.to_string());
        if let Some(stream) = self.streams.remove(id) {
            stream.fail(id, &Failure::Refused(error), events);
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
            Start::Written => error.is_none() || forgotten,
            Start::Accepted => false,
        };
        if self.streams.get(id).is_none_or(is_old) {
            return false;
        }
        let Some(mut stream) = self.streams.remove(id) else {
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
                stream.fail(id, &Failure::Refused(error), events);
            }
        }
        true
    }

    /// The socket was lost, the connection lives on.
    pub(super) fn pause(&mut self, cause: &Loss, events: &mut VecDeque<Event>) {
        // Whether the service knows such a stream cannot be found out.
        self.fail_where(cause, events, |stream| {
            matches!(stream.start, Start::Written)
        });
        for stream in self.streams.values_mut() {
            stream.paused_until = None;
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
        let failing: Vec<_> = failing.map(|(id, _)| id.clone()).collect();
        for id in failing {
            if let Some(stream) = self.streams.remove(&id) {
                stream.fail(&id, &Failure::Lost(cause.clone()), events);
            }
        }
    }
}

enum Failure {
    Refused(FrameError),
    Lost(Loss),
}

impl Outbound {
    fn next(&self) -> u64 {
        self.oldest + self.fragments.len() as u64
    }

    fn next_frame(&mut self, now: Instant, events: &mut VecDeque<Event>) -> Option<WireFrame> {
        match &self.start {
            Start::Waiting(frame) => {
                let frame = frame.clone();
                self.start = Start::Written;
                return Some(frame);
            }
            Start::Written => return None,
            Start::Accepted => {}
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let at = usize::try_from(self.cursor - self.oldest).ok()?;
        if let Some(fragment) = self.fragments.get_mut(at) {
            self.cursor += 1;
            self.written_to = self.written_to.max(self.cursor);
            if let Some(request) = fragment.request.take() {
                let outcome = Outcome::Accepted { ack_id: None };
                events.push_back(Event::Settled { request, outcome });
            }
            return Some(fragment.frame.clone());
        }
        if let Some((request, frame)) = self.keep_alives.pop_front() {
            let outcome = Outcome::Accepted { ack_id: None };
            events.push_back(Event::Settled { request, outcome });
            return Some(frame);
        }
        if self.rewound_to.is_some() && !self.fragments.is_empty() {
            // What was refused may be refused again, and the end would cut it off.
            return None;
        }
        let end = self.end.as_mut().filter(|end| !end.written)?;
        end.written = true;
        end.ever_written = true;
        Some(end.frame.clone())
    }

    /// Forgets what the service has. It cannot have what was never written.
    fn trim(&mut self, expected: u64) -> Result<(), Violation> {
        if !(self.oldest..=self.written_to).contains(&expected) {
            return Err(Violation {
                expected,
                // The end takes a number, too.
                window: (self.oldest, self.next() + u64::from(self.end.is_some())),
            });
        }
        if expected > self.oldest {
            self.refusals = 0;
            self.rewound_to = None;
        }
        while self.oldest < expected {
            self.fragments.pop_front();
            self.oldest += 1;
        }
        self.cursor = self.cursor.max(self.oldest);
        Ok(())
    }

    fn rewind(&mut self) {
        self.cursor = self.oldest;
        if let Some(end) = &mut self.end {
            end.written = false;
        }
    }

    fn fail(mut self, id: &ByteString, failure: &Failure, events: &mut VecDeque<Event>) {
        let outcome = match failure {
            Failure::Refused(error) => Outcome::Rejected {
                ack_id: None,
                error: error.clone(),
            },
            Failure::Lost(loss) => Outcome::Lost(loss.clone()),
        };
        if matches!(self.start, Start::Accepted) {
            let error = match failure {
                Failure::Refused(error) => error.clone(),
                Failure::Lost(loss) => FrameError::new("ConnectionLost", loss.to_string()),
            };
            let stream_id = id.clone();
            events.push_back(Event::StreamFailed { stream_id, error });
        } else if self.is_awaited {
            let (request, outcome) = (self.opened_by, outcome.clone());
            events.push_back(Event::Settled { request, outcome });
        }
        self.settle_rest(&outcome, events);
    }

    fn settle_rest(&mut self, outcome: &Outcome, events: &mut VecDeque<Event>) {
        let writes = self
            .fragments
            .drain(..)
            .filter_map(|fragment| fragment.request);
        let keep_alives = self.keep_alives.drain(..).map(|(request, _)| request);
        let end = self.end.take().and_then(|end| end.request);
        for request in writes.chain(keep_alives).chain(end) {
            let outcome = outcome.clone();
            events.push_back(Event::Settled { request, outcome });
        }
    }
}
