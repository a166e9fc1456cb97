//! What may happen to a hub, in small numbers of names and ids, so that things meet.

use std::time::Duration;

use arbitrary::Arbitrary;
use bytestring::ByteString;
use webpubsub_emulator::driven::{ConnectSpec, Frame};
use webpubsub_protocol::frame::{
    AckId, ClientFrame, Invocation, SequenceId, StreamEndError, StreamStart, json, protobuf,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

pub(super) const GROUPS: [&str; 3] = ["g", "h", "h.i"];
pub(super) const USERS: [&str; 2] = ["ana", "ben"];

#[derive(Debug, Arbitrary)]
pub(super) enum Step<'a> {
    Connect(Entrance),
    Recover {
        who: u8,
        honestly: bool,
    },
    Frame {
        who: u8,
        said: Said,
    },
    Text {
        who: u8,
        text: &'a str,
    },
    Bytes {
        who: u8,
        bytes: &'a [u8],
    },
    Drain {
        who: u8,
        most: u8,
    },
    Gone {
        who: u8,
        for_good: bool,
    },
    /// Hundredths of a second.
    Advance(u16),
    Answer {
        nth: u8,
        answer: Answer,
    },
    Send {
        to: To,
        not_to: u8,
        bytes: u8,
        ttl: u8,
    },
    Close {
        to: To,
        reason: bool,
    },
    Group {
        who: u8,
        group: u8,
        change: Change,
    },
}

#[derive(Debug, Arbitrary)]
pub(super) enum Answer {
    Nothing,
    Text,
    Failure,
}

#[derive(Debug, Arbitrary)]
pub(super) enum To {
    All,
    User(u8),
    Group(u8),
    Connection(u8),
}

#[derive(Debug, Arbitrary)]
pub(super) enum Change {
    Join,
    Leave(bool),
    JoinUser,
    LeaveUser(bool),
    Grant(bool),
    Revoke(bool),
}

#[derive(Debug, Arbitrary)]
pub(super) struct Entrance {
    user: Option<u8>,
    kind: u8,
    roles: u8,
    group: Option<u8>,
    publishes_to: Option<(u8, bool)>,
}

impl Entrance {
    pub(super) fn spec(self) -> ConnectSpec {
        const ROLES: [&str; 5] = [
            "webpubsub.joinLeaveGroup",
            "webpubsub.sendToGroup",
            "webpubsub.getGroupState",
            "webpubsub.setGroupState",
            "webpubsub.sendToGroups.h*",
        ];
        let roles = ROLES.iter().enumerate();
        let roles = roles.filter(|(at, _)| self.roles & (1 << at) != 0);
        ConnectSpec {
            user: self.user.map(user),
            roles: roles.map(|(_, role)| (*role).to_owned()).collect(),
            groups: self.group.map(group).into_iter().collect(),
            subprotocol: match self.kind % 6 {
                0 => None,
                1 => Some(Subprotocol::Json),
                2 => Some(Subprotocol::Protobuf),
                3 => Some(Subprotocol::ReliableProtobuf),
                _ => Some(Subprotocol::ReliableJson),
            },
            raw_group: self
                .publishes_to
                .map(|(nth, no_echo)| (group(nth), no_echo)),
        }
    }
}

/// What a client says.
#[derive(Debug, Arbitrary)]
pub(super) enum Said {
    Join {
        group: u8,
        ack: Option<u8>,
    },
    Leave {
        group: u8,
        ack: Option<u8>,
    },
    Send {
        group: u8,
        ack: Option<u8>,
        no_echo: bool,
        bytes: u8,
        ttl: u8,
    },
    OpenStream {
        id: u8,
        group: u8,
        timeout: Option<u16>,
    },
    StreamData {
        id: u8,
        number: Option<u8>,
    },
    EndStream {
        id: u8,
        fails: bool,
    },
    Event {
        ack: Option<u8>,
    },
    Invoke {
        id: u8,
    },
    CancelInvocation {
        id: u8,
    },
    SequenceAck {
        upto: u8,
    },
    SequenceAckAny {
        upto: u64,
    },
    SetState {
        group: u8,
        ack: Option<u8>,
        clears: bool,
        bytes: u8,
    },
    Subscribe {
        group: u8,
        ack: Option<u8>,
    },
    Unsubscribe {
        group: u8,
        ack: Option<u8>,
    },
    Ping,
}

impl Said {
    pub(super) fn frame(self, subprotocol: Option<Subprotocol>) -> Frame {
        let Some(subprotocol) = subprotocol else {
            return Frame::Text("raw".into());
        };
        let frame = self.client_frame();
        match subprotocol {
            Subprotocol::Json | Subprotocol::ReliableJson => {
                Frame::Text(json::encode_client(&frame).into())
            }
            Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => {
                Frame::Binary(protobuf::encode_client(&frame))
            }
        }
    }

    fn client_frame(self) -> ClientFrame {
        let metadata = Metadata::default();
        match self {
            Self::Join { group: nth, ack } => ClientFrame::JoinGroup {
                group: group(nth),
                ack_id: ack_id(ack),
            },
            Self::Leave { group: nth, ack } => ClientFrame::LeaveGroup {
                group: group(nth),
                ack_id: ack_id(ack),
            },
            Self::Send {
                group: nth,
                ack,
                no_echo,
                bytes,
                ttl,
            } => ClientFrame::SendToGroup {
                group: group(nth),
                ack_id: ack_id(ack),
                no_echo,
                ttl_seconds: u32::from(ttl % 3),
                metadata,
                payload: payload(bytes),
            },
            Self::OpenStream {
                id,
                group: nth,
                timeout,
            } => ClientFrame::OpenStream {
                stream_id: name_of(id),
                start: Ok(StreamStart {
                    group: group(nth),
                    no_echo: false,
                    idle_timeout: timeout.map(|ms| Duration::from_millis(u64::from(ms) + 1)),
                }),
            },
            Self::StreamData { id, number } => ClientFrame::StreamData {
                stream_id: name_of(id),
                fragment: Ok(number.map(|number| (u64::from(number % 8), payload(1)))),
            },
            Self::EndStream { id, fails } => ClientFrame::EndStream {
                stream_id: name_of(id),
                error: fails.then(StreamEndError::default),
            },
            Self::Event { ack } => ClientFrame::Event {
                event: event(),
                ack_id: ack_id(ack),
                metadata,
                payload: payload(1),
            },
            Self::Invoke { id } => ClientFrame::Invoke {
                invocation_id: name_of(id),
                call: Ok(Invocation {
                    event: event(),
                    metadata,
                    payload: None,
                }),
            },
            Self::CancelInvocation { id } => ClientFrame::CancelInvocation {
                invocation_id: name_of(id),
            },
            Self::SequenceAck { upto } => ClientFrame::SequenceAck {
                sequence_id: SequenceId(upto.into()),
            },
            Self::SequenceAckAny { upto } => ClientFrame::SequenceAck {
                sequence_id: SequenceId(upto),
            },
            Self::SetState {
                group: nth,
                ack,
                clears,
                bytes,
            } => ClientFrame::SetGroupState {
                group: group(nth),
                ack_id: ack_id(ack),
                state: (!clears)
                    .then(|| vec![("k".to_owned(), "v".repeat(usize::from(bytes) * 3))]),
            },
            Self::Subscribe { group: nth, ack } => ClientFrame::SubscribeGroupState {
                group: group(nth),
                ack_id: ack_id(ack),
            },
            Self::Unsubscribe { group: nth, ack } => ClientFrame::UnsubscribeGroupState {
                group: group(nth),
                ack_id: ack_id(ack),
            },
            Self::Ping => ClientFrame::Ping,
        }
    }
}

pub(super) fn group(nth: u8) -> GroupName {
    GroupName::new(GROUPS[usize::from(nth) % GROUPS.len()]).expect("a name")
}

pub(super) fn user(nth: u8) -> UserId {
    UserId::new(USERS[usize::from(nth) % USERS.len()]).expect("a name")
}

fn event() -> EventName {
    EventName::new("e").expect("a name")
}

fn ack_id(id: Option<u8>) -> Option<AckId> {
    id.map(|id| AckId(u64::from(id % 32)))
}

fn name_of(nth: u8) -> ByteString {
    ByteString::from(format!("s{}", nth % 4))
}

fn payload(bytes: u8) -> Payload {
    Payload::text("x".repeat(bytes.into()))
}
