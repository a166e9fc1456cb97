//! The events that a client reports to its application.

use bytestring::ByteString;
use webpubsub_protocol::frame::{FrameError, Message, Sender, StreamError, StreamInfo};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::{self, Loss, StateChange, StopReason};

use crate::message::{GroupMessage, ServerMessage};

/// Something that happened to a client. Events arrive in the order in which they happened.
///
/// On the reliable subprotocols no message is lost between [`Connected`](Self::Connected) and
/// [`Disconnected`](Self::Disconnected), no matter how often the socket is lost. The documentation of the crate lists all
/// guarantees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new connection is being opened.
    Connecting {
        /// The number of this attempt since the last connection, from 1.
        attempt: u32,
    },
    /// A new connection is open, and the groups are being joined again. Reported once per connection id.
    Connected {
        /// The id that the service assigned to it.
        connection_id: ByteString,
        /// The user of the connection, if it has one.
        user_id: Option<ByteString>,
    },
    /// The socket was lost, and the connection is being recovered. Requests wait until it is.
    Recovering {
        /// Why the socket was lost, with the close code and the reason.
        cause: Loss,
    },
    /// The connection was recovered. All messages that were sent to it in the meantime have arrived.
    Recovered {
        /// The number of these messages.
        replayed: u64,
    },
    /// The connection is over. Messages that are sent to its groups before the next [`Connected`](Self::Connected) do not
    /// arrive.
    Disconnected {
        /// The connection that is over.
        connection_id: ByteString,
        /// Why it is over, with the close code and the reason.
        cause: Loss,
        /// The reason that the service gave, if it ended the connection on purpose.
        message: Option<String>,
    },
    /// The client has stopped, and does nothing until it is started again.
    Stopped {
        /// The reason.
        reason: StopReason,
    },
    /// A message to a group.
    GroupMessage(GroupMessage),
    /// A message from the server.
    ServerMessage(ServerMessage),
    /// A group that the client was in could not be joined again on a new connection.
    RejoinGroupFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// The states of a group's members changed.
    GroupStateChanged {
        /// The group.
        group: GroupName,
        /// What changed.
        changes: Vec<StateChange>,
    },
    /// The client's own state in a group, or its subscription to the states of the group, could not be restored on a new
    /// connection.
    GroupStateRestoreFailed {
        /// The group.
        group: GroupName,
        /// The reason.
        error: FrameError,
    },
    /// This consumer was too slow, and its inbox dropped the oldest messages and changes of group states
    /// ([`Overflow::DropOldest`](crate::Overflow::DropOldest)). Unless its overflow is [`Close`](crate::Overflow::Close), an
    /// inbox also drops the oldest events of the connection when more than 1,000 of them, or 1 MiB, are waiting.
    Dropped {
        /// The number of dropped events since the last report.
        messages: u64,
    },
    /// This consumer was too slow, and its inbox was closed ([`Overflow::Close`](crate::Overflow::Close)). The last
    /// event of the stream.
    Overflowed,
}

impl Event {
    /// The event of a session, as far as it is for everybody.
    pub(crate) fn of(event: session::Event) -> Option<Self> {
        Some(match event {
            session::Event::Connecting { attempt } => Self::Connecting { attempt },
            session::Event::Connected {
                connection_id,
                user_id,
            } => Self::Connected {
                connection_id,
                user_id,
            },
            session::Event::Recovering { cause } => Self::Recovering { cause },
            session::Event::Recovered { replayed } => Self::Recovered { replayed },
            session::Event::Disconnected {
                connection_id,
                cause,
                message,
            } => Self::Disconnected {
                connection_id,
                cause,
                message,
            },
            session::Event::Stopped { reason } => Self::Stopped { reason },
            session::Event::RejoinFailed { group, error } => {
                Self::RejoinGroupFailed { group, error }
            }
            session::Event::StateRestoreFailed { group, error } => {
                Self::GroupStateRestoreFailed { group, error }
            }
            session::Event::GroupState { group, changes } => {
                Self::GroupStateChanged { group, changes }
            }
            session::Event::Message(message) => message.into(),
            _ => return None,
        })
    }

    /// Whether it may be dropped when a consumer is slow. What happens to the connection may not.
    pub(crate) const fn is_droppable(&self) -> bool {
        matches!(
            self,
            Self::GroupMessage(_) | Self::ServerMessage(_) | Self::GroupStateChanged { .. }
        )
    }

    /// What it costs in an inbox, in bytes: itself and what it points to, as far as its size is not fixed.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::GroupMessage(message) => {
                    let from = message.from_user_id.as_deref().map_or(0, str::len);
                    let stream = message.stream.as_deref().map_or(0, stream_bytes);
                    let text = message.group.as_str().len() + from + stream;
                    text + message.bytes().len() + metadata_bytes(&message.metadata)
                }
                Self::ServerMessage(message) => {
                    message.bytes().len() + metadata_bytes(&message.metadata)
                }
                Self::GroupStateChanged { group, changes } => {
                    group.as_str().len() + changes.iter().map(change_bytes).sum::<usize>()
                }
                Self::RejoinGroupFailed { group, error }
                | Self::GroupStateRestoreFailed { group, error } => {
                    let text = error.message.as_deref().map_or(0, str::len);
                    group.as_str().len() + error.name.len() + text
                }
                Self::Connected {
                    connection_id,
                    user_id,
                } => connection_id.len() + user_id.as_deref().map_or(0, str::len),
                Self::Disconnected {
                    connection_id,
                    cause,
                    message,
                } => {
                    let message = message.as_deref().map_or(0, str::len);
                    connection_id.len() + loss_bytes(cause) + message
                }
                Self::Recovering { cause } => loss_bytes(cause),
                Self::Connecting { .. }
                | Self::Recovered { .. }
                | Self::Stopped { .. }
                | Self::Dropped { .. }
                | Self::Overflowed => 0,
            }
    }
}

impl From<Message> for Event {
    fn from(message: Message) -> Self {
        let Message {
            sequence_id,
            from,
            payload,
            metadata,
            stream,
        } = message;
        match from {
            Sender::Group {
                group,
                from_user_id,
            } => Self::GroupMessage(GroupMessage {
                group,
                from_user_id,
                payload,
                metadata,
                sequence_id,
                stream,
            }),
            Sender::Server => Self::ServerMessage(ServerMessage {
                payload,
                metadata,
                sequence_id,
            }),
        }
    }
}

fn metadata_bytes(metadata: &Metadata) -> usize {
    let entry = |(key, value): (&str, &str)| key.len() + value.len() + 2 * size_of::<String>();
    metadata.iter().map(entry).sum()
}

fn stream_bytes(stream: &StreamInfo) -> usize {
    let text = |text: &Option<ByteString>| text.as_deref().map_or(0, str::len);
    let error = |error: &StreamError| {
        error.name.len() + text(&error.message) + text(&error.user_error_code)
    };
    size_of::<StreamInfo>() + stream.stream_id.len() + stream.error.as_ref().map_or(0, error)
}

fn change_bytes(change: &StateChange) -> usize {
    let entry = |(key, value): &(String, String)| key.len() + value.len() + 2 * size_of::<String>();
    size_of::<StateChange>()
        + match change {
            StateChange::Set(member) => {
                let user = member.user_id.as_deref().map_or(0, str::len);
                let state = member.state.iter().map(entry).sum::<usize>();
                member.connection_id.len() + user + state
            }
            StateChange::Cleared { connection_id } => connection_id.len(),
        }
}

fn loss_bytes(loss: &Loss) -> usize {
    match loss {
        Loss::Closed(closure) | Loss::RecoveryRefused(closure) => {
            closure.reason.len() + closure.error.as_deref().map_or(0, str::len)
        }
        _ => 0,
    }
}
