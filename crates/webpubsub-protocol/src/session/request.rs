//! What an application asks a session to do.

use std::fmt;
use std::time::Duration;

use bytestring::ByteString;

use super::event::Loss;
use crate::frame::{
    AckId, ClientFrame, DecodeError, FrameError, Invocation, StreamEndError, StreamStart,
};
use crate::limits;
use crate::metadata::Metadata;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;

/// Identifies a request that was submitted, and the stream that it opened, if it opened one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the service should acknowledge a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// Yes, under the next ack id of the session.
    #[default]
    Auto,
    /// Yes, under this ack id. The service carries out each id only once per connection, so the same request
    /// can be sent again without the risk of doing it twice.
    Id(AckId),
    /// No: fire and forget. The request is settled when it is written, and failures go unnoticed.
    Forget,
}

/// A request to the service. There is a constructor for each kind of request, and a setter for each option.
///
/// An option that a kind of request does not have is ignored.
///
/// ```
/// use webpubsub_protocol::frame::AckId;
/// use webpubsub_protocol::name::GroupName;
/// use webpubsub_protocol::payload::Payload;
/// use webpubsub_protocol::session::{Acknowledge, Request};
///
/// let hello = Request::send_to_group(GroupName::new("room")?, Payload::text("hello"))
///     .no_echo()
///     .acknowledge(Acknowledge::Id(AckId(7)));
/// # let _ = hello;
/// # Ok::<(), webpubsub_protocol::name::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it does nothing until it is submitted"]
pub struct Request(pub(super) Form);

/// A request as close to its frame as it can be before the session numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The frame as it is sent, still without an ack id.
    Acknowledged {
        frame: ClientFrame,
        acknowledge: Acknowledge,
    },
    Invoke {
        invocation_id: Option<ByteString>,
        call: Invocation,
    },
    OpenStream {
        stream_id: Option<ByteString>,
        start: StreamStart,
    },
    WriteStream {
        stream: RequestId,
        payload: Payload,
    },
    EndStream {
        stream: RequestId,
        error: Option<StreamEndError>,
    },
    KeepStreamAlive {
        stream: RequestId,
    },
}

impl Request {
    /// Joins a group. New connections join it again.
    pub fn join_group(group: GroupName) -> Self {
        let ack_id = None;
        Self::acknowledged(ClientFrame::JoinGroup { group, ack_id })
    }

    /// Leaves a group.
    pub fn leave_group(group: GroupName) -> Self {
        let ack_id = None;
        Self::acknowledged(ClientFrame::LeaveGroup { group, ack_id })
    }

    /// Publishes a message to a group.
    pub fn send_to_group(group: GroupName, payload: Payload) -> Self {
        Self::acknowledged(ClientFrame::SendToGroup {
            group,
            ack_id: None,
            no_echo: false,
            ttl_seconds: 0,
            metadata: Metadata::default(),
            payload,
        })
    }

    /// Sends a user event to the server.
    pub fn send_event(event: EventName, payload: Payload) -> Self {
        Self::acknowledged(ClientFrame::Event {
            event,
            ack_id: None,
            metadata: Metadata::default(),
            payload,
        })
    }

    /// Replaces this connection's state in a group; `None` clears it. New connections set it again.
    pub fn set_group_state(group: GroupName, state: Option<Vec<(String, String)>>) -> Self {
        Self::acknowledged(ClientFrame::SetGroupState {
            group,
            ack_id: None,
            state,
        })
    }

    /// Subscribes to the states of a group's members. New connections subscribe again.
    pub fn subscribe_group_state(group: GroupName) -> Self {
        let ack_id = None;
        Self::acknowledged(ClientFrame::SubscribeGroupState { group, ack_id })
    }

    /// Ends the subscription to the states of a group's members.
    pub fn unsubscribe_group_state(group: GroupName) -> Self {
        let ack_id = None;
        Self::acknowledged(ClientFrame::UnsubscribeGroupState { group, ack_id })
    }

    /// Sends a user event and waits for the answer of its handler.
    pub fn invoke(event: EventName, payload: Option<Payload>) -> Self {
        let call = Invocation {
            event,
            metadata: Metadata::default(),
            payload,
        };
        Self(Form::Invoke {
            invocation_id: None,
            call,
        })
    }

    /// Opens a stream to a group; settled when the service has accepted it. From then on, the id of this
    /// request identifies the stream.
    pub fn open_stream(group: GroupName) -> Self {
        let start = StreamStart {
            group,
            no_echo: false,
            idle_timeout: None,
        };
        Self(Form::OpenStream {
            stream_id: None,
            start,
        })
    }

    /// Writes a fragment to the stream that `stream` opened; settled when the fragment was written to the
    /// socket.
    pub const fn write_stream(stream: RequestId, payload: Payload) -> Self {
        Self(Form::WriteStream { stream, payload })
    }

    /// Ends the stream that `stream` opened, with the reason if it ends early; settled when the service
    /// has closed the stream.
    pub const fn end_stream(stream: RequestId, error: Option<StreamEndError>) -> Self {
        Self(Form::EndStream { stream, error })
    }

    /// Keeps the stream that `stream` opened alive; settled when it was written to the socket.
    pub const fn keep_stream_alive(stream: RequestId) -> Self {
        Self(Form::KeepStreamAlive { stream })
    }

    const fn acknowledged(frame: ClientFrame) -> Self {
        Self(Form::Acknowledged {
            frame,
            acknowledge: Acknowledge::Auto,
        })
    }

    /// Sets whether the service should answer, and under which ack id. Default: [`Acknowledge::Auto`].
    ///
    /// Only messages and events can be fire and forget. The other requests change what the session knows
    /// about groups, so for them [`Acknowledge::Forget`] has the effect of `Auto`.
    pub fn acknowledge(mut self, how: Acknowledge) -> Self {
        if let Form::Acknowledged { frame, acknowledge } = &mut self.0 {
            let can_forget = matches!(
                frame,
                ClientFrame::SendToGroup { .. } | ClientFrame::Event { .. }
            );
            *acknowledge = match how {
                Acknowledge::Forget if !can_forget => Acknowledge::Auto,
                how => how,
            };
        }
        self
    }

    /// Does not send a message, or a stream, back to this connection.
    pub fn no_echo(mut self) -> Self {
        match &mut self.0 {
            Form::Acknowledged {
                frame: ClientFrame::SendToGroup { no_echo, .. },
                ..
            }
            | Form::OpenStream {
                start: StreamStart { no_echo, .. },
                ..
            } => *no_echo = true,
            _ => {}
        }
        self
    }

    /// Drops a message to a group that has not been delivered after this many seconds, at most 300. 0,
    /// the default, means never.
    pub fn ttl_seconds(mut self, seconds: u32) -> Self {
        if let Form::Acknowledged {
            frame: ClientFrame::SendToGroup { ttl_seconds, .. },
            ..
        } = &mut self.0
        {
            *ttl_seconds = seconds;
        }
        self
    }

    /// Sets the metadata of a message, an event or an invocation.
    pub fn metadata(mut self, entries: Metadata) -> Self {
        match &mut self.0 {
            Form::Acknowledged {
                frame:
                    ClientFrame::SendToGroup { metadata, .. } | ClientFrame::Event { metadata, .. },
                ..
            }
            | Form::Invoke {
                call: Invocation { metadata, .. },
                ..
            } => *metadata = entries,
            _ => {}
        }
        self
    }

    /// Sets the id of an invocation, which must be unique among the invocations that wait for an answer.
    /// Default: the session counts.
    pub fn invocation_id(mut self, id: impl Into<ByteString>) -> Self {
        if let Form::Invoke { invocation_id, .. } = &mut self.0 {
            *invocation_id = Some(id.into());
        }
        self
    }

    /// Sets the id of a stream, which must be unique among the open streams. Default: a random UUID, see
    /// [`Session::stream_id`](super::Session::stream_id).
    pub fn stream_id(mut self, id: impl Into<ByteString>) -> Self {
        if let Form::OpenStream { stream_id, .. } = &mut self.0 {
            *stream_id = Some(id.into());
        }
        self
    }

    /// Sets how long a stream may go without a fragment or a keep-alive before the service closes it:
    /// whole milliseconds, not zero. Default: that of the service, 5 minutes.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        if let Form::OpenStream { start, .. } = &mut self.0 {
            start.idle_timeout = Some(timeout);
        }
        self
    }

    /// What is wrong with it, as far as that costs nothing to find out.
    pub(super) fn validate(&self) -> Result<(), SubmitError> {
        let problem = match &self.0 {
            Form::Acknowledged {
                frame: ClientFrame::SendToGroup { ttl_seconds, .. },
                ..
            } if *ttl_seconds > limits::MESSAGE_TTL_SECONDS => {
                "the time to live must be 0 to 300 seconds"
            }
            Form::Invoke {
                invocation_id: Some(id),
                ..
            } if id.is_empty() => "an invocation id must not be empty",
            Form::OpenStream {
                stream_id: Some(id),
                ..
            } if id.is_empty() => "a stream id must not be empty",
            Form::OpenStream {
                start:
                    StreamStart {
                        idle_timeout: Some(timeout),
                        ..
                    },
                ..
            } if timeout.as_millis() == 0 => "the idle time-out of a stream must be at least 1 ms",
            _ => return Ok(()),
        };
        Err(SubmitError::Invalid(problem))
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The service carried it out. (If the request is not acknowledged: it was written.)
    Accepted {
        /// The ack id of the request, if it had one.
        ack_id: Option<AckId>,
    },
    /// The service had already carried it out under the same id, which counts as a success.
    Duplicate {
        /// The id.
        ack_id: AckId,
    },
    /// The service refused it, and another attempt would not help.
    Rejected {
        /// The ack id of the request, if it had one.
        ack_id: Option<AckId>,
        /// The reason.
        error: FrameError,
    },
    /// The connection was lost for good before the answer arrived. The service may or may not have carried
    /// the request out.
    Lost(Loss),
    /// The caller cancelled it, see [`Session::cancel`](super::Session::cancel).
    Cancelled,
    /// The application does not read its events, so the connection is paused and no answer can arrive. The
    /// service may or may not have carried the request out.
    Stalled,
    /// The service did not answer the start of a stream within
    /// [`stream_start_timeout`](super::SessionConfig::stream_start_timeout).
    TimedOut,
    /// The service answered, but the answer cannot be decoded. The service may or may not have carried the
    /// request out.
    Unreadable(DecodeError),
}

/// Why a request was not accepted. The session has not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The session is not started, or has stopped.
    #[error("the client is not started")]
    NotStarted,
    /// The limit of requests that wait to be written, or to be answered, is reached. Try again when
    /// [`room_freed`](super::Session::room_freed) has changed.
    #[error("too many requests wait to be sent")]
    Full,
    /// The application does not read its events, so no answer could arrive, and none that would make room.
    #[error("the client is paused because a consumer does not read its events")]
    Stalled,
    /// The frame would be larger than the service accepts.
    #[error("the message takes {bytes} bytes on the wire, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
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
    /// The stream is not open, or is being ended.
    #[error("the stream is not open")]
    StreamNotOpen,
    /// A value is out of range.
    #[error("{0}")]
    Invalid(&'static str),
}
