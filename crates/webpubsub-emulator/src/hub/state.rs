//! A hub: its connections, users and groups. Plain data; `&mut self` and the time in, effects out.
//!
//! This file holds the data and its indexes. What happens to it stands beside it: `lifecycle`,
//! `frames`, `publish`, `membership`, `streams`, `group_state`, `rest`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slotmap::SlotMap;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};

use super::connection::{Connection, ConnectionKey, Epoch, Socket};
use super::deadlines::Deadlines;
use super::effect::{CallToken, Effects};
use super::lifecycle::{OpenRequest, Ticket};
use super::membership::GroupEvents;
use super::outbox::{Full, Outbox, OutboxLimits};
use super::streams::StreamKey;
use crate::clock::Now;
use crate::ids::Ids;
use crate::saved::Entry;

/// The settings of a hub, fixed when it is made.
#[derive(Debug, Clone)]
pub(crate) struct HubSettings {
    /// Frames that wait for one socket.
    pub(crate) outbox: OutboxLimits,
    /// Messages that one reliable client has not acknowledged.
    pub(crate) replay: OutboxLimits,
    /// How long a reliable connection waits for its next socket.
    pub(crate) recovery_window: Duration,
    /// Whether a recovered socket begins with a `connected` frame.
    pub(crate) connected_on_recovery: bool,
    /// Signs reconnection tokens.
    pub(crate) access_key: AccessKey,
    /// Ack ids that each connection remembers.
    pub(crate) ack_ids: usize,
    /// Streams that each connection may have open.
    pub(crate) open_streams: usize,
    /// Whether the failed event of a simple client closes it with 1000 instead of 1011.
    pub(crate) close_failed_events_normally: bool,
    /// Whether there is a handler for user events.
    pub(crate) has_handler: bool,
}

pub(crate) struct HubState {
    pub(super) settings: HubSettings,
    pub(super) ids: Ids,
    pub(super) connections: SlotMap<ConnectionKey, Connection>,
    ids_by_name: BTreeMap<ConnectionId, ConnectionKey>,
    pub(super) users: BTreeMap<UserId, BTreeSet<ConnectionKey>>,
    /// Members by connection id, which is the order in which REST lists them.
    pub(super) groups: BTreeMap<GroupName, BTreeMap<ConnectionId, GroupMember>>,
    /// Who receives the states of a group's members.
    pub(super) subscribers: BTreeMap<GroupName, BTreeSet<ConnectionKey>>,
    /// The changes of groups that are reported to event handlers.
    pub(super) group_events: GroupEvents,
    /// What is being opened, with the ids that it will have.
    pub(super) pending: BTreeMap<Ticket, (OpenRequest, ConnectionId)>,
    pub(super) calls: BTreeMap<CallToken, ConnectionKey>,
    /// What was saved of users, in the order in which their next connections take it.
    pub(super) imported: BTreeMap<UserId, VecDeque<Entry>>,
    /// Clients whose outboxes are full, in order of their ids: they end next.
    pub(super) slow_clients: BTreeMap<ConnectionId, (ConnectionKey, Full)>,
    /// Whether some of them are ending now.
    pub(super) is_ending_slow_clients: bool,
    deadlines: Deadlines<Due>,
    /// Numbers tickets, calls and streams.
    serial: u64,
}

/// A member of a group, with what a message to the group needs of it.
#[derive(Debug, Clone)]
pub(super) struct GroupMember {
    pub(super) key: ConnectionKey,
    pub(super) outbox: Arc<Outbox>,
}

/// What comes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Open(Ticket),
    Recovery(ConnectionKey, Epoch),
    StreamIdle(ConnectionKey, StreamKey),
}

impl HubState {
    pub(crate) fn new(settings: HubSettings, ids: Ids) -> Self {
        Self {
            settings,
            ids,
            connections: SlotMap::with_key(),
            ids_by_name: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            group_events: GroupEvents::default(),
            pending: BTreeMap::new(),
            calls: BTreeMap::new(),
            imported: BTreeMap::new(),
            slow_clients: BTreeMap::new(),
            is_ending_slow_clients: false,
            deadlines: Deadlines::new(),
            serial: 0,
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.connections.is_empty() && self.pending.is_empty() && self.imported.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. Nothing is due once
    /// everything has ended: deadlines whose cause is gone are dropped on the way.
    #[must_use]
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        while let Some((at, due)) = self.deadlines.first() {
            if self.is_awaited(due) {
                return Some(at);
            }
            self.deadlines.drop_first();
        }
        None
    }

    fn is_awaited(&self, due: Due) -> bool {
        match due {
            Due::Open(ticket) => self.pending.contains_key(&ticket),
            Due::Recovery(key, epoch) => self.connections.get(key).is_some_and(|connection| {
                connection.epoch == epoch && connection.socket == Socket::Detached
            }),
            Due::StreamIdle(key, stream) => self
                .connections
                .get(key)
                .is_some_and(|connection| connection.has_stream(stream)),
        }
    }

    /// Acts on what has come due; harmless when nothing has.
    pub(crate) fn handle_timeout(&mut self, now: Now, effects: &mut Effects) {
        while let Some(due) = self.deadlines.pop_due(now.mono) {
            match due {
                Due::Open(ticket) => self.reject(ticket),
                Due::Recovery(key, epoch) => self.recovery_expired(now, key, epoch, effects),
                Due::StreamIdle(key, stream) => self.stream_idle(now, key, stream, effects),
            }
        }
    }

    pub(super) fn set_deadline(&mut self, at: Instant, due: Due, effects: &mut Effects) {
        effects.deadline_moved |= self.deadlines.set(at, due);
    }

    pub(crate) fn key_of(&self, id: &str) -> Option<ConnectionKey> {
        self.ids_by_name.get(id).copied()
    }

    /// Sorts keys by the ids of their connections. What ends or leaves together does so in this
    /// order, which shows in what the others are told.
    pub(super) fn sort_by_id(&self, keys: &mut [ConnectionKey]) {
        keys.sort_by_key(|key| self.connections.get(*key).map(|connection| &connection.id));
    }

    /// Adds a connection to the indexes by id and user.
    pub(super) fn insert(&mut self, connection: Connection) -> ConnectionKey {
        let (id, user) = (connection.id.clone(), connection.user.clone());
        let key = self.connections.insert(connection);
        self.ids_by_name.insert(id, key);
        if let Some(user) = user {
            self.users.entry(user).or_default().insert(key);
        }
        key
    }

    /// Takes a connection, which has left its groups, out of the indexes by id and user.
    pub(super) fn take(&mut self, key: ConnectionKey) -> Option<Connection> {
        let connection = self.connections.remove(key)?;
        self.ids_by_name.remove(&connection.id);
        if let Some(user) = &connection.user
            && let Some(keys) = self.users.get_mut(user)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.users.remove(user);
            }
        }
        Some(connection)
    }

    pub(super) fn new_ticket(&mut self) -> Ticket {
        Ticket(self.next_serial())
    }

    pub(super) fn new_call(&mut self, key: ConnectionKey) -> CallToken {
        let token = CallToken(self.next_serial());
        self.calls.insert(token, key);
        token
    }

    pub(super) fn new_stream(&mut self) -> StreamKey {
        StreamKey(self.next_serial())
    }

    const fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
