//! How connections begin, lose their socket, are recovered, and end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use webpubsub_protocol::access::sign_reconnection_token;
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::permission::PermissionSet;

use super::connection::{Backlog, Connection, ConnectionKey, Epoch, RawMode, Socket};
use super::effect::{Effects, NoticeKind};
use super::end::End;
use super::membership::{Cause, Change};
use super::message::{Frame, WireForm};
use super::outbox::{Acknowledging, Close, Outbox};
use super::state::{Due, HubState};
use crate::clock::Now;
use crate::handlers::Session;
use crate::refusal::Refusal;

/// How long a connection that is being opened may wait for its `connect` answer, unless its handler may take longer.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(100);

/// A connection that was announced but not accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(super) u64);

/// A connection as its token and URL ask for it.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// Chosen by the caller, or drawn.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) user: Option<UserId>,
    /// Of the token, if there is one. The connection outlives it.
    pub(crate) token_expires_at: Option<SystemTime>,
    pub(crate) roles: Vec<String>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) form: WireForm,
    /// Whether messages are numbered and the connection survives its socket.
    pub(crate) reliable: bool,
    /// The negotiated subprotocol as the client spelled it.
    pub(crate) protocol: Option<ByteString>,
    pub(crate) raw_mode: RawMode,
    /// How long it may take until it is accepted.
    pub(crate) timeout: Duration,
    /// What event handlers leave with the connection.
    pub(crate) session: Arc<Session>,
}

/// What the `connect` answer changes; `None` keeps what the token said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) user: Option<Option<UserId>>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<GroupName>>,
    pub(crate) subprotocol: Option<Negotiated>,
}

/// The protocol that a client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) form: WireForm,
    pub(crate) reliable: bool,
    /// As the client spelled it.
    pub(crate) name: ByteString,
}

/// A socket's hold on its connection.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) key: ConnectionKey,
    pub(crate) epoch: Epoch,
    pub(crate) connection_id: ConnectionId,
    /// Behind a pointer: every socket holds it, and only the traffic log asks for it.
    pub(crate) user_id: Option<Arc<UserId>>,
    /// The connection's subprotocol as its first socket spelled it.
    pub(crate) protocol: Option<ByteString>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) admission: Admission,
}

/// How a socket was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The client closed for good, with this reason: it will not come back.
    ClosedForGood(ByteString),
    /// Any other way: a reliable client may come back.
    Lost,
}

/// Which connection an opening asks for.
#[derive(Debug, Clone, Copy)]
enum Claim<'a> {
    /// A new one with this id.
    New(&'a ConnectionId),
    /// The one that has this id, although another socket may still be attached to it.
    Recover(&'a str),
}

/// How an opening got its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is a new one.
    Opened,
    /// It had lost its socket.
    Recovered,
    /// It was taken over from a socket that still looked alive.
    TakenOver,
}

impl HubState {
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
        let timeout = request.timeout;
        let ticket = self.new_ticket();
        self.pending.insert(ticket, (request, id.clone()));
        self.set_deadline(now.mono + timeout, Due::Open(ticket), effects);
        (ticket, id)
    }

    /// Accepts an announced connection.
    ///
    /// # Errors
    ///
    /// Its ticket has run out, or it may not be opened.
    pub(crate) fn accept(
        &mut self,
        now: Now,
        ticket: Ticket,
        overrides: Overrides,
        effects: &mut Effects,
    ) -> Result<Attachment, Refusal> {
        let pending = self.pending.remove(&ticket);
        let (mut request, id) = pending.ok_or(Refusal::OpeningTimedOut)?;
        self.decide(Claim::New(&id))?;
        if let Some(negotiated) = overrides.subprotocol {
            request.form = negotiated.form;
            request.reliable = negotiated.reliable;
            request.protocol = Some(negotiated.name);
        }
        let user = overrides.user.unwrap_or(request.user);
        let roles = overrides.roles.unwrap_or(request.roles);
        let groups = overrides.groups.unwrap_or(request.groups);
        let (permissions, ignored) = PermissionSet::from_roles(&roles);
        for role in ignored.iter().filter(|role| role.reason.is_logged()) {
            tracing::warn!(connection = %id, ?role, "a role was ignored");
        }

        let acknowledging = match request.reliable {
            true => Acknowledging::Cumulative,
            false => Acknowledging::Never,
        };
        let outbox = Outbox::new(
            request.form,
            acknowledging,
            self.settings.outbox,
            self.settings.replay,
            now.mono,
        );
        let ack_ids = self.settings.ack_ids;
        let mut connection = Connection::new(id.clone(), Arc::clone(&outbox), ack_ids, now.wall);
        connection.token_expires_at = request.token_expires_at;
        connection.user.clone_from(&user);
        connection.protocol.clone_from(&request.protocol);
        connection.raw_mode = request.raw_mode;
        connection.permissions = permissions;
        connection.session = request.session;
        let epoch = connection.epoch;
        let key = self.insert(connection);
        effects.changed = true;

        // Queued before the first group is joined: no message can come before it.
        if let Some(connected) = self.connected_frame(now, key) {
            self.control(now, key, &connected, effects);
        }
        for group in &groups {
            self.change_membership(now, key, group, Change::Join, Cause::Open, effects);
        }
        if let Some(entry) = user.as_ref().and_then(|user| self.take_imported(user)) {
            self.add_imported(now, key, entry, effects);
        }
        Ok(Attachment {
            key,
            epoch,
            connection_id: id,
            user_id: user.map(Arc::new),
            protocol: request.protocol,
            outbox,
            admission: Admission::Opened,
        })
    }

    /// What becomes of an opening, given who has the connection id that it wants.
    fn decide(&self, claim: Claim<'_>) -> Result<(Option<ConnectionKey>, Admission), Refusal> {
        let id = match claim {
            Claim::New(id) => id.as_str(),
            Claim::Recover(id) => id,
        };
        let owner = self.key_of(id);
        let connection = owner.and_then(|key| self.connections.get(key));
        match (claim, connection) {
            (Claim::New(_), None) => Ok((None, Admission::Opened)),
            (Claim::New(_), Some(_)) => Err(Refusal::IdInUse),
            (Claim::Recover(_), Some(connection)) if connection.outbox.is_recoverable() => {
                let admission = match connection.socket {
                    Socket::Attached => Admission::TakenOver,
                    Socket::Detached => Admission::Recovered,
                };
                Ok((owner, admission))
            }
            (Claim::Recover(_), _) => Err(Refusal::NotRecoverable),
        }
    }

    /// A socket's handshake is done. After the first one handlers hear of the connection, and of the groups that it
    /// is in by now.
    pub(crate) fn handshake_done(&mut self, key: ConnectionKey, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.announced {
            return;
        }
        connection.announced = true;
        let groups = connection.groups.clone();
        self.notify(key, NoticeKind::Connected, effects);
        if self.group_events.joined {
            for group in groups {
                self.notify(key, NoticeKind::Joined(group), effects);
            }
        }
    }

    /// Forgets a connection that was to be opened.
    pub(crate) fn reject(&mut self, ticket: Ticket) {
        self.pending.remove(&ticket);
    }

    /// Gives a reliable connection a new socket. The caller has checked its reconnection token.
    ///
    /// A socket that still looks alive is superseded: the new one wins.
    pub(crate) fn recover(
        &mut self,
        now: Now,
        id: &str,
        effects: &mut Effects,
    ) -> Result<Attachment, Refusal> {
        let (owner, admission) = self.decide(Claim::Recover(id))?;
        let key = owner.ok_or(Refusal::NotRecoverable)?;
        let connection = self
            .connections
            .get_mut(key)
            .ok_or(Refusal::NotRecoverable)?;
        connection.socket = Socket::Attached;
        connection.epoch = connection.epoch.next();
        self.drop_call(key, effects);
        let connected = if self.settings.connected_on_recovery {
            self.connected_frame(now, key)
        } else {
            None
        };
        let connection = self
            .connections
            .get_mut(key)
            .ok_or(Refusal::NotRecoverable)?;
        let form = connection.outbox.form();
        let first = connected.and_then(|frame| Frame::of(form, &frame));
        let outbox = Arc::clone(&connection.outbox);
        outbox.attach(now.mono, connection.epoch, first, &mut effects.wakes);
        effects.changed = true;
        Ok(Attachment {
            key,
            epoch: connection.epoch,
            connection_id: connection.id.clone(),
            user_id: connection.user.clone().map(Arc::new),
            protocol: connection.protocol.clone(),
            outbox,
            admission,
        })
    }

    /// A socket of the connection is gone. What comes late from an earlier socket changes nothing.
    pub(crate) fn socket_gone(
        &mut self,
        now: Now,
        key: ConnectionKey,
        epoch: Epoch,
        gone: Gone,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.epoch != epoch || connection.socket != Socket::Attached {
            return;
        }
        let is_recoverable = connection.outbox.is_recoverable();
        // Whoever waits for this client goes on, even where the connection is over.
        connection.outbox.detach(&mut effects.wakes);
        match gone {
            Gone::ClosedForGood(reason) => {
                return drop(self.remove(now, key, &End::ByClient(reason), effects));
            }
            Gone::Lost if !is_recoverable => {
                return drop(self.remove(now, key, &End::Lost, effects));
            }
            Gone::Lost => {}
        }
        connection.socket = Socket::Detached;
        effects.changed = true;
        self.drop_call(key, effects);
        let at = now.mono + self.settings.recovery_window;
        self.set_deadline(at, Due::Recovery(key, epoch), effects);
    }

    /// A socket broke the protocol, which ends its connection. An earlier socket ends nothing.
    pub(crate) fn socket_failed(
        &mut self,
        now: Now,
        key: ConnectionKey,
        epoch: Epoch,
        end: &End,
        effects: &mut Effects,
    ) {
        let connection = self.connections.get(key);
        if connection.is_some_and(|connection| connection.epoch == epoch) {
            self.end(now, key, end, effects);
        }
    }

    /// The time to recover is over, unless the connection was recovered meanwhile.
    pub(super) fn recovery_expired(
        &mut self,
        now: Now,
        key: ConnectionKey,
        epoch: Epoch,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        if connection.epoch == epoch && connection.socket == Socket::Detached {
            tracing::debug!(connection = %connection.id, "the recovery window is over");
            self.remove(now, key, &End::NotRecovered, effects);
        }
    }

    /// Ends a connection: it is gone from every index at once, its socket drains and closes.
    pub(crate) fn end(&mut self, now: Now, key: ConnectionKey, end: &End, effects: &mut Effects) {
        let Some(outbox) = self.remove(now, key, end, effects) else {
            return;
        };
        effects.slow_closes += u64::from(matches!(end, End::Slow(_)));
        let seen = end.seen_by(outbox.form());
        let close = Close {
            code: seen.code,
            reason: seen.reason.to_string(),
            abort_at: now.mono + end.drain(),
        };
        outbox.close(seen.last, close, &mut effects.wakes);
    }

    fn remove(
        &mut self,
        now: Now,
        key: ConnectionKey,
        end: &End,
        effects: &mut Effects,
    ) -> Option<Arc<Outbox>> {
        self.drop_call(key, effects);
        self.cancel_streams(now, key, effects);
        let groups = self.connections.get(key)?.groups.clone();
        for group in &groups {
            self.change_membership(now, key, group, Change::Leave, Cause::End, effects);
        }
        self.notify(key, NoticeKind::Disconnected(end.reason()), effects);
        effects.changed = true;
        let connection = self.take(key)?;
        effects
            .ended
            .push((connection.id, connection.user, end.reason()));
        Some(connection.outbox)
    }

    /// Nobody waits for the connection's handler call any more, nor for what waits behind it.
    fn drop_call(&mut self, key: ConnectionKey, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.waiting = Backlog::default();
        connection.outbox.pause(false, &mut effects.wakes);
        if let Some(call) = connection.in_flight.take() {
            self.calls.remove(&call.token);
            effects.cancelled.push(call.token);
        }
    }

    /// The frame that opens a socket, with a fresh reconnection token on reliable connections.
    fn connected_frame(&mut self, now: Now, key: ConnectionKey) -> Option<ServerFrame> {
        let connection = self.connections.get(key)?;
        let reconnection_token = connection.outbox.is_reliable().then(|| {
            let jti = self.ids.token_id();
            let key = &self.settings.access_key;
            let token = sign_reconnection_token(connection.id.as_str(), &jti, key, now.wall);
            ByteString::from(token.into_string())
        });
        Some(ServerFrame::Connected {
            connection_id: connection.id.as_shared().clone(),
            user_id: connection
                .user
                .as_ref()
                .map(|user| user.as_shared().clone()),
            reconnection_token,
        })
    }
}
