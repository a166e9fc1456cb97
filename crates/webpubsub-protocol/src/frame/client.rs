use std::time::Duration;

use bytestring::ByteString;

use super::{AckId, DecodeError, SequenceId};
use crate::metadata::Metadata;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;

/// A frame from a client to the service.
///
/// A frame with an ack id is answered by [`ServerFrame::Ack`](super::ServerFrame::Ack); a frame
/// without one is fire and forget.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFrame {
    /// Join a group. Needs the permission `joinLeaveGroup`.
    JoinGroup {
        /// The group.
        group: GroupName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
    },
    /// Leave a group. Needs the permission `joinLeaveGroup`.
    LeaveGroup {
        /// The group.
        group: GroupName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
    },
    /// Publish a message to a group. Needs the permission `sendToGroup`, not membership.
    SendToGroup {
        /// The group.
        group: GroupName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
        /// Do not send the message back to this connection.
        no_echo: bool,
        /// Drop the message if it has not been delivered after this many seconds, at most 300; 0 means
        /// never.
        ttl_seconds: u32,
        /// The metadata of the message.
        metadata: Metadata,
        /// The message.
        payload: Payload,
    },
    /// Open a stream to a group.
    OpenStream {
        /// Unique among the open streams of the connection.
        stream_id: ByteString,
        /// How the stream starts, or what is wrong with the frame. A mistake here closes the stream, but
        /// not the connection.
        start: Result<StreamStart, DecodeError>,
    },
    /// One fragment of an open stream.
    StreamData {
        /// The stream.
        stream_id: ByteString,
        /// The number and the payload. A frame with neither of them keeps the stream alive; a frame with
        /// only one of them is a mistake that closes the stream, but not the connection.
        fragment: Result<Option<(u64, Payload)>, DecodeError>,
    },
    /// The last frame of a stream.
    EndStream {
        /// The stream.
        stream_id: ByteString,
        /// The reason, if the publisher ends the stream early.
        error: Option<StreamEndError>,
    },
    /// Send a user event to the server.
    Event {
        /// The event.
        event: EventName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
        /// The metadata of the event.
        metadata: Metadata,
        /// The event's data.
        payload: Payload,
    },
    /// Send a user event and wait for the answer of its handler.
    Invoke {
        /// The id that the answer will carry.
        invocation_id: ByteString,
        /// The call, or what is wrong with the frame. A mistake here fails the invocation, but does not
        /// close the connection.
        call: Result<Invocation, DecodeError>,
    },
    /// Cancel an invocation that has not been answered.
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
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
        /// The whole new state.
        state: Option<Vec<(String, String)>>,
    },
    /// Receive the state of a group's members.
    SubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
    },
    /// Stop receiving the state of a group's members.
    UnsubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Asks for an acknowledgement under this id.
        ack_id: Option<AckId>,
    },
    /// Ask for a pong.
    Ping,
}

impl ClientFrame {
    /// The ack id, if the frame asks for an answer.
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

    /// Asks for an answer under this id. Has no effect on frames that cannot be acknowledged.
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

/// The start of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStart {
    /// The group that receives it.
    pub group: GroupName,
    /// Do not send the stream back to this connection.
    pub no_echo: bool,
    /// Close the stream after this long without data or keep-alive.
    pub idle_timeout: Option<Duration>,
}

/// A user event whose answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The event.
    pub event: EventName,
    /// The metadata of the event.
    pub metadata: Metadata,
    /// The event's data.
    pub payload: Option<Payload>,
}

/// Why a publisher ended its stream early.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamEndError {
    /// A description for people.
    pub message: Option<String>,
    /// A code for programs, defined by the publisher.
    pub user_error_code: Option<String>,
}
