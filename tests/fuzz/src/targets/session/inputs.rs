//! What may happen to a session, in small numbers of names and ids, so that things meet.

use std::time::Duration;

use arbitrary::Arbitrary;
use bytestring::ByteString;
use webpubsub_protocol::frame::{
    AckId, FrameError, GroupStateItem, Message, Sender, SequenceId, ServerFrame, StreamEndError,
    StreamInfo, json, protobuf,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Acknowledge, Closure, DialFailure, Request, RequestId, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

#[derive(Debug, Arbitrary)]
pub(super) struct Settings {
    pub(super) subprotocol: Spoken,
    pub(super) retries: bool,
    pub(super) reconnects: bool,
    pub(super) in_flight: u8,
    pub(super) outbox: u8,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Spoken {
    Json,
    ReliableJson,
    Protobuf,
    ReliableProtobuf,
}

impl From<Spoken> for Subprotocol {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::Json => Self::Json,
            Spoken::ReliableJson => Self::ReliableJson,
            Spoken::Protobuf => Self::Protobuf,
            Spoken::ReliableProtobuf => Self::ReliableProtobuf,
        }
    }
}

#[derive(Debug, Arbitrary)]
pub(super) enum Step<'a> {
    Start,
    Stop,
    Submit(Asked),
    Cancel(u8),
    Opened,
    Connect,
    DialFailed(Failed),
    Closed(Closed),
    Heard(Heard),
    HeardText(&'a str),
    HeardBytes(&'a [u8]),
    Stale(Heard),
    /// Hundredths of a second.
    Advance(u16),
    /// The machine, for so many seconds.
    Sleep(u16),
    Write(u8),
    Stall(bool),
    Subscribe(bool),
    Unsubscribe(u8),
}

#[derive(Debug, Arbitrary)]
pub(super) enum Asked {
    Join(u8),
    Leave(u8),
    Send { how: How, bytes: u8, ttl: u16 },
    Event { how: How, bytes: u8 },
    SetState { group: u8, how: How, clears: bool },
    Subscribe { group: u8, how: How },
    Unsubscribe(u8),
    Invoke(Option<u8>),
    OpenStream(Option<u8>, Option<u16>),
    WriteStream(u8, u8),
    EndStream(u8, bool),
    KeepAlive(u8),
}

#[derive(Debug, Arbitrary)]
pub(super) enum How {
    Auto,
    Id(u8),
    Forget,
}

impl Asked {
    pub(super) fn request(self, submitted: &[RequestId]) -> Request {
        // Without one, a request that never opened a stream does: there is always the first.
        let stream = |nth| pick(submitted, nth).copied();
        let ping = || Request::join_group(group(0));
        match self {
            Self::Join(name) => Request::join_group(group(name)),
            Self::Leave(name) => Request::leave_group(group(name)),
            Self::Send { how, bytes, ttl } => Request::send_to_group(group(0), payload(bytes))
                .acknowledge(how.into())
                .ttl_seconds(ttl.into()),
            Self::Event { how, bytes } => {
                Request::send_event(event(), payload(bytes)).acknowledge(how.into())
            }
            Self::SetState {
                group: name,
                how,
                clears,
            } => {
                let state = (!clears).then(|| vec![("k".to_owned(), "v".to_owned())]);
                Request::set_group_state(group(name), state).acknowledge(how.into())
            }
            Self::Subscribe { group: name, how } => {
                Request::subscribe_group_state(group(name)).acknowledge(how.into())
            }
            Self::Unsubscribe(name) => Request::unsubscribe_group_state(group(name)),
            Self::Invoke(None) => Request::invoke(event(), None),
            Self::Invoke(Some(id)) => {
                Request::invoke(event(), Some(payload(1))).invocation_id(name_of(id))
            }
            Self::OpenStream(id, timeout) => {
                let mut request = Request::open_stream(group(0));
                if let Some(id) = id {
                    request = request.stream_id(name_of(id));
                }
                match timeout {
                    Some(ms) => request.idle_timeout(Duration::from_millis(ms.into())),
                    None => request,
                }
            }
            Self::WriteStream(nth, bytes) => {
                stream(nth).map_or_else(ping, |id| Request::write_stream(id, payload(bytes)))
            }
            Self::EndStream(nth, fails) => stream(nth).map_or_else(ping, |id| {
                Request::end_stream(id, fails.then(StreamEndError::default))
            }),
            Self::KeepAlive(nth) => stream(nth).map_or_else(ping, Request::keep_stream_alive),
        }
    }
}

impl From<How> for Acknowledge {
    fn from(how: How) -> Self {
        match how {
            How::Auto => Self::Auto,
            How::Id(id) => Self::Id(AckId(u64::from(id % 12))),
            How::Forget => Self::Forget,
        }
    }
}

#[derive(Debug, Arbitrary)]
pub(super) enum Failed {
    Refused(u8, Option<u64>),
    Credential,
    Network,
    Subprotocol,
}

impl Failed {
    pub(super) fn failure(self) -> DialFailure {
        match self {
            Self::Refused(nth, retry_after) => DialFailure::Refused {
                status: [400, 401, 403, 404, 429, 500, 503][usize::from(nth % 7)],
                retry_after: retry_after.map(Duration::from_secs),
                body: String::new(),
            },
            Self::Credential => DialFailure::Credential("no".to_owned()),
            Self::Network => DialFailure::Network("no".to_owned()),
            Self::Subprotocol => DialFailure::Subprotocol("x".to_owned()),
        }
    }
}

#[derive(Debug, Arbitrary)]
pub(super) struct Closed {
    code: Option<u8>,
    too_large: bool,
}

impl Closed {
    pub(super) fn closure(self) -> Closure {
        Closure {
            code: self
                .code
                .map(|nth| [1000, 1001, 1006, 1008, 1009, 1011][usize::from(nth % 6)]),
            too_large: self.too_large.then_some(32),
            ..Closure::default()
        }
    }
}

/// What the service says.
#[derive(Debug, Arbitrary)]
pub(super) enum Heard {
    Connected(bool),
    Disconnected,
    Ack {
        id: u8,
        error: Option<u8>,
    },
    Message {
        sequence_id: Option<Number>,
        from_group: bool,
        stream: Option<Place>,
    },
    Pong,
    Answer {
        id: u8,
        error: Option<u8>,
    },
    StreamAck {
        id: u8,
        next: Number,
    },
    StreamNack {
        id: u8,
        next: Number,
        error: u8,
    },
    StreamClosed {
        id: u8,
        error: Option<u8>,
    },
    State {
        sequence_id: Option<Number>,
        is_snapshot: bool,
        clears: bool,
        at: i64,
    },
}

#[derive(Debug, Arbitrary)]
pub(super) enum Number {
    Small(u8),
    Any(u64),
}

#[derive(Debug, Arbitrary)]
pub(super) struct Place {
    stream: u8,
    number: Number,
    ends: bool,
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Self::Small(number) => number.into(),
            Self::Any(number) => number,
        }
    }
}

impl Heard {
    pub(super) fn frame(self, subprotocol: Subprotocol) -> WireFrame {
        let frame = match self {
            Self::Connected(same) => connected_as(if same { "c1" } else { "c2" }),
            Self::Disconnected => ServerFrame::Disconnected {
                message: "bye".to_owned(),
            },
            Self::Ack { id, error } => ServerFrame::Ack {
                ack_id: AckId(u64::from(id % 12)),
                error: error.map(failed),
            },
            Self::Message {
                sequence_id,
                from_group,
                stream,
            } => ServerFrame::Message(Message {
                sequence_id: sequence_id.map(|id| SequenceId(id.get())),
                from: match from_group {
                    true => Sender::Group {
                        group: group(0),
                        from_user_id: None,
                    },
                    false => Sender::Server,
                },
                payload: Payload::text("x"),
                metadata: Metadata::default(),
                stream: stream.map(|place| {
                    Box::new(StreamInfo {
                        stream_id: name_of(place.stream),
                        stream_sequence_id: place.number.get(),
                        end_of_stream: place.ends,
                        error: None,
                    })
                }),
            }),
            Self::Pong => ServerFrame::Pong,
            Self::Answer { id, error } => ServerFrame::InvokeResponse {
                invocation_id: name_of(id),
                result: error.map_or(Ok(None), |error| Err(failed(error))),
                metadata: Metadata::default(),
            },
            Self::StreamAck { id, next } => ServerFrame::StreamAck {
                stream_id: name_of(id),
                expected_sequence_id: next.get(),
            },
            Self::StreamNack { id, next, error } => ServerFrame::StreamNack {
                stream_id: name_of(id),
                error: failed(error),
                expected_sequence_id: next.get(),
            },
            Self::StreamClosed { id, error } => ServerFrame::StreamClosed {
                stream_id: name_of(id),
                error: error.map(failed),
            },
            Self::State {
                sequence_id,
                is_snapshot,
                clears,
                at,
            } => {
                let sequence_id = sequence_id.map(|id| SequenceId(id.get()));
                let items = vec![GroupStateItem {
                    connection_id: "c9".into(),
                    user_id: None,
                    state: (!clears).then(Vec::new),
                    updated_at: at,
                }];
                let group = group(0);
                match is_snapshot {
                    true => ServerFrame::GroupStateSnapshot {
                        sequence_id,
                        group,
                        items,
                    },
                    false => ServerFrame::GroupStateUpdate {
                        sequence_id,
                        group,
                        items,
                    },
                }
            }
        };
        written(&frame, subprotocol)
    }
}

pub(super) fn connected(subprotocol: Subprotocol) -> WireFrame {
    written(&connected_as("c1"), subprotocol)
}

pub(super) fn pick<T>(from: &[T], nth: u8) -> Option<&T> {
    from.get(usize::from(nth).checked_rem(from.len())?)
}

fn connected_as(id: &'static str) -> ServerFrame {
    ServerFrame::Connected {
        connection_id: ByteString::from_static(id),
        user_id: None,
        reconnection_token: Some(ByteString::from_static("token")),
    }
}

fn written(frame: &ServerFrame, subprotocol: Subprotocol) -> WireFrame {
    match subprotocol {
        Subprotocol::Json | Subprotocol::ReliableJson => {
            WireFrame::Text(json::encode_server(frame).into())
        }
        Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => {
            WireFrame::Binary(protobuf::encode_server(frame))
        }
    }
}

fn failed(nth: u8) -> FrameError {
    const NAMES: [&str; 7] = [
        "Forbidden",
        "Duplicate",
        "Timeout",
        "TransientError",
        "InvalidSequenceId",
        "StreamNotFound",
        "InternalServerError",
    ];
    FrameError {
        name: ByteString::from_static(NAMES[usize::from(nth % 7)]),
        message: None,
    }
}

fn group(nth: u8) -> GroupName {
    GroupName::new(["g", "h"][usize::from(nth % 2)]).expect("a name")
}

fn event() -> EventName {
    EventName::new("e").expect("a name")
}

/// Small numbers are what a session calls its invocations.
fn name_of(nth: u8) -> ByteString {
    ByteString::from((nth % 6).to_string())
}

fn payload(bytes: u8) -> Payload {
    Payload::text("x".repeat(bytes.into()))
}
