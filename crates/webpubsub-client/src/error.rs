//! Why something failed.

use webpubsub_protocol::frame::{AckId, DecodeError, FrameError};
use webpubsub_protocol::metadata::InvalidMetadata;
use webpubsub_protocol::name::InvalidName;
use webpubsub_protocol::payload::PayloadError;
use webpubsub_protocol::session::{Loss, Outcome, StopReason, SubmitError};

/// The client could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The client is already running.
    #[error("the client is running already")]
    AlreadyStarted,
    /// The client was started outside a tokio runtime. It runs in a task of the runtime that starts it.
    #[error("a client can only be started on a tokio runtime")]
    NoRuntime,
    /// The client stopped before it was connected.
    #[error("no connection to the service")]
    Stopped(#[source] StopReason),
}

/// A client could not be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The client could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A client cannot be made with these settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// This crate was built without its feature `websocket`, and no [`connector`](crate::WebPubSubClientBuilder::connector)
    /// was set.
    #[error("no connector is set, and the feature `websocket` of webpubsub-client is not enabled")]
    NoConnector,
    /// The limit for messages of the service is larger than what can be decoded.
    #[error("messages of {bytes} bytes cannot be received, the most is {limit}")]
    ReceiveLimit {
        /// The requested limit, in bytes.
        bytes: usize,
        /// The largest possible limit, in bytes.
        limit: usize,
    },
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The service refused the request and did nothing. Another attempt would not help.
    #[error("the service refused the request: {}{}", error.name, text(error))]
    Rejected {
        /// The name and the description of the error, as the service sent them.
        error: FrameError,
        /// The ack id of the request, if it had one.
        ack_id: Option<AckId>,
    },
    /// The connection was lost for good before the answer arrived. The service may or may not have carried the request out.
    #[error("the connection was lost before the service answered")]
    Lost(#[source] Loss),
    /// A consumer does not read its events, so the connection is paused and no answer can arrive. The service may or may
    /// not have carried the request out. Read the events in a task of their own, or choose another
    /// [`Overflow`](crate::Overflow).
    #[error(
        "the connection is paused because a consumer of events does not keep up, so no answer can arrive"
    )]
    Stalled,
    /// The client is not started, or was stopped.
    #[error("the client is not started")]
    NotStarted,
    /// The message is larger than the service accepts.
    #[error("the message takes {bytes} bytes on the wire, but the service accepts {limit}")]
    TooLarge {
        /// The size of the frame, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Another request with this ack id is waiting for its answer.
    #[error("another request with the ack id {0} waits for its answer")]
    AckIdInUse(AckId),
    /// Another invocation with this id is waiting for its answer.
    #[error("another invocation with this id waits for its answer")]
    InvocationIdInUse,
    /// A stream with this id is open already.
    #[error("a stream with this id is open already")]
    StreamIdInUse,
    /// The stream is over.
    #[error("the stream is over")]
    StreamOver,
    /// The request did not complete within its time-out. If it was written, the service may have carried it out.
    #[error("no answer within the time-out")]
    TimedOut,
    /// A request with a time-out was awaited outside a tokio runtime, which is needed to measure it.
    #[error("a request with a time-out needs a tokio runtime")]
    NoRuntime,
    /// The service answered, but the answer cannot be decoded. The service may or may not have carried the request out.
    #[error("the answer of the service cannot be read")]
    UnreadableAnswer(#[source] DecodeError),
    /// The name of a group or an event breaks the service's rules.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// A metadata entry breaks the service's rules.
    #[error(transparent)]
    InvalidMetadata(#[from] InvalidMetadata),
    /// A value is out of range.
    #[error("{0}")]
    InvalidValue(&'static str),
    /// The payload cannot be encoded.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

fn text(error: &FrameError) -> String {
    match &error.message {
        Some(message) => format!(" ({message})"),
        None => String::new(),
    }
}

impl SendError {
    /// The name that the service gave the error, such as `Forbidden`; `None` if the service did not refuse the request.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Rejected { error, .. } => Some(&error.name),
            _ => None,
        }
    }

    /// Whether the service may have carried out the request although no answer arrived. Sending it again may then do it
    /// twice, unless the connection and the ack id are the same.
    #[must_use]
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Stalled | Self::TimedOut)
    }

    /// Any outcome but a success.
    pub(crate) fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Rejected { error, ack_id } => Self::Rejected { error, ack_id },
            Outcome::Lost(loss) => Self::Lost(loss),
            Outcome::Stalled => Self::Stalled,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Unreadable(error) => Self::UnreadableAnswer(error),
            _ => Self::NotStarted,
        }
    }

    pub(crate) fn of(error: SubmitError) -> Self {
        match error {
            SubmitError::NotStarted => Self::NotStarted,
            SubmitError::Stalled => Self::Stalled,
            SubmitError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            SubmitError::AckIdInUse(id) => Self::AckIdInUse(id),
            SubmitError::InvocationIdInUse => Self::InvocationIdInUse,
            SubmitError::StreamIdInUse => Self::StreamIdInUse,
            SubmitError::StreamNotOpen => Self::StreamOver,
            SubmitError::Invalid(what) => Self::InvalidValue(what),
            // `Full` is waited for, and the enum may grow.
            _ => Self::InvalidValue("the session refused the request"),
        }
    }
}

/// The states of a group were read without a subscription to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the states of this group are not subscribed to")]
pub struct NotSubscribed;
