//! A hub: its connections, users and groups. Plain data; `&mut self` and the time in, effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use slotmap::SlotMap;
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::permission::PermissionSet;

use super::acks::AckMemory;
use super::connection::{Connection, ConnectionKey, Epoch, RawMode};
use super::deadlines::Deadlines;
use super::effect::{CallToken, Effects};
use super::membership::{Cause, Change};
use super::message::{Frame, WireForm};
use super::outbox::{CLOSE_DRAIN, Close, Outbox, OutboxLimits};
use crate::clock::Now;
use crate::ids::Ids;

/// How long a connection that is being opened may wait for its `connect` answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(100);

pub(crate) struct HubState {
    pub(super) connections: SlotMap<ConnectionKey, Connection>,
    ids_by_name: BTreeMap<ConnectionId, ConnectionKey>,
    pub(super) users: BTreeMap<UserId, BTreeSet<ConnectionKey>>,
    /// Members by connection id, which is the order in which REST lists them.
    pub(super) groups: BTreeMap<GroupName, BTreeMap<ConnectionId, ConnectionKey>>,
    pending: BTreeMap<Ticket, OpenRequest>,
    pub(super) calls: BTreeMap<CallToken, ConnectionKey>,
    deadlines: Deadlines<Due>,
    limits: OutboxLimits,
    ids: Ids,
    next_ticket: u64,
    next_call: u64,
    pub(super) has_handler: bool,
}

/// What comes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Open(Ticket),
}

/// A connection that was announced but not accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// A connection as its token and URL ask for it.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// Chosen by the caller, or drawn.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) user: Option<UserId>,
    pub(crate) roles: Vec<String>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) form: WireForm,
    pub(crate) protocol: Option<ByteString>,
    pub(crate) raw_mode: RawMode,
}

/// What the `connect` answer changes; `None` keeps what the token said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) user: Option<Option<UserId>>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<GroupName>>,
}

/// A socket's hold on its connection.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) key: ConnectionKey,
    pub(crate) epoch: Epoch,
    pub(crate) connection_id: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
}

/// How a connection is ended by the service.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) code: u16,
    /// Goes into the close frame.
    pub(crate) reason: ByteString,
    /// Goes into a last `disconnected` frame, for clients that have one.
    pub(crate) farewell: Option<String>,
    /// How long queued frames may take to drain.
    pub(crate) drain: Duration,
}

impl End {
    /// A REST close: the text is in the last frame, the close frame's reason stays empty.
    pub(crate) fn by_server(reason: Option<&str>) -> Self {
        let mut farewell = "Application server closed the connection.".to_owned();
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            farewell.push_str(" Reason: ");
            farewell.push_str(reason);
        }
        Self {
            code: 1000,
            reason: ByteString::new(),
            farewell: Some(farewell),
            drain: CLOSE_DRAIN,
        }
    }

    /// The client broke the protocol: closed at once, without a last frame.
    pub(crate) fn protocol_error(code: u16, reason: &'static str) -> Self {
        let reason = ByteString::from_static(reason);
        Self {
            code,
            reason,
            farewell: None,
            drain: CLOSE_DRAIN,
        }
    }

    /// The service goes away.
    pub(crate) fn service_reload() -> Self {
        Self {
            code: 1001,
            reason: ByteString::new(),
            farewell: Some("Service reload".to_owned()),
            drain: CLOSE_DRAIN,
        }
    }
}

impl HubState {
    pub(crate) fn new(limits: OutboxLimits, ids: Ids, has_handler: bool) -> Self {
        Self {
            connections: SlotMap::with_key(),
            ids_by_name: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            pending: BTreeMap::new(),
            calls: BTreeMap::new(),
            deadlines: Deadlines::new(),
            limits,
            ids,
            next_ticket: 0,
            next_call: 0,
            has_handler,
        }
    }

    /// Announces a connection. Its id exists from now on, the connection once it is accepted.
    pub(crate) fn open(
        &mut self,
        now: Now,
        mut request: OpenRequest,
        effects: &mut Effects,
    ) -> (Ticket, ConnectionId) {
        let id = request
            .id
            .take()
            .unwrap_or_else(|| self.ids.connection_id());
        request.id = Some(id.clone());
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, request);
        effects.deadline_moved |= self
            .deadlines
            .set(now.mono + OPEN_TIMEOUT, Due::Open(ticket));
        (ticket, id)
    }

    /// Accepts an announced connection; `None` when its ticket has run out or its id is taken.
    pub(crate) fn accept(
        &mut self,
        now: Now,
        ticket: Ticket,
        overrides: Overrides,
        effects: &mut Effects,
    ) -> Option<Attachment> {
        let request = self.pending.remove(&ticket)?;
        let id = request.id?;
        if self.ids_by_name.contains_key(&id) {
            return None;
        }
        let user = overrides.user.unwrap_or(request.user);
        let roles = overrides.roles.unwrap_or(request.roles);
        let groups = overrides.groups.unwrap_or(request.groups);
        let (permissions, ignored) = PermissionSet::from_roles(&roles);
        for role in ignored {
            tracing::warn!(connection = %id, ?role, "a role was ignored");
        }

        let outbox = Outbox::new(request.form, self.limits);
        let epoch = Epoch(0);
        let key = self.connections.insert(Connection {
            id: id.clone(),
            user: user.clone(),
            protocol: request.protocol,
            raw_mode: request.raw_mode,
            permissions,
            groups: BTreeSet::new(),
            acks: AckMemory::default(),
            outbox: Arc::clone(&outbox),
            epoch,
            // 0 is the connect event.
            next_event_id: 1,
            in_flight: None,
            waiting: VecDeque::new(),
        });
        self.ids_by_name.insert(id.clone(), key);
        if let Some(user) = &user {
            self.users.entry(user.clone()).or_default().insert(key);
        }
        effects.changed = true;

        // Queued before the first group is joined: no message can come before it.
        let connected = ServerFrame::Connected {
            connection_id: id.as_shared().clone(),
            user_id: user.map(|user| user.as_shared().clone()),
            reconnection_token: None,
        };
        self.control(now, key, &connected, effects);
        for group in &groups {
            self.change_membership(key, group, Change::Join, Cause::Open, effects);
        }
        Some(Attachment {
            key,
            epoch,
            connection_id: id,
            outbox,
        })
    }

    /// Forgets an announced connection.
    pub(crate) fn reject(&mut self, ticket: Ticket) {
        self.pending.remove(&ticket);
    }

    /// Ends a connection: it is gone from every index at once, its socket drains and closes.
    pub(crate) fn end(&mut self, now: Now, key: ConnectionKey, end: &End, effects: &mut Effects) {
        let Some(outbox) = self.remove(key, effects) else {
            return;
        };
        let last = end.farewell.as_ref().and_then(|message| {
            let frame = ServerFrame::Disconnected {
                message: message.clone(),
            };
            Frame::control(outbox.form(), &frame)
        });
        outbox.close(
            last,
            Close {
                code: end.code,
                reason: end.reason.to_string(),
                abort_at: now.mono + end.drain,
            },
        );
        effects.wakes.push(outbox);
    }

    /// A socket of the connection is gone. Late news of an earlier socket changes nothing.
    pub(crate) fn socket_gone(&mut self, key: ConnectionKey, epoch: Epoch, effects: &mut Effects) {
        if self
            .connections
            .get(key)
            .is_some_and(|connection| connection.epoch == epoch)
        {
            self.remove(key, effects);
        }
    }

    fn remove(&mut self, key: ConnectionKey, effects: &mut Effects) -> Option<Arc<Outbox>> {
        let groups = self.connections.get(key)?.groups.clone();
        for group in &groups {
            self.change_membership(key, group, Change::Leave, Cause::End, effects);
        }
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
        if let Some(call) = connection.in_flight {
            self.calls.remove(&call.token);
            effects.cancelled.push(call.token);
        }
        effects.changed = true;
        Some(connection.outbox)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<std::time::Instant> {
        self.deadlines.earliest()
    }

    /// Acts on what has come due; harmless when nothing has.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        while let Some(due) = self.deadlines.pop_due(now.mono) {
            match due {
                Due::Open(ticket) => self.reject(ticket),
            }
        }
    }

    pub(crate) fn key_of(&self, id: &str) -> Option<ConnectionKey> {
        self.ids_by_name.get(id).copied()
    }

    pub(super) fn new_call(&mut self, key: ConnectionKey) -> CallToken {
        let token = CallToken(self.next_call);
        self.next_call += 1;
        self.calls.insert(token, key);
        token
    }
}
