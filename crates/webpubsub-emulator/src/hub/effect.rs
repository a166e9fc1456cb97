//! What the state wants done once its lock is released.

use std::sync::Arc;

use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, UserId};
use webpubsub_protocol::payload::Payload;

use super::outbox::Outbox;

/// Collected while the hub's lock is held, carried out after it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Sockets that have something to drain. Deliveries themselves happened under the lock.
    pub(super) wakes: Vec<Arc<Outbox>>,
    /// Calls to the event handler; each is answered by `upstream_done` with its token.
    pub(super) calls: Vec<UpstreamCall>,
    /// Calls that nobody waits for any more.
    pub(super) cancelled: Vec<CallToken>,
    /// Whether the earliest deadline moved forward.
    pub(super) deadline_moved: bool,
    /// Whether connections, groups or permissions changed.
    pub(super) changed: bool,
}

/// Pairs an answer of the event handler with its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallToken(pub(super) u64);

/// A user event on its way to the hub's event handler. Its connection waits for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamCall {
    pub(crate) token: CallToken,
    pub(crate) connection_id: ConnectionId,
    pub(crate) user_id: Option<UserId>,
    /// Numbers the events of the connection; `connect` is 0.
    pub(crate) event_id: u64,
    pub(crate) event: EventName,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
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
