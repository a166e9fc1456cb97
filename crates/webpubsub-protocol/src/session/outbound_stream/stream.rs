//! One stream: its fragments, what was written of them, and how it ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use super::Violation;
use crate::frame::{ClientFrame, FrameError};
use crate::payload::Payload;
use crate::session::event::{Event, Loss};
use crate::session::protocol::WireFrame;
use crate::session::request::{Outcome, RequestId};

#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) id: ByteString,
    /// Whether who opened it waits for it.
    pub(super) is_awaited: bool,
    pub(super) start: Start,
    /// Written or not, but not acknowledged; the first one has the number `oldest`.
    pub(super) fragments: VecDeque<Fragment>,
    /// Their frames' bytes.
    pub(super) bytes: usize,
    pub(super) oldest: u64,
    /// The number of the fragment to write next.
    pub(super) cursor: u64,
    /// One above the highest number that was ever written.
    pub(super) written_to: u64,
    pub(super) keep_alives: VecDeque<(RequestId, WireFrame)>,
    pub(super) end: Option<End>,
    /// Fragments are written again from here already, so further refusals of it say nothing new.
    pub(super) rewound_to: Option<u64>,
    pub(super) refusals: u32,
    /// Nothing is written before this time.
    pub(super) paused_until: Option<Instant>,
    /// Where it stands among the deadlines of all streams.
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Start {
    Waiting(WireFrame),
    /// To be answered by then; `None` is whenever it may be.
    Written {
        until: Option<Instant>,
    },
    Accepted,
}

#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) frame: WireFrame,
    /// Until it was written the first time.
    pub(super) unwritten: Option<Unwritten>,
}

/// What it takes to withdraw a fragment, or to number it anew when one before it was withdrawn.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) request: RequestId,
    pub(super) payload: Payload,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) frame: WireFrame,
    /// Until it was settled.
    pub(super) request: Option<RequestId>,
    /// Written on this socket.
    pub(super) written: bool,
    /// Written on any socket.
    pub(super) ever_written: bool,
}

pub(super) enum Failure {
    Refused(FrameError),
    Lost(Loss),
    /// Its start was not answered.
    TimedOut,
}

impl Outbound {
    pub(super) fn next(&self) -> u64 {
        self.oldest + self.fragments.len() as u64
    }

    /// When the answer to its start is overdue.
    pub(super) const fn answered_until(&self) -> Option<Instant> {
        match self.start {
            Start::Written { until } => until,
            Start::Waiting(_) | Start::Accepted => None,
        }
    }

    pub(super) fn next_frame(
        &mut self,
        now: Instant,
        start_timeout: Duration,
        events: &mut VecDeque<Event>,
    ) -> Option<WireFrame> {
        match &self.start {
            Start::Waiting(frame) => {
                let frame = frame.clone();
                let until = now.checked_add(start_timeout);
                self.start = Start::Written { until };
                return Some(frame);
            }
            Start::Written { .. } => return None,
            Start::Accepted => {}
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let at = usize::try_from(self.cursor - self.oldest).ok()?;
        if let Some(fragment) = self.fragments.get_mut(at) {
            self.cursor += 1;
            self.written_to = self.written_to.max(self.cursor);
            if let Some(Unwritten { request, .. }) = fragment.unwritten.take() {
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
    pub(super) fn trim(&mut self, expected: u64) -> Result<(), Violation> {
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
            let fragment = self.fragments.pop_front();
            self.bytes -= fragment.map_or(0, |fragment| fragment.frame.len());
            self.oldest += 1;
        }
        self.cursor = self.cursor.max(self.oldest);
        Ok(())
    }

    /// Whether this request was here and has not been written.
    pub(super) fn withdraw(
        &mut self,
        request: RequestId,
        encode: impl Fn(&ClientFrame) -> WireFrame,
    ) -> bool {
        if let Some(end) = self.end.take_if(|end| end.request == Some(request)) {
            if end.ever_written {
                // The service may have closed the stream; only the answer is not awaited.
                self.end = Some(End {
                    request: None,
                    ..end
                });
            }
            return true;
        }
        let keep_alive = self.keep_alives.iter().position(|(id, _)| *id == request);
        if let Some(at) = keep_alive {
            self.keep_alives.remove(at);
            return true;
        }
        let is_it = |fragment: &Fragment| {
            let unwritten = fragment.unwritten.as_ref();
            unwritten.is_some_and(|unwritten| unwritten.request == request)
        };
        let Some(at) = self.fragments.iter().rposition(is_it) else {
            return false;
        };
        self.fragments.remove(at);
        for (number, fragment) in (self.oldest..).zip(&mut self.fragments).skip(at) {
            if let Some(Unwritten { payload, .. }) = &fragment.unwritten {
                fragment.frame = encode(&ClientFrame::StreamData {
                    stream_id: self.id.clone(),
                    fragment: Ok(Some((number, payload.clone()))),
                });
            }
        }
        self.bytes = self.fragments.iter().map(|f| f.frame.len()).sum();
        true
    }

    pub(super) fn rewind(&mut self) {
        self.cursor = self.oldest;
        if let Some(end) = &mut self.end {
            end.written = false;
        }
    }

    pub(super) fn fail(
        mut self,
        stream: RequestId,
        failure: &Failure,
        events: &mut VecDeque<Event>,
    ) {
        let outcome = match failure {
            Failure::Refused(error) => Outcome::Rejected {
                ack_id: None,
                error: error.clone(),
            },
            Failure::Lost(loss) => Outcome::Lost(loss.clone()),
            Failure::TimedOut => Outcome::TimedOut,
        };
        if matches!(self.start, Start::Accepted) {
            let error = match failure {
                Failure::Refused(error) => error.clone(),
                Failure::Lost(loss) => FrameError::new("ConnectionLost", loss.to_string()),
                Failure::TimedOut => FrameError::new("TimedOut", "The service did not answer."),
            };
            events.push_back(Event::StreamFailed {
                stream,
                stream_id: self.id.clone(),
                error,
            });
        } else if self.is_awaited {
            let (request, outcome) = (stream, outcome.clone());
            events.push_back(Event::Settled { request, outcome });
        }
        self.settle_rest(&outcome, events);
    }

    pub(super) fn settle_rest(&mut self, outcome: &Outcome, events: &mut VecDeque<Event>) {
        let writes = self
            .fragments
            .drain(..)
            .filter_map(|fragment| fragment.unwritten)
            .map(|unwritten| unwritten.request);
        let keep_alives = self.keep_alives.drain(..).map(|(request, _)| request);
        let end = self.end.take().and_then(|end| end.request);
        for request in writes.chain(keep_alives).chain(end) {
            let outcome = outcome.clone();
            events.push_back(Event::Settled { request, outcome });
        }
    }
}
