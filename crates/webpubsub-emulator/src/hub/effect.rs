//! What the state wants done once its lock is released.

use std::sync::Arc;

use bytestring::ByteString;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;

use super::outbox::{Outbox, Wakes};
use crate::handlers::Turn;
use crate::traffic::{Denial, FilteredSend};

/// Collected while the hub's lock is held, carried out after it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Sockets that have something to write, and those who waited for room. Deliveries themselves happened under the
    /// lock.
    pub(super) wakes: Wakes,
    /// Outboxes that are crowded now. Whoever caused that should wait until they are not.
    pub(super) crowded: Vec<Arc<Outbox>>,
    /// Whether so much waits for the event handler that no more of the client may be read.
    pub(super) pauses: bool,
    /// Calls to the event handler; each is answered by `upstream_done` with its token.
    pub(super) calls: Vec<UpstreamCall>,
    /// Events for the handler that need no answer.
    pub(super) notices: Vec<Notice>,
    /// Calls that nobody waits for any more.
    pub(super) cancelled: Vec<CallToken>,
    /// Connections that ended, with their users, and why in words.
    pub(super) ended: Vec<(ConnectionId, Option<UserId>, ByteString)>,
    /// Acks that clients were sent.
    pub(super) acks: u64,
    /// Connections that ended since their clients were slow.
    pub(super) slow_closes: u64,
    /// Whether somebody wants to know why something is refused or left out.
    pub(super) explains: bool,
    /// What was explained.
    pub(super) explained: Vec<Explained>,
    /// Whether the earliest deadline moved forward.
    pub(super) deadline_moved: bool,
    /// Whether connections, groups or permissions changed.
    pub(super) changed: bool,
}

/// Why something was refused or left out.
#[derive(Debug)]
pub(crate) enum Explained {
    Denied(Box<Denial>),
    Filtered(Box<FilteredSend>),
}

/// Pairs an answer of the event handler with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallToken(pub(super) u64);

/// An event's connection, and its place among the events of that connection.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) connection_id: ConnectionId,
    pub(crate) user_id: Option<UserId>,
    /// The negotiated subprotocol as the client spelled it.
    pub(crate) subprotocol: Option<ByteString>,
    pub(crate) turn: Turn,
}

/// A user event on its way to the hub's event handler. Its connection waits for the answer.
#[derive(Debug)]
pub(crate) struct UpstreamCall {
    pub(crate) token: CallToken,
    pub(crate) raised: Raised,
    pub(crate) event: EventName,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
}

/// Something that happened to a connection, for the hub's event handler. Nobody waits for the answer.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) raised: Raised,
    pub(crate) kind: NoticeKind,
}

/// What happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    /// Its handshake is done.
    Connected,
    /// It ended, with this reason.
    Disconnected(ByteString),
    /// It became the member of a group.
    Joined(GroupName),
    /// It is no longer the member of a group.
    Left(GroupName),
}

/// What the event handler answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) payload: Option<Payload>,
    pub(crate) metadata: Metadata,
}

/// The event handler gave no usable answer. Its cause is logged where it happened, never sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandlerFailed;
