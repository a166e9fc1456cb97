//! A hub of the service.
//!
//! [`HubState`] is the pure part: a plain struct that takes the time and appends [`Effects`].
//! [`Hub`] is the handle around it: it holds the one lock, never across an await, and carries the
//! effects out once the lock is released. Frames are put into outboxes under the lock, so that all
//! sockets see one order; sockets are woken after it.

mod acks;
mod connection;
mod deadlines;
#[cfg(feature = "__simulation")]
pub mod driven;
mod effect;
mod end;
mod explain;
mod frames;
mod group_state;
mod inspect;
mod kind;
mod lifecycle;
mod membership;
mod message;
mod outbox;
mod owned;
mod publish;
mod rest;
mod saved;
mod snapshot;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod upstream;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};
use webpubsub_protocol::permission::Permission;

pub(crate) use connection::{ConnectionKey, Epoch, RawMode, Received};
pub(crate) use effect::{
    CallToken, Effects, Explained, HandlerFailed, Notice, NoticeKind, Reply, UpstreamCall,
};
pub(crate) use end::{CONNECTION_ENDED, End, Violation};
pub use kind::MessageKind;
pub(crate) use lifecycle::{
    Admission, Attachment, Gone, Negotiated, OPEN_TIMEOUT, OpenRequest, Overrides, Ticket,
};
pub(crate) use membership::{Change, GroupEvents};
pub(crate) use message::WireForm;
pub(crate) use outbox::{
    Batch, CLOSE_DRAIN, Crowded, Flush, Found, Full, Line, Outbox, OutboxLimits, STALL_LIMIT,
    Waiting, Wakes,
};
pub(crate) use publish::{Selection, Target};
pub(crate) use rest::{GrantError, Member, NoSuchConnection, Outgoing};
pub use snapshot::{ConnectionSnapshot, HubSnapshot, State};
pub(crate) use state::{HubSettings, HubState};
pub(crate) use wire::{FrameKind, WireFrame};

use crate::clock::{Clock, Now};
use crate::ids::Ids;
use crate::metrics::HubCounters;
use crate::refusal::Refusal;
use crate::saved::{Entry, Imported};
use crate::traffic::{Log, TrafficEvent};

/// Who handles the events of a hub.
pub(crate) trait Upstream: Send + Sync {
    /// The answer to one event. Dropped when its connection ends before.
    fn call(
        &self,
        hub: &HubName,
        call: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>>;

    /// Takes what happened to a connection. Returns at once, whatever it does with it.
    fn notify(&self, _hub: &HubName, _notice: Notice) {}
}

/// What a frame leaves to do for whoever handed it in.
#[derive(Debug)]
#[must_use]
pub(crate) struct Brake {
    /// Who goes on now. A socket that hands in many frames carries it out once for all of them.
    pub(crate) wakes: Wakes,
    /// Outboxes that the frame left crowded, perhaps the client's own: no more is to be read before they have room.
    pub(crate) crowded: Vec<Arc<Outbox>>,
    /// Whether so much waits for the event handler that no more is to be read.
    pub(crate) pauses: bool,
}

pub(crate) struct Hub {
    me: Weak<Self>,
    name: HubName,
    clock: Clock,
    state: Mutex<HubState>,
    /// Counts the changes of all hubs, for those who wait for one.
    changes: watch::Sender<u64>,
    upstream: Option<Arc<dyn Upstream>>,
    traffic: Arc<Log>,
    counters: HubCounters,
    calls: Mutex<BTreeMap<CallToken, AbortHandle>>,
    deadline_moved: Arc<Notify>,
    /// Stops the deadline keeper when the hub is dropped.
    _keeper: DropGuard,
}

impl Hub {
    pub(crate) fn new(
        name: HubName,
        clock: Clock,
        settings: HubSettings,
        seed: Option<u64>,
        changes: watch::Sender<u64>,
        upstream: Option<Arc<dyn Upstream>>,
        traffic: Arc<Log>,
    ) -> Arc<Self> {
        let ids = Ids::new(seed, name.as_str());
        let deadline_moved = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let hub = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            name,
            clock,
            state: Mutex::new(HubState::new(settings, ids)),
            changes,
            upstream,
            traffic,
            counters: HubCounters::default(),
            calls: Mutex::default(),
            deadline_moved: Arc::clone(&deadline_moved),
            _keeper: stop.clone().drop_guard(),
        });
        let keeper = keep_deadlines(Arc::downgrade(&hub), deadline_moved);
        tokio::spawn(async move { stop.run_until_cancelled(keeper).await });
        hub
    }

    pub(crate) fn name(&self) -> &HubName {
        &self.name
    }

    pub(crate) fn counters(&self) -> &HubCounters {
        &self.counters
    }

    /// Makes one change under the lock, then carries out its effects.
    fn act<R>(&self, change: impl FnOnce(&mut HubState, Now, &mut Effects) -> R) -> R {
        let mut effects = self.effects();
        let result = self.change(&mut effects, change);
        self.settle(effects);
        result
    }

    /// As [`act`](Self::act), and returns what the caller has to wait for.
    fn act_and_fill(&self, change: impl FnOnce(&mut HubState, Now, &mut Effects)) -> Brake {
        let mut effects = self.effects();
        self.change(&mut effects, change);
        let brake = Brake {
            wakes: std::mem::take(&mut effects.wakes),
            crowded: std::mem::take(&mut effects.crowded),
            pauses: effects.pauses,
        };
        self.settle(effects);
        brake
    }

    fn effects(&self) -> Effects {
        Effects {
            explains: self.traffic.is_read(),
            ..Effects::default()
        }
    }

    fn change<R>(
        &self,
        effects: &mut Effects,
        change: impl FnOnce(&mut HubState, Now, &mut Effects) -> R,
    ) -> R {
        let mut state = self.state.lock();
        // Read under the lock: time never goes back from one change to the next.
        change(&mut state, self.clock.now(), effects)
    }

    fn settle(&self, effects: Effects) {
        for explained in effects.explained {
            self.traffic.note(|| {
                let hub = self.name.clone();
                match explained {
                    Explained::Denied(denial) => TrafficEvent::Denied { hub, denial },
                    Explained::Filtered(send) => TrafficEvent::Filtered { hub, send },
                }
            });
        }
        effects.wakes.carry_out(&self.clock);
        for token in effects.cancelled {
            if let Some(call) = self.calls.lock().remove(&token) {
                call.abort();
            }
        }
        for call in effects.calls {
            self.start_call(call);
        }
        if let Some(upstream) = &self.upstream {
            for notice in effects.notices {
                upstream.notify(&self.name, notice);
            }
        }
        for (connection_id, user_id, reason) in effects.ended {
            self.traffic.note(|| TrafficEvent::Ended {
                hub: self.name.clone(),
                connection_id,
                user_id,
                reason: reason.to_string(),
            });
        }
        if effects.acks > 0 {
            self.counters.acks.add(effects.acks);
        }
        if effects.slow_closes > 0 {
            self.counters.slow_closes.add(effects.slow_closes);
        }
        if effects.deadline_moved {
            self.deadline_moved.notify_one();
        }
        if effects.changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn start_call(&self, call: UpstreamCall) {
        let (Some(upstream), Some(hub)) = (&self.upstream, self.me.upgrade()) else {
            return;
        };
        let token = call.token;
        let answer = upstream.call(&self.name, call);
        // Registered under the lock, so that the task cannot be done before it is known.
        let mut calls = self.calls.lock();
        let task = tokio::spawn(async move {
            let result = answer.await;
            hub.calls.lock().remove(&token);
            hub.act(|state, now, effects| state.upstream_done(now, token, result, effects));
        });
        calls.insert(token, task.abort_handle());
        drop(calls);
        // Given up before it was registered, when nobody could find it to abort it.
        let awaited = self.state.lock().awaits(token);
        if !awaited && let Some(call) = self.calls.lock().remove(&token) {
            call.abort();
        }
    }

    // Connections.

    pub(crate) fn open(&self, request: OpenRequest) -> (Ticket, ConnectionId) {
        self.act(|state, now, effects| state.open(now, request, effects))
    }

    pub(crate) fn accept(
        &self,
        ticket: Ticket,
        overrides: Overrides,
    ) -> Result<Attachment, Refusal> {
        self.act(|state, now, effects| state.accept(now, ticket, overrides, effects))
    }

    /// Gives an opening up.
    pub(crate) fn reject(&self, ticket: Ticket) {
        self.act(|state, _, _| state.reject(ticket));
    }

    /// The handshake of a socket of this connection is done.
    pub(crate) fn handshake_done(&self, key: ConnectionKey) {
        self.act(|state, _, effects| state.handshake_done(key, effects));
    }

    /// Sets which changes of groups are reported to event handlers from now on.
    pub(crate) fn set_group_events(&self, group_events: GroupEvents) {
        self.act(|state, _, _| state.group_events = group_events);
    }

    /// Handles what a socket received.
    pub(crate) fn receive(&self, key: ConnectionKey, epoch: Epoch, received: Received) -> Brake {
        self.act_and_fill(|state, now, effects| state.receive(now, key, epoch, received, effects))
    }

    pub(crate) fn socket_failed(&self, key: ConnectionKey, epoch: Epoch, end: &End) {
        self.act(|state, now, effects| state.socket_failed(now, key, epoch, end, effects));
    }

    pub(crate) fn recover(&self, id: &str) -> Result<Attachment, Refusal> {
        self.act(|state, now, effects| state.recover(now, id, effects))
    }

    pub(crate) fn socket_gone(&self, key: ConnectionKey, epoch: Epoch, gone: Gone) {
        self.act(|state, now, effects| state.socket_gone(now, key, epoch, gone, effects));
    }

    pub(crate) fn end_all(&self, end: &End) {
        self.act(|state, now, effects| state.close(now, &Target::All, &[], end, effects));
    }

    /// Whether it has no connection, not even one that is being opened or could be recovered.
    pub(crate) fn is_unused(&self) -> bool {
        self.state.lock().is_unused()
    }

    pub(crate) fn snapshot(&self) -> HubSnapshot {
        self.state.lock().snapshot()
    }

    /// Makes connections be as they were saved, now or when their users connect.
    pub(crate) fn import(&self, entries: Vec<Entry>) -> Imported {
        self.act(|state, now, effects| state.import(now, entries, effects))
    }

    /// Reads what it holds.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&HubState, Now) -> R) -> R {
        let state = self.state.lock();
        read(&state, self.clock.now())
    }

    /// The user of a connection, if it has one.
    pub(crate) fn user_of(&self, key: ConnectionKey) -> Option<UserId> {
        let state = self.state.lock();
        state.connections.get(key)?.user.clone()
    }

    /// The user of the connection with this id, if there are both.
    pub(crate) fn user_of_id(&self, id: &str) -> Option<UserId> {
        let state = self.state.lock();
        state.connections.get(state.key_of(id)?)?.user.clone()
    }

    /// Has the tasks of all sockets look at what has changed.
    pub(crate) fn wake_sockets(&self) {
        let state = self.state.lock();
        let outboxes: Vec<_> = state
            .connections
            .values()
            .map(|connection| Arc::clone(&connection.outbox))
            .collect();
        drop(state);
        outboxes.iter().for_each(|outbox| outbox.wake_task());
    }

    // REST.

    /// Sends a message, and waits until those who received it have room for more: at most
    /// [`STALL_LIMIT`] by the machine's time, since a client that takes nothing for so long holds nobody back.
    ///
    /// The message is on its way when the returned future is first polled, so nothing is lost with a caller that
    /// leaves.
    pub(crate) async fn send(&self, target: &Target, selection: &Selection, message: Outgoing) {
        let brake = self.act_and_fill(|state, now, effects| {
            state.send(now, target, selection, message, effects);
        });
        brake.wakes.carry_out(&self.clock);
        if !brake.crowded.is_empty() {
            let mut crowded = Crowded::default();
            crowded.add(brake.crowded);
            let clear = poll_fn(|cx| crowded.poll_clear(cx));
            // Time-out or not: the message was sent.
            let _ = tokio::time::timeout(STALL_LIMIT, clear).await;
        }
    }

    pub(crate) fn close(&self, target: &Target, excluded: &[String], reason: Option<&str>) {
        let end = End::by_server(reason);
        self.act(|state, now, effects| state.close(now, target, excluded, &end, effects));
    }

    pub(crate) fn connection_exists(&self, id: &str) -> bool {
        self.state.lock().key_of(id).is_some()
    }

    /// What of a connection waits for the event handler.
    #[cfg(feature = "__simulation")]
    pub(crate) fn backlog(&self, key: ConnectionKey) -> driven::Amount {
        let state = self.state.lock();
        let connection = state.connections.get(key);
        connection.map_or_else(Default::default, |connection| {
            connection.waiting.fill().into()
        })
    }

    pub(crate) fn user_exists(&self, user: &str) -> bool {
        self.state.lock().user_exists(user)
    }

    pub(crate) fn group_exists(&self, group: &str) -> bool {
        self.state.lock().group_exists(group)
    }

    pub(crate) fn add_connection_to_group(
        &self,
        id: &str,
        group: &GroupName,
    ) -> Result<(), NoSuchConnection> {
        self.act(|state, now, effects| state.add_connection_to_group(now, id, group, effects))
    }

    /// Adds all connections of a user. Returns whether there is one.
    pub(crate) fn add_user_to_group(&self, user: &str, group: &GroupName) -> bool {
        self.act(|state, now, effects| state.add_user_to_group(now, user, group, effects))
    }

    pub(crate) fn remove_connection_from_group(&self, id: &str, group: &GroupName) {
        self.act(|state, now, fx| state.remove_connection_from_groups(now, id, Some(group), fx));
    }

    pub(crate) fn remove_connection_from_all_groups(&self, id: &str) {
        self.act(|state, now, fx| state.remove_connection_from_groups(now, id, None, fx));
    }

    pub(crate) fn remove_user_from_group(&self, user: &str, group: &GroupName) {
        self.act(|state, now, fx| state.remove_user_from_groups(now, user, Some(group), fx));
    }

    pub(crate) fn remove_user_from_all_groups(&self, user: &str) {
        self.act(|state, now, fx| state.remove_user_from_groups(now, user, None, fx));
    }

    /// Changes many groups of all connections that match the filter.
    pub(crate) fn change_groups(
        &self,
        filter: Option<&Filter>,
        groups: &[GroupName],
        change: Change,
    ) {
        self.act(|state, now, effects| state.change_groups(now, filter, groups, change, effects));
    }

    pub(crate) fn grant(
        &self,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> Result<(), GrantError> {
        self.act(|state, _, _| state.grant(id, permission, group))
    }

    pub(crate) fn revoke(
        &self,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> Result<(), GrantError> {
        self.act(|state, now, fx| state.revoke(now, id, permission, group, fx))
    }

    pub(crate) fn check(
        &self,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> Option<bool> {
        self.state.lock().check(id, permission, group)
    }

    /// Members in ascending order of connection id, after `after`, and whether more follow.
    pub(crate) fn members(
        &self,
        group: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<Member>, bool) {
        self.state.lock().members(group, after, limit)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Wakes the hub at its deadlines. Holds it only while it acts, so that it can be dropped.
async fn keep_deadlines(hub: Weak<Hub>, moved: Arc<Notify>) {
    loop {
        let Some((next, clock)) = hub
            .upgrade()
            .map(|hub| (hub.state.lock().poll_timeout(), hub.clock.clone()))
        else {
            return;
        };
        let due = async {
            match next {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moved.notified() => {}
            () = due => {
                let Some(hub) = hub.upgrade() else { return };
                hub.act(|state, now, effects| state.handle_timeout(now, effects));
            }
        }
    }
}
