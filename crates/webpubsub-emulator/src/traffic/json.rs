//! Entries as the admin API writes them: one flat object each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

use super::event::{Direction, Excerpt, TrafficEntry, TrafficEvent};
use super::why::{Denial, FilteredSend, TokenMismatch};
use crate::date::Timestamp;
use crate::faults::FaultId;

impl Serialize for TrafficEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::of(self).serialize(serializer)
    }
}

/// An entry; each kind has some of the members.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    number: u64,
    at: Option<Timestamp>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_resend: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a TokenMismatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<&'a Denial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filtered: Option<&'a FilteredSend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<FaultId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
}

/// How a payload begins: as text where it is text.
#[derive(Debug, Serialize)]
pub(crate) struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    bytes: usize,
    whole: bool,
}

impl Payload<'static> {
    /// Bytes of a payload of that many, as much as there is.
    pub(crate) fn of(beginning: &[u8], bytes: usize) -> Payload<'_> {
        let text = str::from_utf8(beginning).ok();
        Payload {
            text,
            base64: match text {
                Some(_) => None,
                None => Some(STANDARD.encode(beginning)),
            },
            bytes,
            whole: beginning.len() == bytes,
        }
    }
}

impl<'a> From<&'a Excerpt> for Payload<'a> {
    fn from(excerpt: &'a Excerpt) -> Self {
        let text = excerpt.as_text();
        Self {
            text,
            base64: match text {
                Some(_) => None,
                None => Some(STANDARD.encode(excerpt.as_bytes())),
            },
            bytes: excerpt.payload_len(),
            whole: excerpt.is_whole(),
        }
    }
}

impl<'a> Line<'a> {
    fn of(entry: &'a TrafficEntry) -> Self {
        let event = &entry.event;
        let line = Self {
            number: entry.number,
            at: Some(Timestamp(entry.at)),
            kind: event.kind(),
            hub: event.hub().map(HubName::as_str),
            connection_id: event.connection_id().map(ConnectionId::as_str),
            user_id: event.user_id().map(UserId::as_str),
            group: event.group().map(GroupName::as_str),
            ..Self::default()
        };
        match event {
            TrafficEvent::Request {
                method,
                path,
                operation,
                status,
                took,
                refused,
                token,
                ..
            } => Self {
                method: Some(method),
                path: Some(path),
                operation: *operation,
                status: *status,
                took_seconds: Some(took.as_secs_f64()),
                reason: refused.as_deref(),
                token: token.as_deref(),
                ..line
            },
            TrafficEvent::Opened {
                subprotocol,
                recovered,
                ..
            } => Self {
                subprotocol: subprotocol.as_deref(),
                recovered: Some(*recovered),
                ..line
            },
            TrafficEvent::Ended { reason, .. } => Self {
                reason: Some(reason),
                ..line
            },
            TrafficEvent::Frame {
                direction,
                kind,
                bytes,
                excerpt,
                ..
            } => Self {
                direction: Some(match direction {
                    Direction::In => "in",
                    Direction::Out => "out",
                }),
                frame: Some(kind.as_str()),
                bytes: Some(*bytes),
                payload: excerpt.as_ref().map(Payload::from),
                ..line
            },
            TrafficEvent::HandlerCall {
                event,
                event_id,
                request,
                status,
                answer,
                succeeded,
                failure,
                took,
                sent,
                ..
            } => Self {
                event: Some(event),
                event_id: Some(*event_id),
                payload: request.as_ref().map(Payload::from),
                status: *status,
                answer: answer.as_ref().map(Payload::from),
                succeeded: Some(*succeeded),
                reason: failure.as_deref(),
                took_seconds: Some(took.as_secs_f64()),
                can_resend: Some(sent.is_some()),
                ..line
            },
            TrafficEvent::Denied { denial, .. } => Self {
                frame: Some(denial.kind.as_str()),
                denied: Some(denial),
                ..line
            },
            TrafficEvent::Filtered { send, .. } => Self {
                filtered: Some(send),
                ..line
            },
            TrafficEvent::Fault {
                id, name, fault, ..
            } => Self {
                fault: Some(fault),
                rule: Some(*id),
                name: name.as_deref(),
                ..line
            },
            TrafficEvent::Missed { entries } => Self {
                entries: Some(*entries),
                ..line
            },
        }
    }
}
