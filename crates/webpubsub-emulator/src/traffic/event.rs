//! What happens in the emulator, as the traffic log has it.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

use super::kept::SentEvent;
use super::why::{Denial, FilteredSend, TokenMismatch};
use crate::faults::FaultId;
use crate::hub::MessageKind;

/// Something that happened, with its number and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrafficEntry {
    /// Counts the entries of the emulator from 1, in the order in which they happened.
    pub number: u64,
    /// When it happened, by the emulator's clock.
    pub at: SystemTime,
    /// What happened.
    pub event: TrafficEvent,
}

impl fmt::Display for TrafficEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}  {}", self.number, self.event)
    }
}

/// What can happen. Holds no token and no key. `Display` and `Debug` show no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrafficEvent {
    /// An HTTP request was answered; those to the admin API are left out.
    #[non_exhaustive]
    Request {
        /// The method.
        method: String,
        /// The raw path, without the query: that may hold a token.
        path: String,
        /// The hub that the path names, if it names one.
        hub: Option<HubName>,
        /// The REST operation, as the service's description names it; `None` for anything else, and for a call that does
        /// not get so far.
        operation: Option<&'static str>,
        /// The status of the answer; `None` when the connection was closed without one.
        status: Option<u16>,
        /// From the request's head to the answer's, by the emulator's clock.
        took: Duration,
        /// Why it was refused, where it was.
        refused: Option<String>,
        /// What is wrong with its token, where that is the reason.
        token: Option<Box<TokenMismatch>>,
    },
    /// A connection was opened, or got another socket.
    #[non_exhaustive]
    Opened {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Its user, unless it is anonymous.
        user_id: Option<UserId>,
        /// Its subprotocol as the client spelled it; `None` for a simple client.
        subprotocol: Option<String>,
        /// Whether an earlier socket was lost or taken over.
        recovered: bool,
    },
    /// A connection ended.
    #[non_exhaustive]
    Ended {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Its user, unless it is anonymous.
        user_id: Option<UserId>,
        /// Why, in the words of the `disconnected` event.
        reason: String,
    },
    /// A client sent a frame, or was sent one.
    #[non_exhaustive]
    Frame {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Its user, unless it is anonymous.
        user_id: Option<UserId>,
        /// Which way it went.
        direction: Direction,
        /// What it is.
        kind: MessageKind,
        /// The group that it names or comes from.
        group: Option<GroupName>,
        /// Payload bytes.
        bytes: usize,
        /// How it begins; `None` where it may hold a token, or where payloads are not logged.
        excerpt: Option<Excerpt>,
    },
    /// An event handler was sent an event, and answered or failed to.
    #[non_exhaustive]
    HandlerCall {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Its user, unless it is anonymous.
        user_id: Option<UserId>,
        /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or that of a user event.
        event: String,
        /// Numbers the events of the connection.
        event_id: u64,
        /// How the body of the request begins; `None` for `connect`, which repeats what the client sent to authenticate
        /// itself, and where payloads are not logged.
        request: Option<Excerpt>,
        /// The status of the answer; `None` when there was no answer, and for a closure, which has none.
        status: Option<u16>,
        /// How the body of the answer begins, if there was one and payloads are logged.
        answer: Option<Excerpt>,
        /// Whether the answer was a success that can be used.
        succeeded: bool,
        /// Why it was not, in the words of the log.
        failure: Option<String>,
        /// With all tries and pauses, by the emulator's clock.
        took: Duration,
        /// The request as it can be sent again, unless it is a `connect` event, went to a closure or is too large.
        sent: Option<Box<SentEvent>>,
    },
    /// A client may not do what one of its frames asks for.
    #[non_exhaustive]
    Denied {
        /// The hub.
        hub: HubName,
        /// What was denied, and what was looked at.
        denial: Box<Denial>,
    },
    /// A REST call sent to the connections that a filter selects.
    #[non_exhaustive]
    Filtered {
        /// The hub.
        hub: HubName,
        /// Whom the filter selected, and why others were left out.
        send: Box<FilteredSend>,
    },
    /// A [fault](crate::Fault) hit.
    #[non_exhaustive]
    Fault {
        /// The hub, where there is one.
        hub: Option<HubName>,
        /// The connection, where there is one.
        connection_id: Option<ConnectionId>,
        /// The user, where it is known.
        user_id: Option<UserId>,
        /// The group of the frame or the operation.
        group: Option<GroupName>,
        /// The rule.
        id: FaultId,
        /// What the rule is called.
        name: Option<String>,
        /// What it does: the name of its kind, and a number where it has one.
        fault: String,
    },
    /// Entries happened that this reader did not read in time.
    #[non_exhaustive]
    Missed {
        /// How many.
        entries: u64,
    },
}

impl TrafficEvent {
    /// The kinds of events that are logged.
    pub(crate) const KINDS: &[&str] = &[
        "request", "opened", "ended", "frame", "event", "denied", "filtered", "fault",
    ];

    /// What kind of event it is, as in the member `kind` of the admin API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Opened { .. } => "opened",
            Self::Ended { .. } => "ended",
            Self::Frame { .. } => "frame",
            Self::HandlerCall { .. } => "event",
            Self::Denied { .. } => "denied",
            Self::Filtered { .. } => "filtered",
            Self::Fault { .. } => "fault",
            Self::Missed { .. } => "missed",
        }
    }

    /// The hub that it is about.
    #[must_use]
    pub const fn hub(&self) -> Option<&HubName> {
        match self {
            Self::Request { hub, .. } | Self::Fault { hub, .. } => hub.as_ref(),
            Self::Opened { hub, .. }
            | Self::Ended { hub, .. }
            | Self::Frame { hub, .. }
            | Self::HandlerCall { hub, .. }
            | Self::Denied { hub, .. }
            | Self::Filtered { hub, .. } => Some(hub),
            Self::Missed { .. } => None,
        }
    }

    /// The connection that it is about.
    #[must_use]
    pub const fn connection_id(&self) -> Option<&ConnectionId> {
        match self {
            Self::Opened { connection_id, .. }
            | Self::Ended { connection_id, .. }
            | Self::Frame { connection_id, .. }
            | Self::HandlerCall { connection_id, .. } => Some(connection_id),
            Self::Denied { denial, .. } => Some(&denial.connection_id),
            Self::Fault { connection_id, .. } => connection_id.as_ref(),
            Self::Request { .. } | Self::Filtered { .. } | Self::Missed { .. } => None,
        }
    }

    /// The user whose connection it is about.
    #[must_use]
    pub const fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Opened { user_id, .. }
            | Self::Ended { user_id, .. }
            | Self::Frame { user_id, .. }
            | Self::HandlerCall { user_id, .. }
            | Self::Fault { user_id, .. } => user_id.as_ref(),
            Self::Denied { denial, .. } => denial.user_id.as_ref(),
            Self::Request { .. } | Self::Filtered { .. } | Self::Missed { .. } => None,
        }
    }

    /// The group that it is about.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Frame { group, .. } | Self::Fault { group, .. } => group.as_ref(),
            Self::Denied { denial, .. } => Some(&denial.group),
            _ => None,
        }
    }
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// The beginning of a payload, at most [`Excerpt::MAX_BYTES`]. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt {
    beginning: Bytes,
    of: usize,
}

impl Excerpt {
    /// The most bytes that an excerpt holds.
    pub const MAX_BYTES: usize = 256;

    /// A copy, so that it keeps nothing of the payload in memory.
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self {
            beginning: Bytes::copy_from_slice(&payload[..payload.len().min(Self::MAX_BYTES)]),
            of: payload.len(),
        }
    }

    /// The beginning of a payload of so many bytes that is not in one piece.
    pub(crate) fn of_parts(payload: impl Iterator<Item = u8>, of: usize) -> Self {
        let beginning = payload.take(Self::MAX_BYTES).collect();
        Self { beginning, of }
    }

    /// The bytes; of text, the last character may be cut.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.beginning
    }

    /// The text, without a last character that is cut; `None` when it is none.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match str::from_utf8(&self.beginning) {
            Ok(text) => Some(text),
            Err(error) if error.error_len().is_none() && !self.is_whole() => {
                str::from_utf8(&self.beginning[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }

    /// Whether nothing was left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.beginning.len() == self.of
    }

    /// The bytes of the whole payload.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.of
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} of {} bytes)", self.beginning.len(), self.of)
    }
}

impl fmt::Display for TrafficEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                method,
                path,
                operation,
                status,
                took,
                refused,
                ..
            } => {
                let operation = operation.unwrap_or("no operation");
                let (status, took) = (Status(*status), took.as_millis());
                write!(f, "{method} {path} ({operation}): {status}, {took} ms")?;
                refused
                    .iter()
                    .try_for_each(|reason| write!(f, ", refused: {reason}"))
            }
            Self::Opened {
                hub,
                connection_id,
                recovered,
                ..
            } => {
                let what = if *recovered { "recovered" } else { "opened" };
                write!(f, "{hub}/{connection_id} {what}")
            }
            Self::Ended {
                hub,
                connection_id,
                reason,
                ..
            } => write!(f, "{hub}/{connection_id} ended: {reason}"),
            Self::Frame {
                hub,
                connection_id,
                direction,
                kind,
                group,
                bytes,
                ..
            } => {
                let arrow = match direction {
                    Direction::In => "->",
                    Direction::Out => "<-",
                };
                write!(f, "{hub}/{connection_id} {arrow} {kind}, {bytes} bytes")?;
                group
                    .iter()
                    .try_for_each(|group| write!(f, ", group {group}"))
            }
            Self::HandlerCall {
                hub,
                connection_id,
                event,
                event_id,
                status,
                failure,
                took,
                ..
            } => {
                let (status, took) = (Status(*status), took.as_millis());
                write!(
                    f,
                    "{hub}/{connection_id} event {event_id} `{event}`: {status}, {took} ms"
                )?;
                failure
                    .iter()
                    .try_for_each(|failure| write!(f, ", failed: {failure}"))
            }
            Self::Denied { hub, denial } => write!(f, "{hub}/{denial}"),
            Self::Filtered { hub, send } => write!(f, "{hub} {send}"),
            Self::Fault {
                hub,
                connection_id,
                id,
                name,
                fault,
                ..
            } => {
                hub.iter().try_for_each(|hub| write!(f, "{hub}"))?;
                connection_id.iter().try_for_each(|id| write!(f, "/{id}"))?;
                write!(f, " fault {id}: {fault}")?;
                name.iter().try_for_each(|name| write!(f, ", {name}"))
            }
            Self::Missed { entries } => write!(f, "{entries} entries were missed"),
        }
    }
}

struct Status(Option<u16>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(excerpt: Excerpt) -> TrafficEvent {
        TrafficEvent::Frame {
            hub: HubName::new("chat").expect("a name"),
            connection_id: ConnectionId::new("c").expect("an id"),
            user_id: None,
            direction: Direction::Out,
            kind: MessageKind::Message,
            group: Some(GroupName::new("g").expect("a name")),
            bytes: 300,
            excerpt: Some(excerpt),
        }
    }

    #[test]
    fn an_excerpt_is_bounded_and_never_printed() {
        let short = Excerpt::of(b"private");
        assert!(short.is_whole() && short.as_bytes() == b"private");
        let long = Excerpt::of(&[b'x'; 300]);
        assert!(!long.is_whole());
        assert_eq!(long.payload_len(), 300);
        assert_eq!(long.as_bytes(), [b'x'; Excerpt::MAX_BYTES]);
        let shown = format!("{0} {0:?}", frame(short));
        assert!(!shown.contains("private"), "{shown}");
        assert!(
            shown.starts_with("chat/c <- message, 300 bytes, group g "),
            "{shown}"
        );
    }

    #[test]
    fn text_is_told_from_bytes_and_loses_a_character_that_is_cut() {
        let cut = format!("{}\u{e9}\u{e9}", "x".repeat(Excerpt::MAX_BYTES - 1));
        for (payload, text) in [
            (b"text".as_slice(), Some("text")),
            (b"\xff\xfe", None),
            (b"cut\xc3", None),
            (cut.as_bytes(), Some(&cut[..Excerpt::MAX_BYTES - 1])),
        ] {
            assert_eq!(Excerpt::of(payload).as_text(), text, "{payload:?}");
        }
    }
}
