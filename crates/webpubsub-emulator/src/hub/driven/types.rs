//! What goes into a driven hub and comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::hub::outbox;
use crate::hub::{OPEN_TIMEOUT, OpenRequest, RawMode, Target, WireForm};
use crate::inspect::Fill;

/// How a driven hub behaves.
#[derive(Debug, Clone)]
pub struct DrivenSettings {
    /// Frames that may wait for one client, and messages that it may leave unacknowledged.
    pub outbox_frames: usize,
    /// The bytes of either.
    pub outbox_bytes: usize,
    /// How long a reliable connection waits for its next socket.
    pub recovery_window: Duration,
    /// Whether a recovered socket begins with a `connected` frame.
    pub connected_on_recovery: bool,
    /// Whether there is a handler of user events: [`DrivenHub::take_calls`](super::DrivenHub::take_calls), or one that
    /// answers while it is [allowed to](super::DrivenSockets::let_handler_answer).
    pub has_handler: bool,
}

/// A connection as its token and URL ask for it.
#[derive(Debug, Clone, Default)]
pub struct ConnectSpec {
    /// The user, if it has one.
    pub user: Option<UserId>,
    /// The roles of the token, as text.
    pub roles: Vec<String>,
    /// The groups of the token.
    pub groups: Vec<GroupName>,
    /// `None` is a simple client.
    pub subprotocol: Option<Subprotocol>,
    /// Where a simple client publishes, and whether it is left out itself; otherwise its frames
    /// are the event `message`.
    pub raw_group: Option<(GroupName, bool)>,
}

impl From<ConnectSpec> for OpenRequest {
    fn from(spec: ConnectSpec) -> Self {
        let raw_mode = |(group, no_echo)| RawMode::SendToGroup { group, no_echo };
        Self {
            id: None,
            user: spec.user,
            token_expires_at: None,
            roles: spec.roles,
            groups: spec.groups,
            form: spec.subprotocol.map_or(WireForm::Raw, WireForm::from),
            reliable: spec.subprotocol.is_some_and(Subprotocol::is_reliable),
            protocol: spec
                .subprotocol
                .map(|name| ByteString::from_static(name.as_str())),
            raw_mode: spec.raw_group.map_or(RawMode::SendEvent, raw_mode),
            timeout: OPEN_TIMEOUT,
            session: Arc::default(),
        }
    }
}

/// One WebSocket data frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

/// One socket of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket(pub(super) u64);

/// How a socket was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The client closed with code 1000: it will not come back.
    ClosedForGood,
    /// Any other way: a reliable client may come back.
    Lost,
}

/// What is left of a socket after a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// More may come.
    Open,
    /// The service closes with this code and reason; nothing comes after it.
    Closed(u16, String),
    /// Another socket took over: the service hangs up.
    Superseded,
}

/// A recovery was refused: the socket is opened, then closed with this code and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The close code.
    pub code: u16,
    /// The reason in the close frame.
    pub reason: &'static str,
}

/// Whom a REST call addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Every connection.
    All,
    /// The connections of a user.
    User(UserId),
    /// The members of a group.
    Group(GroupName),
    /// One connection.
    Connection(ConnectionId),
}

impl From<To> for Target {
    fn from(to: To) -> Self {
        match to {
            To::All => Self::All,
            To::User(user) => Self::User(user),
            To::Group(group) => Self::Group(group),
            To::Connection(id) => Self::Connection(id),
        }
    }
}

/// Frames, and bytes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many frames.
    pub frames: usize,
    /// The bytes of all of them.
    pub bytes: usize,
}

/// What a connection and its socket hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// What its socket has not taken.
    pub waiting: Amount,
    /// What a reliable client has not acknowledged.
    pub unacknowledged: Amount,
    /// What the socket has taken, and its transport has not.
    pub writing: Amount,
    /// What the client sent while the event handler works on an earlier event.
    pub behind_handler: Amount,
    /// What was read ahead while the client is held back, a small frame as 256 bytes.
    pub ahead: Amount,
    /// Bytes that were read and are no message yet, with the buffer for them.
    pub unread: usize,
}

impl From<Fill> for Amount {
    fn from(Fill { frames, bytes }: Fill) -> Self {
        Self { frames, bytes }
    }
}

impl From<outbox::Held> for Held {
    /// What the connection holds; its socket adds the rest.
    fn from(held: outbox::Held) -> Self {
        Self {
            waiting: held.queue.into(),
            unacknowledged: held.replay.into(),
            ..Self::default()
        }
    }
}

/// Pairs an answer with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub(super) u64);

/// A user event for the handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Pairs the answer with it.
    pub id: CallId,
    /// Who raised it.
    pub connection_id: ConnectionId,
    /// Numbers the events of the connection, from 1.
    pub event_id: u64,
    /// The event.
    pub event: EventName,
    /// Its data.
    pub payload: Payload,
}
