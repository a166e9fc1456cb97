//! One connection. It outlives its sockets: whoever holds its key and the current epoch may act for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use bytestring::ByteString;
use slotmap::new_key_type;
use webpubsub_protocol::filter::FilterSubject;
use webpubsub_protocol::frame::{AckId, ClientFrame};
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::PermissionSet;

use super::acks::AckMemory;
use super::effect::{CallToken, Raised};
use super::group_state::StateEntry;
use super::outbox::Outbox;
use super::streams::{Stream, StreamKey};
use crate::handlers::Session;
use crate::inspect::Fill;

/// Frames that may wait behind a handler call before the client is no longer read.
pub(super) const WAITING_FRAMES: usize = 64;

/// The same limit in bytes. One more message may exceed it.
pub(super) const WAITING_BYTES: usize = 256 * 1024;

new_key_type! {
    /// A connection inside its hub. Keys are never used twice.
    pub(crate) struct ConnectionKey;
}

/// Counts the sockets of a connection. Events of an earlier socket are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u32);

impl Epoch {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Whether a connection has a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    Attached,
    /// Lost; a reliable connection waits for the next one.
    Detached,
}

/// What a simple client's frames do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawMode {
    /// Every frame is the user event `message`.
    SendEvent,
    /// Every frame is published to a group.
    SendToGroup { group: GroupName, no_echo: bool },
}

/// Something a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(super) content: Content,
    /// The size of the frame that it came in, all of which is kept while this is.
    pub(super) bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A frame of a PubSub client.
    Frame(ClientFrame),
    /// A frame of a simple client.
    Raw(Payload),
}

impl Received {
    /// A frame of a PubSub client that came as so many bytes.
    pub(crate) const fn frame(frame: ClientFrame, bytes: usize) -> Self {
        Self {
            content: Content::Frame(frame),
            bytes,
        }
    }

    /// A frame of a simple client.
    pub(crate) fn raw(payload: Payload) -> Self {
        let bytes = match &payload {
            Payload::Text(text) | Payload::Json(text) => text.len(),
            Payload::Binary(bytes) | Payload::Protobuf(bytes) => bytes.len(),
        };
        Self {
            content: Content::Raw(payload),
            bytes,
        }
    }

    /// The size of the frame that it came in.
    pub(crate) const fn size(&self) -> usize {
        self.bytes
    }

    /// Whether it acknowledges messages, which depends on nothing that was sent before it.
    pub(crate) const fn is_sequence_ack(&self) -> bool {
        matches!(
            self.content,
            Content::Frame(ClientFrame::SequenceAck { .. })
        )
    }
}

/// Frames that wait for the event handler to answer an earlier one.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    frames: VecDeque<Received>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, received: Received) {
        self.bytes += received.bytes;
        self.frames.push_back(received);
    }

    pub(super) fn pop(&mut self) -> Option<Received> {
        let received = self.frames.pop_front()?;
        self.bytes -= received.bytes;
        Some(received)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Received) -> bool) {
        let bytes = &mut self.bytes;
        self.frames.retain(|received| {
            let keeps = keep(received);
            *bytes -= if keeps { 0 } else { received.bytes };
            keeps
        });
    }

    pub(super) fn fill(&self) -> Fill {
        Fill {
            frames: self.frames.len(),
            bytes: self.bytes,
        }
    }

    /// Whether the client is no longer read before some of them are handled.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= WAITING_FRAMES || self.bytes >= WAITING_BYTES
    }
}

/// A call to the event handler that this connection waits for.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) token: CallToken,
    /// Where the answer goes.
    pub(super) reply_to: ReplyTo,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplyTo {
    /// A message, then an ack when the frame asked for one.
    Event(Option<AckId>),
    /// The answer to this invocation.
    Invocation(ByteString),
    /// One raw frame.
    Raw,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) user: Option<UserId>,
    pub(super) opened_at: SystemTime,
    /// Of the token that it was opened with, if there was one.
    pub(super) token_expires_at: Option<SystemTime>,
    /// The negotiated subprotocol as the client spelled it.
    pub(super) protocol: Option<ByteString>,
    pub(super) raw_mode: RawMode,
    pub(super) permissions: PermissionSet,
    pub(super) groups: BTreeSet<GroupName>,
    pub(super) acks: AckMemory,
    pub(super) socket: Socket,
    pub(super) epoch: Epoch,
    pub(super) outbox: Arc<Outbox>,
    pub(super) next_event_id: u64,
    /// What event handlers left with it.
    pub(super) session: Arc<Session>,
    /// Whether its first handshake is complete. Handlers hear nothing of the connection before that.
    pub(super) announced: bool,
    pub(super) in_flight: Option<InFlight>,
    /// What arrived while a call is in flight, in order.
    pub(super) waiting: Backlog,
    /// The streams that it publishes.
    pub(super) streams: BTreeMap<ByteString, Stream>,
    /// Its state in each group that it set one in.
    pub(super) states: BTreeMap<GroupName, StateEntry>,
    /// When its latest state changed, in milliseconds of UNIX time.
    pub(super) last_state_at: i64,
}

impl Connection {
    /// A connection with a socket, but without user, groups or permissions. It remembers `ack_ids` ids.
    pub(super) fn new(
        id: ConnectionId,
        outbox: Arc<Outbox>,
        ack_ids: usize,
        opened_at: SystemTime,
    ) -> Self {
        Self {
            id,
            user: None,
            opened_at,
            token_expires_at: None,
            protocol: None,
            raw_mode: RawMode::SendEvent,
            permissions: PermissionSet::default(),
            groups: BTreeSet::new(),
            acks: AckMemory::new(ack_ids),
            socket: Socket::Attached,
            epoch: Epoch::default(),
            outbox,
            // 0 is the connect event.
            next_event_id: 1,
            session: Arc::default(),
            announced: false,
            in_flight: None,
            waiting: Backlog::default(),
            streams: BTreeMap::new(),
            states: BTreeMap::new(),
            last_state_at: 0,
        }
    }

    /// Gives the next event of this connection its number and its turn.
    pub(super) fn raise(&mut self) -> Raised {
        let event_id = self.next_event_id;
        self.next_event_id += 1;
        Raised {
            connection_id: self.id.clone(),
            user_id: self.user.clone(),
            subprotocol: self.protocol.clone(),
            turn: self.session.turn(event_id),
        }
    }

    pub(super) fn has_stream(&self, key: StreamKey) -> bool {
        self.streams.values().any(|stream| stream.has_key(key))
    }
}

impl FilterSubject for Connection {
    fn user_id(&self) -> Option<&str> {
        self.user.as_ref().map(UserId::as_str)
    }

    fn connection_id(&self) -> &str {
        self.id.as_str()
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn in_group(&self, group: &str) -> bool {
        self.groups.contains(group)
    }

    fn group_count(&self) -> usize {
        self.groups.len()
    }
}
