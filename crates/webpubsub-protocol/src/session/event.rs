//! What goes into a session and what comes out of it.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytestring::ByteString;

use super::group_state::StateChange;
use super::inbound_stream::{Fragment, StreamEnd, StreamKey, SubscriptionId};
use super::protocol::WireFrame;
use super::request::{Outcome, RequestId};
use crate::frame::{DecodeError, FrameError, Message};
use crate::metadata::Metadata;
use crate::name::GroupName;
use crate::payload::Payload;

/// A moment, read from both clocks. The monotonic clock drives all deadlines. The wall clock is compared
/// with it to notice that the machine slept, because some systems stop the monotonic clock meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Instant,
    /// The wall clock.
    pub wall: SystemTime,
}

impl Now {
    /// The moment when so much time has passed; `None` when the clock ends before: never.
    pub(super) fn after(self, time: Duration) -> Option<Instant> {
        self.mono.checked_add(time)
    }
}

/// The number of a dial. Everything that a transport reports carries the number of its dial, so a late
/// report of an abandoned socket changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(pub u64);

/// An instruction to the owner of the transports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the session relies on it being done"]
pub enum Action {
    /// Open a WebSocket, then report [`Input::Opened`] or [`Input::DialFailed`]. Earlier sockets are no
    /// longer needed.
    Dial {
        /// The number to report it with.
        attempt: Attempt,
        /// If `None`, ask the credential for a URL. If `Some`, use the URL with which the connection was
        /// first opened, and add these query parameters.
        recover: Option<Recovery>,
    },
    /// Close the socket of this attempt, or abandon its dial. You need not report the result.
    Hangup {
        /// The attempt to end.
        attempt: Attempt,
        /// If `Some`, send a close frame with this code after the frames that were written. If `None`,
        /// drop the socket without one, so that the service keeps the connection for its recovery.
        close_code: Option<u16>,
    },
}

/// The query parameters that recover a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The value of `awps_connection_id`.
    pub connection_id: ByteString,
    /// The value of `awps_reconnection_token`. It is a secret.
    pub reconnection_token: ByteString,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("connection_id", &self.connection_id)
            .field("reconnection_token", &"[redacted]")
            .finish()
    }
}

/// A report of a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The WebSocket is open and speaks the protocol.
    Opened,
    /// The WebSocket could not be opened.
    DialFailed(DialFailure),
    /// A message arrived.
    Frame(WireFrame),
    /// The WebSocket is gone.
    Closed(Closure),
}

/// Why a WebSocket could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialFailure {
    /// The service, or a proxy or gateway in front of it, answered the upgrade request with an HTTP error.
    #[error("the service refused the connection with HTTP status {status}{}", detail(.body))]
    Refused {
        /// The status.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<Duration>,
        /// The body of the response, shortened; empty if it has none.
        body: String,
    },
    /// The upgrade succeeded, but the service did not agree to the subprotocol that was offered.
    #[error("the service does not speak the subprotocol {0}")]
    Subprotocol(String),
    /// The credential failed, or its URL cannot be used.
    #[error("the credential failed: {0}")]
    Credential(String),
    /// The configuration of this program cannot work, for example its proxy or its TLS settings.
    #[error("{0}")]
    Configuration(String),
    /// The network failed: name resolution, TCP or TLS.
    #[error("the network failed: {0}")]
    Network(String),
    /// The dial took too long.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The socket was closed before the service sent its first frame.
    #[error("the connection closed at once: {0}")]
    ClosedAtOnce(Closure),
}

fn detail(body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!(": {body}")
    }
}

/// How a WebSocket ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closure {
    /// The close code of the peer; `None` if it sent no close frame, or one without a code.
    pub code: Option<u16>,
    /// The reason that the peer gave; often empty.
    pub reason: String,
    /// The error of the transport, if that is what ended it.
    pub error: Option<String>,
    /// Set if the socket ended because the peer sent a message that is too large for the transport: the
    /// limit of the transport, in bytes. Such a connection is not recovered, because the service would
    /// send the same message again.
    pub too_large: Option<usize>,
}

impl fmt::Display for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, &self.error) {
            (Some(code), _) if self.reason.is_empty() => write!(f, "close code {code}"),
            (Some(code), _) => write!(f, "close code {code}, {}", self.reason),
            (None, Some(error)) => f.write_str(error),
            (None, None) => f.write_str("without a close code"),
        }
    }
}

/// Why a connection was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// Its socket closed.
    #[error("the socket closed: {0}")]
    Closed(Closure),
    /// Nothing arrived on its socket for longer than the keep-alive time-out, or a probe was not answered.
    #[error("the socket was silent for {0:?}")]
    Silent(Duration),
    /// The service refused the recovery with close code 1008.
    #[error("the service refused the recovery: {0}")]
    RecoveryRefused(Closure),
    /// The connection could not be recovered in time.
    #[error("it was not recovered within {0:?}")]
    RecoveryExpired(Duration),
    /// The service sent a message that is too large for the client. After a recovery it would send the
    /// message again, so a new connection is opened instead, and the message is not received.
    #[error("the service sent a message that is larger than {limit} bytes")]
    MessageTooLarge {
        /// The limit of the client, in bytes.
        limit: usize,
    },
    /// The service gave a message a sequence id so high that none is left for the following messages.
    #[error("the service gave a message the sequence id {0}")]
    InvalidSequenceId(u64),
    /// The recovery led to another connection.
    #[error("the service opened a new connection instead of recovering it")]
    Replaced,
    /// The application stopped the client.
    #[error("the client was stopped")]
    Stopped,
}

/// Why a session stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The application stopped the client.
    #[error("the client was stopped")]
    Requested,
    /// The connection was lost, and automatic reconnecting is turned off.
    #[error("the connection was lost and reconnecting is switched off: {0}")]
    Lost(Loss),
    /// A dial failed for a reason that another attempt would not change, or the very first dial failed.
    #[error("{0}")]
    Refused(DialFailure),
    /// All permitted attempts failed.
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted {
        /// The number of attempts.
        attempts: u32,
        /// The last failure.
        last: DialFailure,
    },
}

/// Something that the application should know about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new connection is being opened.
    Connecting {
        /// The number of this attempt since the last connection, from 1.
        attempt: u32,
    },
    /// A new connection is open. Reported once per connection id.
    Connected {
        /// The id that the service assigned to it.
        connection_id: ByteString,
        /// The user of the connection, if it has one.
        user_id: Option<ByteString>,
    },
    /// The socket was lost and the connection is being recovered. The service keeps the connection and
    /// the messages for it; requests wait.
    Recovering {
        /// The reason.
        cause: Loss,
    },
    /// The connection was recovered on a new socket. Nothing was lost.
    Recovered {
        /// The number of messages that the service replayed.
        replayed: u64,
    },
    /// The connection is over. Messages that are sent before the next [`Connected`](Self::Connected) are
    /// not received.
    Disconnected {
        /// The connection that is over.
        connection_id: ByteString,
        /// The reason.
        cause: Loss,
        /// The reason that the service gave, if it ended the connection on purpose.
        message: Option<String>,
    },
    /// The session has stopped, and does nothing until it is started again. Always the last event.
    Stopped {
        /// The reason.
        reason: StopReason,
    },
    /// A group that the client was in could not be joined again on the new connection.
    RejoinFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// The client's own state in a group, or its subscription to the states of the group, could not be
    /// restored on the new connection.
    StateRestoreFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// A message to a group or from the server. Fragments of streams are reported as messages, too.
    Message(Message),
    /// The states of a group's members changed.
    GroupState {
        /// The group.
        group: GroupName,
        /// What changed.
        changes: Vec<StateChange>,
    },
    /// A request was settled. Each request is settled exactly once.
    Settled {
        /// The request.
        request: RequestId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The service answered an invocation.
    Answered {
        /// The request.
        request: RequestId,
        /// The payload of the answer, if it has one.
        payload: Option<Payload>,
        /// The metadata of the answer.
        metadata: Metadata,
    },
    /// An outbound stream failed, or the service ended it early.
    StreamFailed {
        /// The request that opened it.
        stream: RequestId,
        /// Its id.
        stream_id: ByteString,
        /// The reason.
        error: FrameError,
    },
    /// A new stream appeared for a subscription.
    StreamOpened {
        /// The subscription.
        subscription: SubscriptionId,
        /// The key of the stream in the events that follow.
        stream: StreamKey,
        /// The group.
        group: GroupName,
        /// The publisher's id for it.
        stream_id: ByteString,
    },
    /// A fragment of an inbound stream.
    StreamFragment {
        /// The stream.
        stream: StreamKey,
        /// The fragment.
        fragment: Fragment,
    },
    /// An inbound stream is over.
    StreamEnded {
        /// The stream.
        stream: StreamKey,
        /// How it ended.
        end: StreamEnd,
    },
    /// A frame of the service was skipped. Meant for logs.
    Ignored(Ignored),
}

/// Why a frame of the service was skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// It cannot be decoded, or is of a kind that this version does not know.
    #[error("a frame was skipped: {0}")]
    Undecodable(DecodeError),
    /// It arrived before `connected`, with which every connection begins.
    #[error("a frame came before the connection was confirmed")]
    BeforeConnected,
    /// It had arrived before the recovery already.
    #[error("message {0} arrived twice")]
    Duplicate(u64),
    /// It acknowledges a request that nobody waits for.
    #[error("an acknowledgement for the unknown id {0}")]
    UnknownAck(u64),
    /// It answers an invocation that nobody waits for.
    #[error("an answer to an unknown invocation")]
    UnknownInvocation,
    /// It concerns an outbound stream that does not exist.
    #[error("a control frame for an unknown stream")]
    UnknownStream,
    /// It contains the states of a group that is not subscribed to.
    #[error("states of a group without a subscription")]
    UnknownGroupState,
    /// It is a `connected` with another id, on a connection that is already open.
    #[error("the service confirmed another connection on an open socket")]
    AnotherConnection,
    /// The states of a group have reached their limit in memory, so the state of another member is not
    /// kept.
    #[error("a group has too many states")]
    TooManyStates,
    /// It is a fragment of a stream whose id is too long.
    #[error("a fragment of a stream with an overlong id")]
    StreamIdTooLong,
    /// It is a fragment of a new stream, and the subscription already shows as many as it can.
    #[error("a fragment of one inbound stream too many")]
    TooManyStreams,
}
