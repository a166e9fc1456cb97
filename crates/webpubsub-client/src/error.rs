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
    /// It is running already.
    #[error("the client is running already")]
    AlreadyStarted,
    /// It was started outside of a tokio runtime. The client lives in a task of the runtime that starts it.
    #[error("a client can only be started on a tokio runtime")]
    NoRuntime,
    /// It stopped before there was a connection.
    #[error("no connection to the service")]
    Stopped(#[source] StopReason),
}

/// There is no connection.
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
    /// More than can be decoded was asked for.
    #[error("messages of {bytes} bytes cannot be received, the most is {limit}")]
    ReceiveLimit {
        /// What was asked for.
        bytes: usize,
        /// The most that is possible.
        limit: usize,
    },
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The service refused it, and trying again will not help. It did nothing.
    #[error("the service refused the request: {}{}", error.name, text(error))]
    Rejected {
        /// Name and text of the service.
        error: FrameError,
        /// The id of the request, if it had one.
        ack_id: Option<AckId>,
    },
    /// The connection was lost for good before the answer came. The service may or may not have done it.
    #[error("the connection was lost before the service answered")]
    Lost(#[source] Loss),
    /// A consumer of events does not read them, so the connection is paused and no answer can arrive. The service may
    /// or may not have done it. Read the events in a task of their own, or choose another
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
        /// Its size in the frame.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Another request with this ack id waits for its answer.
    #[error("another request with the ack id {0} waits for its answer")]
    AckIdInUse(AckId),
    /// Another invocation with this id waits for its answer.
    #[error("another invocation with this id waits for its answer")]
    InvocationIdInUse,
    /// A stream with this id is open already.
    #[error("a stream with this id is open already")]
    StreamIdInUse,
    /// The stream is over.
    #[error("the stream is over")]
    StreamOver,
    /// It took longer than the time-out that was set. A request that was written may have been done.
    #[error("no answer within the time-out")]
    TimedOut,
    /// A request with a time-out was awaited outside of a tokio runtime, which measures it.
    #[error("a request with a time-out needs a tokio runtime")]
    NoRuntime,
    /// The service answered, but the answer cannot be read. The service may or may not have done it.
    #[error("the answer of the service cannot be read")]
    UnreadableAnswer(#[source] DecodeError),
    /// The name of a group or an event breaks the service's rules.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// A metadata entry breaks the service's rules.
    #[error(transparent)]
    InvalidMetadata(#[from] InvalidMetadata),
    /// A value is out of its range.
    #[error("{0}")]
    InvalidValue(&'static str),
    /// The payload cannot be written.
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
    /// The service's name for the failure, such as `Forbidden`; `None` when it did not refuse.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Rejected { error, .. } => Some(&error.name),
            _ => None,
        }
    }

    /// Whether the service may have done it although there is no answer. Sending it again may do it twice, unless the
    /// connection and the ack id are the same.
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

/// States can be read only of groups that are subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the states of this group are not subscribed to")]
pub struct NotSubscribed;
