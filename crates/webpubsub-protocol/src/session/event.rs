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

/// One moment. The monotonic clock drives all deadlines; the wall clock is compared with it to
/// notice that the machine slept, which the monotonic clock of some systems does not count.
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

/// Numbers the dials of a session. Everything that a transport reports carries the number of its
/// dial, so what an abandoned socket still reports changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(pub u64);

/// What the session wants done with transports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the session relies on it being done"]
pub enum Action {
    /// Open a WebSocket, then report [`Input::Opened`] or [`Input::DialFailed`]. An earlier one is
    /// not needed any more.
    Dial {
        /// To report it with.
        attempt: Attempt,
        /// `None`: ask the credential for a URL. `Some`: use the URL of the connection's first
        /// dial, with these query parameters added.
        recover: Option<Recovery>,
    },
    /// Close the socket of this attempt, or give its dial up. Nothing needs to be reported.
    Hangup {
        /// The attempt to end.
        attempt: Attempt,
        /// Send a close frame with this code, after what was written. `None`: drop the socket without
        /// one, so that the service keeps the connection for its recovery.
        close_code: Option<u16>,
    },
}

/// What recovers a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Goes into the query parameter `awps_connection_id`.
    pub connection_id: ByteString,
    /// Goes into the query parameter `awps_reconnection_token`. A secret.
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

/// What a transport reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The WebSocket is open and speaks the protocol.
    Opened,
    /// There is no WebSocket.
    DialFailed(DialFailure),
    /// A message arrived.
    Frame(WireFrame),
    /// The WebSocket is gone.
    Closed(Closure),
}

/// Why there is no WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialFailure {
    /// The service, or something before it, answered the upgrade with this HTTP status.
    #[error("the service refused the connection with HTTP status {status}{}", detail(.body))]
    Refused {
        /// The status.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<Duration>,
        /// What the answer's body says, shortened. Empty when it says nothing.
        body: String,
    },
    /// The upgrade went well, but not for the subprotocol that was offered.
    #[error("the service does not speak the subprotocol {0}")]
    Subprotocol(String),
    /// The credential gave no URL, or one that cannot be used.
    #[error("the credential failed: {0}")]
    Credential(String),
    /// This program is set up in a way that cannot work: a proxy or TLS settings that cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The network failed: name resolution, TCP, TLS.
    #[error("the network failed: {0}")]
    Network(String),
    /// It took too long.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The socket closed before the service said its first word.
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
    /// The peer's close code; `None` when it sent no close frame, or one without a code.
    pub code: Option<u16>,
    /// The peer's reason; often empty.
    pub reason: String,
    /// The error of the transport, when that is what ended it.
    pub error: Option<String>,
    /// Set when it ended because the peer sent a message that is larger than the transport reads: the
    /// most that it reads, in bytes. Such a connection is not recovered, since the service would only
    /// send the message again.
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
    /// Its socket was silent for longer than the keep-alive time-out, or did not answer a probe.
    #[error("the socket was silent for {0:?}")]
    Silent(Duration),
    /// The service refused to recover it (close code 1008).
    #[error("the service refused the recovery: {0}")]
    RecoveryRefused(Closure),
    /// It could not be recovered in time.
    #[error("it was not recovered within {0:?}")]
    RecoveryExpired(Duration),
    /// The service sent a message that is larger than the client reads. Recovering the connection
    /// would bring it again, so a new one is opened, and the message is not received.
    #[error("the service sent a message that is larger than {limit} bytes")]
    MessageTooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The service numbered a message so high that no number is left for the next ones.
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
    /// The application asked for it.
    #[error("the client was stopped")]
    Requested,
    /// The connection was lost, and reconnecting is switched off.
    #[error("the connection was lost and reconnecting is switched off: {0}")]
    Lost(Loss),
    /// A dial failed in a way that trying again will not heal, or the very first one failed.
    #[error("{0}")]
    Refused(DialFailure),
    /// All tries that were allowed failed; this is the last failure.
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted {
        /// How many there were.
        attempts: u32,
        /// The last failure.
        last: DialFailure,
    },
}

/// What the application should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new connection is being opened.
    Connecting {
        /// Counts the tries since there was a connection, from 1.
        attempt: u32,
    },
    /// A new connection is open. Reported once for each connection id.
    Connected {
        /// The id that the service gave it.
        connection_id: ByteString,
        /// The user, if the connection has one.
        user_id: Option<ByteString>,
    },
    /// The socket was lost. The connection still exists at the service, which keeps what it has for
    /// us; requests wait.
    Recovering {
        /// The reason.
        cause: Loss,
    },
    /// The connection was recovered on a new socket, and nothing was lost.
    Recovered {
        /// Messages that arrived from the service's replay.
        replayed: u64,
    },
    /// The connection is over. Messages between this and the next [`Connected`](Self::Connected) are
    /// not received.
    Disconnected {
        /// The connection that is over.
        connection_id: ByteString,
        /// The reason.
        cause: Loss,
        /// What the service gave as the reason, when it ended the connection on purpose.
        message: Option<String>,
    },
    /// The session does nothing any more until it is started again. Always the last event.
    Stopped {
        /// The reason.
        reason: StopReason,
    },
    /// A group that was joined could not be joined again on the new connection.
    RejoinFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// Own state, or the subscription to states, could not be restored on the new connection.
    StateRestoreFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// A message to a group or from the server. Fragments of streams are messages, too.
    Message(Message),
    /// The states of a group's members changed.
    GroupState {
        /// The group.
        group: GroupName,
        /// What changed.
        changes: Vec<StateChange>,
    },
    /// A request was settled. Exactly once per request.
    Settled {
        /// The request.
        request: RequestId,
        /// How it went.
        outcome: Outcome,
    },
    /// The service answered an invocation.
    Answered {
        /// The request.
        request: RequestId,
        /// What the handler answered; empty is `None`.
        payload: Option<Payload>,
        /// Entries that travel with it.
        metadata: Metadata,
    },
    /// An outbound stream ended before it was asked to, or failed.
    StreamFailed {
        /// The request that opened it.
        stream: RequestId,
        /// Its id.
        stream_id: ByteString,
        /// The reason.
        error: FrameError,
    },
    /// A stream came into the view of a subscription.
    StreamOpened {
        /// The subscription.
        subscription: SubscriptionId,
        /// Names the stream in the events that follow.
        stream: StreamKey,
        /// The group.
        group: GroupName,
        /// The publisher's id for it.
        stream_id: ByteString,
    },
    /// A fragment of such a stream.
    StreamFragment {
        /// The stream.
        stream: StreamKey,
        /// The fragment.
        fragment: Fragment,
    },
    /// Such a stream is over.
    StreamEnded {
        /// The stream.
        stream: StreamKey,
        /// How it ended.
        end: StreamEnd,
    },
    /// A frame of the service was skipped. For logs.
    Ignored(Ignored),
}

/// Why a frame of the service was skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// It cannot be read, or is of a kind that this version does not know.
    #[error("a frame was skipped: {0}")]
    Undecodable(DecodeError),
    /// A new connection must begin with `connected`.
    #[error("a frame came before the connection was confirmed")]
    BeforeConnected,
    /// The replay sent something again that had arrived.
    #[error("message {0} arrived twice")]
    Duplicate(u64),
    /// Nobody waits for this acknowledgement.
    #[error("an acknowledgement for the unknown id {0}")]
    UnknownAck(u64),
    /// Nobody waits for this answer.
    #[error("an answer to an unknown invocation")]
    UnknownInvocation,
    /// There is no such outbound stream.
    #[error("a control frame for an unknown stream")]
    UnknownStream,
    /// States of a group to which there is no subscription.
    #[error("states of a group without a subscription")]
    UnknownGroupState,
    /// `connected` with another id, on a connection that is open.
    #[error("the service confirmed another connection on an open socket")]
    AnotherConnection,
    /// A group's states take up as much memory as they may, so the state of another member is not
    /// kept.
    #[error("a group has too many states")]
    TooManyStates,
    /// A fragment of a stream whose id is longer than any that is kept.
    #[error("a fragment of a stream with an overlong id")]
    StreamIdTooLong,
    /// A fragment of one stream more than a subscription shows at the same time.
    #[error("a fragment of one inbound stream too many")]
    TooManyStreams,
}
