//! How connections begin, lose their socket, are recovered, and end.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::access::sign_reconnection_token;
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::permission::PermissionSet;

use super::connection::{Backlog, Connection, ConnectionKey, Epoch, RawMode, Socket};
use super::effect::{Effects, NoticeKind};
use super::membership::{Cause, Change};
use super::message::{Frame, WireForm};
use super::outbox::{CLOSE_DRAIN, Close, Full, Outbox, SLOW_DRAIN};
use super::state::{Due, HubState};
use crate::clock::Now;
use crate::handlers::Session;

/// How long a connection that is being opened may wait for its `connect` answer, unless its handler may take longer.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(100);

/// What the `disconnected` event says when the transport was lost, or closed in a way that is not the client's last
/// word.
pub(crate) const CONNECTION_ENDED: ByteString = ByteString::from_static("The connection ended.");

const RECOVERY_EXPIRED: ByteString =
    ByteString::from_static("The connection recovery timeout expired.");

/// A connection that was announced but not accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(super) u64);

/// A connection as its token and URL ask for it.
#[derive(Debug, Clone)]
pub(crate) struct OpenRequest {
    /// Chosen by the caller, or drawn.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) user: Option<UserId>,
    pub(crate) roles: Vec<String>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) form: WireForm,
    /// Whether messages are numbered and the connection survives its socket.
    pub(crate) reliable: bool,
    /// The negotiated subprotocol as the client spelled it.
    pub(crate) protocol: Option<ByteString>,
    pub(crate) raw_mode: RawMode,
    /// How long it may take until it is accepted.
    pub(crate) patience: Duration,
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

/// What a client speaks.
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
    /// The connection's subprotocol as its first socket spelled it.
    pub(crate) protocol: Option<ByteString>,
    pub(crate) outbox: Arc<Outbox>,
}

/// How a socket was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The client closed for good, with this reason: it will not come back.
    ClosedForGood(ByteString),
    /// Any other way: a reliable client may come back.
    Lost,
}

/// The connection cannot be recovered: unknown, ended, or not reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotRecoverable;

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
    const fn new(code: u16, reason: ByteString) -> Self {
        Self {
            code,
            reason,
            farewell: None,
            drain: CLOSE_DRAIN,
        }
    }

    /// A REST close: the text is in the last frame, the close frame's reason stays empty.
    pub(crate) fn by_server(reason: Option<&str>) -> Self {
        let mut farewell = "Application server closed the connection.".to_owned();
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            farewell.push_str(" Reason: ");
            farewell.push_str(reason);
        }
        Self {
            farewell: Some(farewell),
            ..Self::new(1000, ByteString::new())
        }
    }

    /// The client broke the protocol: closed at once, without a last frame.
    pub(crate) const fn protocol_error(code: u16, reason: &'static str) -> Self {
        Self::new(code, ByteString::from_static(reason))
    }

    /// The event of a simple client failed.
    pub(super) const fn failed_event(normally: bool) -> Self {
        if normally {
            Self::new(1000, ByteString::new())
        } else {
            Self::new(1011, ByteString::from_static("Internal server error"))
        }
    }

    /// The client does not take what it is sent. It hears why, if it reads at all.
    pub(crate) fn slow(full: Full) -> Self {
        let reason = full.reason();
        Self {
            farewell: Some(reason.to_owned()),
            drain: SLOW_DRAIN,
            ..Self::new(1008, ByteString::from_static(reason))
        }
    }

    /// What the `disconnected` event says.
    fn event_reason(&self) -> ByteString {
        match &self.farewell {
            Some(text) => text.as_str().into(),
            None => self.reason.clone(),
        }
    }

    /// The service goes away.
    pub(crate) fn service_reload() -> Self {
        Self {
            farewell: Some("Service reload".to_owned()),
            ..Self::new(1001, ByteString::new())
        }
    }
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
        request.id = Some(id.clone());
        let patience = request.patience;
        let ticket = self.new_ticket();
        self.pending.insert(ticket, request);
        self.set_deadline(now.mono + patience, Due::Open(ticket), effects);
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
        let mut request = self.pending.remove(&ticket)?;
        let id = request.id?;
        if self.key_of(id.as_str()).is_some() {
            return None;
        }
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

        let outbox = Outbox::new(
            request.form,
            request.reliable,
            self.settings.outbox,
            self.settings.replay,
            now.mono,
        );
        let mut connection =
            Connection::new(id.clone(), Arc::clone(&outbox), self.settings.ack_ids);
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
        Some(Attachment {
            key,
            epoch,
            connection_id: id,
            protocol: request.protocol,
            outbox,
        })
    }

    /// A socket's handshake is done. After the first one handlers hear of the connection, and of the groups that it
    /// is in by now.
    pub(crate) fn greet(&mut self, key: ConnectionKey, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.announced {
            return;
        }
        connection.announced = true;
        let groups = connection.groups.clone();
        self.tell(key, NoticeKind::Connected, effects);
        if self.group_events.joined {
            for group in groups {
                self.tell(key, NoticeKind::Joined(group), effects);
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
    ) -> Result<Attachment, NotRecoverable> {
        let key = self.key_of(id).ok_or(NotRecoverable)?;
        let connection = self.connections.get_mut(key).ok_or(NotRecoverable)?;
        if !connection.outbox.is_reliable() {
            return Err(NotRecoverable);
        }
        connection.socket = Socket::Attached;
        connection.epoch = connection.epoch.next();
        self.drop_call(key, effects);
        let connected = if self.settings.connected_on_recovery {
            self.connected_frame(now, key)
        } else {
            None
        };
        let connection = self.connections.get_mut(key).ok_or(NotRecoverable)?;
        let form = connection.outbox.form();
        let first = connected.and_then(|frame| Frame::of(form, &frame));
        let outbox = Arc::clone(&connection.outbox);
        outbox.attach(now.mono, connection.epoch, first, &mut effects.wakes);
        effects.changed = true;
        Ok(Attachment {
            key,
            epoch: connection.epoch,
            connection_id: connection.id.clone(),
            protocol: connection.protocol.clone(),
            outbox,
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
        let reliable = connection.outbox.is_reliable();
        match gone {
            Gone::ClosedForGood(reason) => return drop(self.remove(now, key, reason, effects)),
            Gone::Lost if !reliable => {
                return drop(self.remove(now, key, CONNECTION_ENDED, effects));
            }
            Gone::Lost => {}
        }
        connection.socket = Socket::Detached;
        connection.outbox.detach(&mut effects.wakes);
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
            self.remove(now, key, RECOVERY_EXPIRED, effects);
        }
    }

    /// Ends a connection: it is gone from every index at once, its socket drains and closes.
    pub(crate) fn end(&mut self, now: Now, key: ConnectionKey, end: &End, effects: &mut Effects) {
        let Some(outbox) = self.remove(now, key, end.event_reason(), effects) else {
            return;
        };
        let last = end.farewell.as_ref().and_then(|message| {
            let frame = ServerFrame::Disconnected {
                message: message.clone(),
            };
            Frame::of(outbox.form(), &frame)
        });
        let close = Close {
            code: end.code,
            reason: end.reason.to_string(),
            abort_at: now.mono + end.drain,
        };
        outbox.close(last, close, &mut effects.wakes);
    }

    fn remove(
        &mut self,
        now: Now,
        key: ConnectionKey,
        reason: ByteString,
        effects: &mut Effects,
    ) -> Option<Arc<Outbox>> {
        self.drop_call(key, effects);
        self.cancel_streams(now, key, effects);
        let groups = self.connections.get(key)?.groups.clone();
        for group in &groups {
            self.change_membership(now, key, group, Change::Leave, Cause::End, effects);
        }
        self.tell(key, NoticeKind::Disconnected(reason), effects);
        effects.changed = true;
        self.take(key).map(|connection| connection.outbox)
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
