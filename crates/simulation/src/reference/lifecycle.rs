//! How connections begin, lose their socket, are recovered, and end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_emulator::driven::{ConnectSpec, Loss, Socket};
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::ConnectionId;
use webpubsub_protocol::permission::PermissionSet;

use super::{Connection, Entry, Fate, Line, Queued, Reference, Says};

/// The drain of a client that reads.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

impl Reference {
    pub(crate) fn connect(&mut self, id: &ConnectionId, socket: Socket, spec: ConnectSpec) {
        let (permissions, _) = PermissionSet::from_roles(&spec.roles);
        let connection = Connection {
            user: spec.user,
            protocol: spec.subprotocol,
            raw_group: spec.raw_group,
            permissions,
            groups: spec.groups.into_iter().collect(),
            subscriptions: BTreeSet::new(),
            states: BTreeMap::new(),
            last_state_at: 0,
            executed: VecDeque::new(),
            socket: Some(socket),
            lost_at: None,
            kept: VecDeque::new(),
            streams: BTreeMap::new(),
            events_raised: 0,
            in_flight: None,
            waiting: VecDeque::new(),
        };
        let queue = connection
            .protocol
            .is_some()
            .then(|| connected(id, &connection));
        self.connections.insert(id.clone(), connection);
        self.attach(id, socket, queue.into_iter().collect());
    }

    /// Whether the connection can have a new socket. Its token was right.
    pub(crate) fn is_recoverable(&self, id: &ConnectionId) -> bool {
        self.connections
            .get(id)
            .is_some_and(Connection::is_reliable)
    }

    /// A new socket: `connected`, then everything that is neither acknowledged nor expired.
    pub(crate) fn recover(&mut self, id: &ConnectionId, socket: Socket) {
        self.drop_call(id);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if let Some(earlier) = connection
            .socket
            .and_then(|earlier| self.lines.get_mut(&earlier))
        {
            earlier.queue.clear();
            earlier.fate = Fate::Superseded;
        }
        connection.socket = Some(socket);
        connection.lost_at = None;
        let now = self.now;
        let ledger = self.ledgers.entry(id.clone()).or_default();
        connection
            .kept
            .retain(|sequence| !ledger[sequence - 1].is_over(now));
        let mut queue = VecDeque::new();
        if self.settings.connected_on_recovery {
            queue.push_back(connected(id, connection));
        }
        queue.extend(
            connection
                .kept
                .iter()
                .map(|sequence| Queued::Numbered(*sequence)),
        );
        self.attach(id, socket, queue);
    }

    fn attach(&mut self, id: &ConnectionId, socket: Socket, queue: VecDeque<Queued>) {
        let line = Line {
            connection: id.clone(),
            protocol: self.connections[id].protocol,
            queue,
            fate: Fate::Open,
        };
        self.lines.insert(socket, line);
    }

    pub(crate) fn socket_gone(&mut self, socket: Socket, loss: Loss) {
        let Some(line) = self.lines.remove(&socket) else {
            return;
        };
        let id = line.connection;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.socket != Some(socket) {
            return;
        }
        connection.socket = None;
        if loss == Loss::ClosedForGood || !connection.is_reliable() {
            self.remove(&id);
            return;
        }
        connection.lost_at = Some(self.now);
        self.drop_call(&id);
    }

    /// The connection is over: its call, its streams, its groups.
    pub(super) fn remove(&mut self, id: &ConnectionId) -> Option<Connection> {
        self.drop_call(id);
        self.cancel_streams(id);
        let groups: Vec<_> = self.connections.get(id)?.groups.iter().cloned().collect();
        for group in groups {
            self.leave(id, &group, true);
        }
        self.connections.remove(id)
    }

    fn drop_call(&mut self, id: &ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.waiting.clear();
            let call = connection.in_flight.take();
            self.cancelled.extend(call.map(|call| call.number));
        }
    }
}

/// The reconnection token is secret; whether there is one is not.
fn connected(id: &ConnectionId, connection: &Connection) -> Queued {
    let connected = ServerFrame::Connected {
        connection_id: id.as_shared().clone(),
        user_id: connection
            .user
            .as_ref()
            .map(|user| user.as_shared().clone()),
        reconnection_token: connection.is_reliable().then(ByteString::new),
    };
    Queued::Entry(Entry {
        says: Says::Frame(Rc::new(connected)),
        expires: None,
        any_order: None,
    })
}
