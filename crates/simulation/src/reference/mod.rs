//! What should be true: the service as its reference describes it, written for reading and not for
//! speed. It looks up everything by walking over all connections, and knows no wire form.
//!
//! It is told what the hub is told, and says what each socket is to be given ([`Line`]), which
//! calls the handler is to get, and when something falls due.

mod delivery;
mod frames;
mod lifecycle;
mod rest;
mod state;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_emulator::driven::{DrivenSettings, Socket};
use webpubsub_protocol::frame::{AckId, ClientFrame, ServerFrame};
use webpubsub_protocol::name::{ConnectionId, EventName, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::PermissionSet;
use webpubsub_protocol::subprotocol::Subprotocol;

use self::streams::Stream;

/// The service as it should be.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) settings: DrivenSettings,
    now: Duration,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) lines: BTreeMap<Socket, Line>,
    /// Everything that was numbered for a connection, the first with the id 1. Kept for ever.
    pub(crate) ledgers: BTreeMap<ConnectionId, Vec<Entry>>,
    /// Calls that the handler should get, since they were last taken.
    pub(crate) calls: Vec<HandlerCall>,
    /// Calls that should be cancelled, since they were last taken.
    pub(crate) cancelled: Vec<CallNumber>,
    calls_made: u64,
    /// Connections that ended since too much waited for them while they were away.
    pub(crate) overflows_away: u64,
    /// Who has no room left and why, until it ends.
    slow: BTreeMap<ConnectionId, &'static str>,
    /// Who ends at this moment for having no room.
    ending: BTreeSet<ConnectionId>,
    /// Numbers what the service is told.
    step: u64,
}

/// A connection, with or without a socket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) user: Option<UserId>,
    /// `None` is a simple client.
    pub(crate) protocol: Option<Subprotocol>,
    raw_group: Option<(GroupName, bool)>,
    pub(crate) permissions: PermissionSet,
    pub(crate) groups: BTreeSet<GroupName>,
    subscriptions: BTreeSet<GroupName>,
    states: BTreeMap<GroupName, (Vec<(String, String)>, i64)>,
    last_state_at: i64,
    /// The latest ack ids that succeeded.
    executed: VecDeque<AckId>,
    pub(crate) socket: Option<Socket>,
    /// Since when it has no socket.
    pub(crate) lost_at: Option<Duration>,
    /// The sequence ids that are neither acknowledged nor expired.
    pub(crate) kept: VecDeque<usize>,
    streams: BTreeMap<ByteString, Stream>,
    events_raised: u64,
    in_flight: Option<InFlight>,
    waiting: VecDeque<Received>,
}

/// What one socket is to be given.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) connection: ConnectionId,
    pub(crate) protocol: Option<Subprotocol>,
    pub(crate) queue: VecDeque<Queued>,
    pub(crate) fate: Fate,
}

/// What becomes of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Open,
    /// Closed once its queue is empty, and aborted if it is not by then.
    Closing {
        code: u16,
        reason: &'static str,
        abort_at: Duration,
    },
    Superseded,
}

/// Something that waits for a socket.
#[derive(Debug, Clone)]
pub(crate) enum Queued {
    /// The entry of the connection's ledger with this sequence id.
    Numbered(usize),
    Entry(Entry),
}

/// Something that a client is told.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) says: Says,
    /// From when on it is not told any more.
    pub(crate) expires: Option<Duration>,
    /// What several ends at one moment cause has no order: of neighbours with the same step, any
    /// may come first.
    pub(crate) any_order: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    Frame(Rc<ServerFrame>),
    /// A frame of a simple client.
    Raw(Payload),
}

/// Something that a client sent, as the service should understand it.
#[derive(Debug, Clone)]
pub(crate) enum Received {
    Frame(ClientFrame),
    Raw(Payload),
    /// It breaks the protocol, which closes with this code and reason.
    Broken(u16, &'static str),
}

/// Numbers the calls of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallNumber(u64);

/// A call that the handler should get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandlerCall {
    pub(crate) number: CallNumber,
    pub(crate) connection: ConnectionId,
    pub(crate) event_id: u64,
    pub(crate) event: EventName,
    pub(crate) payload: Payload,
}

#[derive(Debug)]
struct InFlight {
    number: CallNumber,
    reply_to: ReplyTo,
}

#[derive(Debug, Clone)]
enum ReplyTo {
    Event(Option<AckId>),
    Invocation(ByteString),
    Raw,
}

impl Reference {
    pub(crate) fn new(settings: DrivenSettings) -> Self {
        Self {
            settings,
            now: Duration::ZERO,
            connections: BTreeMap::new(),
            lines: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            calls: Vec::new(),
            cancelled: Vec::new(),
            calls_made: 0,
            overflows_away: 0,
            slow: BTreeMap::new(),
            ending: BTreeSet::new(),
            step: 0,
        }
    }

    /// Something is about to happen.
    pub(crate) fn step(&mut self, now: Duration) {
        self.now = now;
        self.step += 1;
    }

    /// When something falls due by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let window = self.settings.recovery_window;
        let ends = self.connections.values().flat_map(|connection| {
            let lost = connection.lost_at.map(|at| at + window);
            lost.into_iter()
                .chain(connection.streams.values().map(Stream::idle_at))
        });
        ends.min()
    }

    /// Everything that is due happens.
    pub(crate) fn handle_timeout(&mut self) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= self.now) {
            let window = self.settings.recovery_window;
            let over = self
                .connections
                .iter()
                .find(|(_, c)| c.lost_at.is_some_and(|at| at + window == due));
            if let Some((id, _)) = over {
                let id = id.clone();
                self.remove(&id);
            } else {
                self.close_idle_stream(due);
            }
        }
    }

    pub(crate) fn members<'a>(
        &'a self,
        group: &'a GroupName,
    ) -> impl Iterator<Item = &'a ConnectionId> + 'a {
        let all = self.connections.iter();
        all.filter(move |(_, c)| c.groups.contains(group))
            .map(|(id, _)| id)
    }

    pub(crate) fn of_user<'a>(
        &'a self,
        user: &'a UserId,
    ) -> impl Iterator<Item = &'a ConnectionId> + 'a {
        let all = self.connections.iter();
        all.filter(move |(_, c)| c.user.as_ref() == Some(user))
            .map(|(id, _)| id)
    }

    /// What is told to one connection, whatever becomes of it.
    pub(crate) fn ledger(&self, id: &ConnectionId) -> &[Entry] {
        self.ledgers.get(id).map_or(&[], Vec::as_slice)
    }

    /// The entry behind something that waits.
    pub(crate) fn entry<'a>(&'a self, id: &ConnectionId, queued: &'a Queued) -> &'a Entry {
        match queued {
            Queued::Entry(entry) => entry,
            Queued::Numbered(sequence) => &self.ledger(id)[sequence - 1],
        }
    }
}

impl Connection {
    pub(crate) fn is_reliable(&self) -> bool {
        self.protocol.is_some_and(Subprotocol::is_reliable)
    }
}

impl Entry {
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
