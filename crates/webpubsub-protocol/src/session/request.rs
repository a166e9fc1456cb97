//! What an application asks a session to do.

use std::fmt;
use std::time::Duration;

use bytestring::ByteString;

use super::event::Loss;
use crate::frame::{AckId, FrameError, StreamEndError};
use crate::metadata::Metadata;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;

/// Names a request that was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the service shall answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// Yes, under the session's next id.
    #[default]
    Auto,
    /// Yes, under this id. The service executes an id once per connection: use it to try again
    /// without the risk of doing it twice.
    Id(AckId),
    /// No: fire and forget. The request is settled when it is written; failures go unnoticed.
    Forget,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Join a group; joined again on new connections.
    JoinGroup {
        /// The group.
        group: GroupName,
        /// `Forget` counts as `Auto`.
        acknowledge: Acknowledge,
    },
    /// Leave a group.
    LeaveGroup {
        /// The group.
        group: GroupName,
        /// `Forget` counts as `Auto`.
        acknowledge: Acknowledge,
    },
    /// Publish to a group.
    SendToGroup {
        /// The group.
        group: GroupName,
        /// The message.
        payload: Payload,
        /// Do not send it back to this connection.
        no_echo: bool,
        /// Drop it when it is undelivered after this many seconds; 0 = never, at most 300.
        ttl_seconds: u32,
        /// Entries that travel with it.
        metadata: Metadata,
        /// Whether to wait for an answer.
        acknowledge: Acknowledge,
    },
    /// Raise a user event.
    SendEvent {
        /// The event.
        event: EventName,
        /// Its data.
        payload: Payload,
        /// Entries that travel with it.
        metadata: Metadata,
        /// Whether to wait for an answer.
        acknowledge: Acknowledge,
    },
    /// Raise a user event and wait for the handler's answer.
    Invoke {
        /// The event.
        event: EventName,
        /// Its data.
        payload: Option<Payload>,
        /// Entries that travel with it.
        metadata: Metadata,
        /// Own id; `None` takes the session's next one.
        invocation_id: Option<ByteString>,
    },
    /// Replace this connection's state in a group; `None` clears it. Set again on new connections.
    SetGroupState {
        /// The group.
        group: GroupName,
        /// The whole new state.
        state: Option<Vec<(String, String)>>,
        /// `Forget` counts as `Auto`.
        acknowledge: Acknowledge,
    },
    /// Receive the states of a group's members; subscribed again on new connections.
    SubscribeGroupState {
        /// The group.
        group: GroupName,
        /// `Forget` counts as `Auto`.
        acknowledge: Acknowledge,
    },
    /// Stop receiving them.
    UnsubscribeGroupState {
        /// The group.
        group: GroupName,
        /// `Forget` counts as `Auto`.
        acknowledge: Acknowledge,
    },
    /// Open a stream to a group; settled when the service accepted it.
    OpenStream {
        /// The group.
        group: GroupName,
        /// Own id, unique among the open streams; `None` makes one, see
        /// [`Session::stream_of`](super::Session::stream_of).
        stream_id: Option<ByteString>,
        /// Do not send the stream back to this connection.
        no_echo: bool,
        /// The service closes the stream after this long without data or keep-alive; its own default is
        /// 5 minutes. Whole milliseconds, not zero.
        idle_timeout: Option<Duration>,
    },
    /// Write a fragment; settled when it was written to the socket.
    WriteStream {
        /// The stream.
        stream_id: ByteString,
        /// The fragment.
        payload: Payload,
    },
    /// End a stream; settled when the service closed it.
    EndStream {
        /// The stream.
        stream_id: ByteString,
        /// Tells the receivers why it ends early.
        error: Option<StreamEndError>,
    },
    /// Keep an idle stream alive; settled when it was written.
    KeepStreamAlive {
        /// The stream.
        stream_id: ByteString,
    },
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The service did it. (Requests that are not acknowledged: it was written.)
    Accepted {
        /// The id under which it was done, if it had one.
        ack_id: Option<AckId>,
    },
    /// The service had done it before, under the same id: a success.
    Duplicate {
        /// The id.
        ack_id: AckId,
    },
    /// The service refused it, and trying again will not help.
    Rejected {
        /// The id, for requests that are acknowledged.
        ack_id: Option<AckId>,
        /// Why.
        error: FrameError,
    },
    /// The connection was lost for good while it waited for its answer. The service may or may not
    /// have done it.
    Lost(Loss),
    /// It was withdrawn before it was written.
    Cancelled,
    /// The application does not read its events, so the connection is paused and answers cannot
    /// arrive. The service may or may not have done it.
    Stalled,
}

/// Why a request was not taken. It changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The session is not started, or has stopped.
    #[error("the client is not started")]
    NotStarted,
    /// As much waits to be written as may wait: try again after the next
    /// [`poll_transmit`](super::Session::poll_transmit).
    #[error("too many requests wait to be sent")]
    Full,
    /// The application does not read its events, so no answer could arrive.
    #[error("the client is paused because a consumer does not read its events")]
    Stalled,
    /// The frame would be larger than the service accepts.
    #[error("the message takes {bytes} bytes on the wire, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Another request with this ack id waits for its answer.
    #[error("the ack id {0} is in use")]
    AckIdInUse(AckId),
    /// Another invocation with this id waits for its answer.
    #[error("the invocation id is in use")]
    InvocationIdInUse,
    /// A stream with this id is open.
    #[error("a stream with this id is open")]
    StreamIdInUse,
    /// No such stream is open, or it is being ended.
    #[error("the stream is not open")]
    StreamNotOpen,
    /// A value is out of its range.
    #[error("{0}")]
    Invalid(&'static str),
}
