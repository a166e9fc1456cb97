use std::time::Duration;

use bytestring::ByteString;

use super::{AckId, DecodeError, SequenceId};
use crate::metadata::Metadata;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;

/// A frame from a client to the service.
///
/// A frame with an ack id is answered by [`ServerFrame::Ack`](super::ServerFrame::Ack), one
/// without it is fire and forget.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFrame {
    /// Join a group. Needs the permission `joinLeaveGroup`.
    JoinGroup {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
    },
    /// Leave a group. Needs the permission `joinLeaveGroup`.
    LeaveGroup {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
    },
    /// Publish a message to a group. Needs the permission `sendToGroup`, not membership.
    SendToGroup {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
        /// Do not send the message back to this connection.
        no_echo: bool,
        /// Drop the message when it is still undelivered after this many seconds; 0 = never, at
        /// most 300.
        ttl_seconds: u32,
        /// Entries that travel with the message.
        metadata: Metadata,
        /// The message.
        payload: Payload,
    },
    /// Open a stream to a group.
    OpenStream {
        /// Unique among the open streams of the connection.
        stream_id: ByteString,
        /// The start, or what is wrong with it: that closes the stream, not the connection.
        start: Result<StreamStart, DecodeError>,
    },
    /// One fragment of an open stream.
    StreamData {
        /// The stream.
        stream_id: ByteString,
        /// Number and payload; neither keeps the stream alive; only one of them is an error that
        /// closes the stream, not the connection.
        fragment: Result<Option<(u64, Payload)>, DecodeError>,
    },
    /// The last frame of a stream.
    EndStream {
        /// The stream.
        stream_id: ByteString,
        /// Why the publisher gave up, when it did.
        error: Option<StreamEndError>,
    },
    /// Raise a user event at the server.
    Event {
        /// The event.
        event: EventName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
        /// Entries that travel with the event.
        metadata: Metadata,
        /// The event's data.
        payload: Payload,
    },
    /// Raise an event and wait for the handler's answer.
    Invoke {
        /// Pairs the answer with this frame.
        invocation_id: ByteString,
        /// The call, or what is wrong with it: that fails the invocation, not the connection.
        call: Result<Invocation, DecodeError>,
    },
    /// Give up waiting for an invocation.
    CancelInvocation {
        /// The invocation.
        invocation_id: ByteString,
    },
    /// Acknowledge all messages up to this one. Reliable subprotocols only.
    SequenceAck {
        /// The largest id received.
        sequence_id: SequenceId,
    },
    /// Replace this connection's state in a group; `None` clears it.
    SetGroupState {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
        /// The whole new state.
        state: Option<Vec<(String, String)>>,
    },
    /// Receive the state of a group's members.
    SubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
    },
    /// Stop receiving the state of a group's members.
    UnsubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Asks for an answer.
        ack_id: Option<AckId>,
    },
    /// Ask for a pong.
    Ping,
}

impl ClientFrame {
    /// The ack id, when the frame asks for an answer.
    #[must_use]
    pub const fn ack_id(&self) -> Option<AckId> {
        match self {
            Self::JoinGroup { ack_id, .. }
            | Self::LeaveGroup { ack_id, .. }
            | Self::SendToGroup { ack_id, .. }
            | Self::Event { ack_id, .. }
            | Self::SetGroupState { ack_id, .. }
            | Self::SubscribeGroupState { ack_id, .. }
            | Self::UnsubscribeGroupState { ack_id, .. } => *ack_id,
            Self::OpenStream { .. }
            | Self::StreamData { .. }
            | Self::EndStream { .. }
            | Self::Invoke { .. }
            | Self::CancelInvocation { .. }
            | Self::SequenceAck { .. }
            | Self::Ping => None,
        }
    }

    /// Asks for an answer under this id; does nothing to frames that are not answered by one.
    pub const fn set_ack_id(&mut self, id: AckId) {
        match self {
            Self::JoinGroup { ack_id, .. }
            | Self::LeaveGroup { ack_id, .. }
            | Self::SendToGroup { ack_id, .. }
            | Self::Event { ack_id, .. }
            | Self::SetGroupState { ack_id, .. }
            | Self::SubscribeGroupState { ack_id, .. }
            | Self::UnsubscribeGroupState { ack_id, .. } => *ack_id = Some(id),
            Self::OpenStream { .. }
            | Self::StreamData { .. }
            | Self::EndStream { .. }
            | Self::Invoke { .. }
            | Self::CancelInvocation { .. }
            | Self::SequenceAck { .. }
            | Self::Ping => {}
        }
    }
}

/// How a stream starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStart {
    /// The group that receives it.
    pub group: GroupName,
    /// Do not send the stream back to this connection.
    pub no_echo: bool,
    /// Close the stream after this long without data or keep-alive.
    pub idle_timeout: Option<Duration>,
}

/// An event that waits for its handler's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The event.
    pub event: EventName,
    /// Entries that travel with the event.
    pub metadata: Metadata,
    /// The event's data.
    pub payload: Option<Payload>,
}

/// Why a publisher ended its stream early.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamEndError {
    /// For people.
    pub message: Option<String>,
    /// For programs; the publisher's own code.
    pub user_error_code: Option<String>,
}
