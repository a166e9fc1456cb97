use bytestring::ByteString;

use super::{AckId, SequenceId};
use crate::metadata::Metadata;
use crate::name::GroupName;
use crate::payload::Payload;

/// A frame from the service to a client.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerFrame {
    /// The first frame of a connection, and of a recovered socket.
    Connected {
        /// The service's id for this connection.
        connection_id: ByteString,
        /// The user, when the token or the event handler named one.
        user_id: Option<ByteString>,
        /// Lets a reliable client recover the connection.
        reconnection_token: Option<ByteString>,
    },
    /// The last frame before the service closes the connection on purpose.
    Disconnected {
        /// Why, for people.
        message: String,
    },
    /// The answer to a frame with an ack id.
    Ack {
        /// Repeats the request's id.
        ack_id: AckId,
        /// Why the request failed, when it did.
        error: Option<FrameError>,
    },
    /// A message.
    Message(Message),
    /// The answer to a ping.
    Pong,
    /// The answer to an invocation.
    InvokeResponse {
        /// Repeats the request's id.
        invocation_id: ByteString,
        /// The handler's answer, which may be empty, or why there is none.
        result: Result<Option<Payload>, FrameError>,
        /// Entries that travel with the answer.
        metadata: Metadata,
    },
    /// All fragments of a stream below this number were accepted.
    StreamAck {
        /// The stream.
        stream_id: ByteString,
        /// The next fragment that the service expects.
        expected_sequence_id: u64,
    },
    /// A fragment was refused; the stream stays open.
    StreamNack {
        /// The stream.
        stream_id: ByteString,
        /// The reason.
        error: FrameError,
        /// The next fragment that the service expects.
        expected_sequence_id: u64,
    },
    /// The stream is over.
    StreamClosed {
        /// The stream.
        stream_id: ByteString,
        /// The reason, if the publisher did not end it.
        error: Option<FrameError>,
    },
    /// The states of all members of a group.
    GroupStateSnapshot {
        /// The sequence id; only on reliable connections.
        sequence_id: Option<SequenceId>,
        /// The group.
        group: GroupName,
        /// The members that have a state.
        items: Vec<GroupStateItem>,
    },
    /// Changes of the states of members of a group.
    GroupStateUpdate {
        /// The sequence id; only on reliable connections.
        sequence_id: Option<SequenceId>,
        /// The group.
        group: GroupName,
        /// The members whose state changed.
        items: Vec<GroupStateItem>,
    },
}

/// A message as a client receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sequence id; only on reliable connections.
    pub sequence_id: Option<SequenceId>,
    /// Where it comes from.
    pub from: Sender,
    /// Its data.
    pub payload: Payload,
    /// The metadata that was sent with it.
    pub metadata: Metadata,
    /// Its place in a stream, when it is a fragment of one. Behind a pointer, since most messages are not.
    pub stream: Option<Box<StreamInfo>>,
}

/// Where a message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The server: a REST call that sends to everybody, a user or a connection, or the answer of an event
    /// handler.
    Server,
    /// A group that the client is in.
    Group {
        /// The group.
        group: GroupName,
        /// The user of the client that published it, if it has one; `None` for messages of a server.
        from_user_id: Option<ByteString>,
    },
}

/// A named failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError {
    /// The name, for programs: `Forbidden`, `Duplicate`, `InternalServerError` and others; new names may
    /// appear.
    pub name: ByteString,
    /// A description for people.
    pub message: Option<ByteString>,
}

impl FrameError {
    /// A failure with a name and a description.
    #[must_use]
    pub fn new(name: &'static str, message: impl Into<ByteString>) -> Self {
        Self {
            name: ByteString::from_static(name),
            message: Some(message.into()),
        }
    }

    /// A failure that says no more than that it is one.
    pub(super) fn unnamed() -> Self {
        Self {
            name: ByteString::new(),
            message: None,
        }
    }
}

/// The place of a message in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub stream_id: ByteString,
    /// The number of the fragment, from 1.
    pub stream_sequence_id: u64,
    /// Whether this is the last fragment.
    pub end_of_stream: bool,
    /// The reason, if the stream ended early.
    pub error: Option<StreamError>,
}

/// Why a stream ended early, as its receivers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// `IdleTimeout`, `InternalServerError`, `Forbidden`, `Cancelled` or `UserError`.
    pub name: ByteString,
    /// A description for people.
    pub message: Option<ByteString>,
    /// The code that the publisher defined; only with `UserError`.
    pub user_error_code: Option<ByteString>,
}

/// The state of one member of a group.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupStateItem {
    /// The member.
    pub connection_id: ByteString,
    /// Its user, when it has one.
    pub user_id: Option<ByteString>,
    /// Its state; `None` means that it was cleared.
    pub state: Option<Vec<(String, String)>>,
    /// When it changed, in milliseconds of UNIX time; strictly increasing per connection.
    pub updated_at: i64,
}
