//! What was published, raised and invoked, and what became of it: the reference for outcomes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use webpubsub_protocol::frame::StreamInfo;
use webpubsub_protocol::payload::Payload;

use super::mark::{Kind, Mark};
use crate::failure::{Check, Finding};

/// Everything that was sent, by all.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeMap<Mark, Sent>,
    streams: BTreeMap<u64, Stream>,
    calls: BTreeMap<Mark, Calls>,
    /// Messages of servers to a connection.
    to_connections: BTreeMap<ByteString, (u64, u64)>,
    /// The last mark of each client that the observer saw.
    last_seen: BTreeMap<u64, Mark>,
    seen_of_servers: BTreeSet<Mark>,
    serials: u64,
}

/// A client's message, event or invocation.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) no_echo: bool,
    /// On which connections it was written.
    pub(super) written_on: BTreeSet<ByteString>,
    /// How often its application submitted it.
    pub(super) submitted: u32,
    seen: usize,
    is_lost: bool,
    /// It must not be seen, for this reason.
    never: Option<&'static str>,
}

/// A stream as the observer sees it.
#[derive(Debug, Default)]
struct Stream {
    /// Fragments that its publisher wrote and did not withdraw, until they are seen.
    expected: VecDeque<u64>,
    seen: u64,
    is_over: bool,
}

/// What the handler was asked.
#[derive(Debug, Default)]
struct Calls {
    times: u32,
    failed: u32,
    cancelled: u32,
    is_answered: bool,
}

impl Ledger {
    /// Numbers streams and connections.
    pub(super) const fn serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// A client is about to submit this.
    pub(super) fn expect(&mut self, mark: Mark, no_echo: bool) {
        self.sent.entry(mark).or_default().no_echo = no_echo;
    }

    /// Its session took it.
    pub(super) fn submitted(&mut self, mark: Mark) {
        let sent = self.sent.entry(mark).or_default();
        sent.submitted += 1;
        // Its application wants it again.
        sent.never = None;
        sent.is_lost = false;
    }

    pub(super) fn sent(&self, mark: Mark) -> Option<&Sent> {
        self.sent.get(&mark)
    }

    pub(super) fn written(&mut self, mark: Mark, connection: ByteString) -> Check {
        if let Some(sent) = self.sent.get_mut(&mark) {
            Finding::unless_same("what was lost stays so", &false, &sent.is_lost)?;
            sent.written_on.insert(connection);
        }
        Ok(())
    }

    /// Its publisher was told that it was lost.
    pub(super) fn lost(&mut self, mark: Mark) {
        if let Some(sent) = self.sent.get_mut(&mark) {
            sent.is_lost = sent.submitted == 1;
        }
    }

    // What the observer saw.

    /// The observer, which misses nothing, received a message.
    pub(super) fn observe(&mut self, payload: &Payload, stream: Option<&StreamInfo>) -> Check {
        if let Some(info) = stream {
            return self.observe_fragment(payload, info);
        }
        let Some(mark) = Mark::read(payload) else {
            return Err(Finding::new("messages arrive whole", "a mark", "none"));
        };
        let Some(sent) = self.sent.get_mut(&mark) else {
            return if self.seen_of_servers.insert(mark) {
                Ok(())
            } else {
                Err(twice(mark))
            };
        };
        if let Some(why) = sent.never {
            return Err(Finding::new(why, "never published", format!("{mark:?}")));
        }
        sent.seen += 1;
        if sent.seen > sent.written_on.len() {
            return Err(twice(mark));
        }
        self.check_order(mark)
    }

    fn check_order(&mut self, mark: Mark) -> Check {
        let before = self.last_seen.insert(mark.of, mark);
        match before {
            Some(before) if before.number >= mark.number && self.in_order(before, mark) => {
                Err(Finding::new(
                    "a publisher's messages keep their order",
                    format!("after {before:?} a higher number"),
                    format!("{mark:?}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether the order of two messages is promised: both went out once, on the same connection.
    pub(super) fn in_order(&self, one: Mark, other: Mark) -> bool {
        let (Some(one), Some(other)) = (self.sent.get(&one), self.sent.get(&other)) else {
            return true;
        };
        one.submitted == 1
            && other.submitted == 1
            && one.written_on.len() == 1
            && one.written_on == other.written_on
    }

    fn observe_fragment(&mut self, payload: &Payload, info: &StreamInfo) -> Check {
        let serial = serial_of(&info.stream_id);
        let stream = self.streams.entry(serial).or_default();
        if info.end_of_stream {
            let is_second = std::mem::replace(&mut stream.is_over, true);
            return Finding::unless_same("a stream ends once", &false, &is_second);
        }
        Finding::unless_same("a stream that is over stays so", &false, &stream.is_over)?;
        stream.seen += 1;
        let expected = stream.expected.pop_front();
        let expected = expected.map(|number| Mark::new(Kind::Fragment, serial, number));
        let seen = Mark::read(payload).filter(|_| info.stream_sequence_id == stream.seen);
        Finding::unless_same("fragments follow each other", &expected, &seen)
    }

    /// The number of the fragment that the service expects next.
    pub(super) fn expected_fragment(&self, id: &str) -> u64 {
        self.streams
            .get(&serial_of(id))
            .map_or(1, |stream| stream.seen + 1)
    }

    // What publishers were told.

    /// It was done.
    pub(super) fn accepted(&self, mark: Mark) -> Check {
        let seen = self.sent.get(&mark).map_or(0, |sent| sent.seen);
        if mark.kind == Kind::Publish && seen == 0 {
            return Err(Finding::new(
                "what was accepted was published",
                format!("{mark:?} at the observer"),
                "nothing",
            ));
        }
        Ok(())
    }

    /// It was not done, and never will be.
    pub(super) fn excluded(&mut self, mark: Mark, why: &'static str) -> Check {
        let Some(sent) = self.sent.get_mut(&mark) else {
            return Ok(());
        };
        if sent.seen > 0 && mark.kind == Kind::Publish {
            return Err(Finding::new(why, "never published", format!("{mark:?}")));
        }
        sent.never = Some(why);
        Ok(())
    }

    pub(super) fn submit_fragment(&mut self, serial: u64, number: u64) {
        let stream = self.streams.entry(serial).or_default();
        stream.expected.push_back(number);
    }

    /// Its publisher withdrew it in time.
    pub(super) fn withdraw_fragment(&mut self, serial: u64, number: u64) {
        let stream = self.streams.entry(serial).or_default();
        stream.expected.retain(|expected| *expected != number);
    }

    /// The service closed the stream as it was asked to.
    pub(super) fn stream_ended(&self, serial: u64) -> Check {
        let none = Stream::default();
        let stream = self.streams.get(&serial).unwrap_or(&none);
        let missing = (stream.expected.len(), stream.is_over);
        Finding::unless_same("a stream that ended arrived whole", &(0, true), &missing)
    }

    // The handler.

    pub(super) fn called(&mut self, mark: Mark) -> Check {
        let calls = self.calls.entry(mark).or_default();
        calls.times += 1;
        let most = match mark.kind {
            Kind::Raise => 1 + calls.failed + calls.cancelled,
            _ => 1,
        };
        if calls.times > most {
            return Err(Finding::new(
                "the handler is asked once",
                most,
                format!("{} times for {mark:?}", calls.times),
            ));
        }
        Ok(())
    }

    /// How often the handler was asked.
    pub(super) fn times_called(&self, mark: Mark) -> u32 {
        self.calls.get(&mark).map_or(0, |calls| calls.times)
    }

    pub(super) fn call_failed(&mut self, mark: Mark) {
        self.calls.entry(mark).or_default().failed += 1;
    }

    pub(super) fn call_cancelled(&mut self, mark: Mark) {
        self.calls.entry(mark).or_default().cancelled += 1;
    }

    pub(super) fn call_answered(&mut self, mark: Mark) {
        self.calls.entry(mark).or_default().is_answered = true;
    }

    pub(super) fn is_answered(&self, mark: Mark) -> bool {
        self.calls.get(&mark).is_some_and(|calls| calls.is_answered)
    }

    // Messages of servers to a connection.

    /// The next message to a connection.
    pub(super) fn next_to_connection(&mut self, connection: &ByteString) -> Mark {
        let next = self.serials + 1;
        let (serial, sent) = self
            .to_connections
            .entry(connection.clone())
            .or_insert_with(|| (next, 0));
        *sent += 1;
        let mark = Mark::new(Kind::ToConnection, *serial, *sent);
        self.serials = self.serials.max(next);
        mark
    }

    /// How many were sent to it.
    pub(super) fn sent_to(&self, connection: &ByteString) -> Option<(u64, u64)> {
        self.to_connections.get(connection).copied()
    }
}

fn twice(mark: Mark) -> Finding {
    Finding::new("nothing is published twice", "once", format!("{mark:?}"))
}

/// Streams are named by their number.
pub(super) fn serial_of(stream_id: &str) -> u64 {
    stream_id.trim_start_matches('s').parse().unwrap_or(0)
}
