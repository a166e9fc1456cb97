//! From a message to its recipients. A send touches only its targets, and never waits for one.

use std::collections::BTreeMap;
use std::sync::Arc;

use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};

use super::connection::{Connection, ConnectionKey};
use super::effect::Effects;
use super::lifecycle::End;
use super::message::{Frame, Shared};
use super::outbox::{Full, Item};
use super::state::HubState;
use crate::clock::Now;

/// Whom a REST call addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    All,
    User(UserId),
    Group(GroupName),
    Connection(ConnectionId),
}

/// Which of the addressed connections are meant.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Connection ids that are left out, compared exactly.
    pub(crate) excluded: Vec<String>,
    pub(crate) filter: Option<Filter>,
}

/// Why a slow client is told to go.
const QUEUE_FULL: &str = "The outbound message queue is full.";

/// Why a client that does not acknowledge is told to go.
const REPLAY_FULL: &str = "The reliable message buffer is full.";

impl HubState {
    /// The keys of the selected connections.
    pub(super) fn select(&self, target: &Target, selection: &Selection) -> Vec<ConnectionKey> {
        let mut excluded: Vec<ConnectionKey> = selection
            .excluded
            .iter()
            .filter_map(|id| self.key_of(id))
            .collect();
        excluded.sort_unstable();
        let wanted = |key: &ConnectionKey, connection: &Connection| {
            excluded.binary_search(key).is_err()
                && selection
                    .filter
                    .as_ref()
                    .is_none_or(|filter| filter.matches(connection))
        };
        let among = |keys: &mut dyn Iterator<Item = ConnectionKey>| {
            keys.filter(|key| self.connections.get(*key).is_some_and(|c| wanted(key, c)))
                .collect()
        };
        match target {
            Target::All => self
                .connections
                .iter()
                .filter(|(key, connection)| wanted(key, connection))
                .map(|(key, _)| key)
                .collect(),
            Target::User(user) => among(&mut self.users.get(user).into_iter().flatten().copied()),
            Target::Group(group) => among(
                &mut self
                    .groups
                    .get(group)
                    .into_iter()
                    .flat_map(|g| g.values())
                    .copied(),
            ),
            Target::Connection(id) => among(&mut self.key_of(id.as_str()).into_iter()),
        }
    }

    /// Puts the message into the outbox of each connection.
    pub(super) fn deliver(
        &mut self,
        now: Now,
        keys: &[ConnectionKey],
        message: &Arc<Shared>,
        effects: &mut Effects,
    ) {
        let mut slow = BTreeMap::new();
        for &key in keys {
            let Some(connection) = self.connections.get(key) else {
                continue;
            };
            match connection
                .outbox
                .push(now.mono, Item::Shared(Arc::clone(message)))
            {
                Ok(()) => effects.wakes.push(Arc::clone(&connection.outbox)),
                Err(full) => {
                    slow.insert(connection.id.clone(), (key, full));
                }
            }
        }
        // In order of their ids, whatever the order of `keys`.
        for (key, full) in slow.into_values() {
            self.end_slow(now, key, full, effects);
        }
    }

    /// Sends a frame to one connection; nothing where its wire form has no such frame.
    pub(super) fn control(
        &mut self,
        now: Now,
        key: ConnectionKey,
        frame: &ServerFrame,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let Some(frame) = Frame::of(connection.outbox.form(), frame) else {
            return;
        };
        match connection.outbox.push(now.mono, Item::Control(frame)) {
            Ok(()) => effects.wakes.push(Arc::clone(&connection.outbox)),
            Err(full) => self.end_slow(now, key, full, effects),
        }
    }

    fn end_slow(&mut self, now: Now, key: ConnectionKey, full: Full, effects: &mut Effects) {
        let reason = match full {
            Full::Queue => QUEUE_FULL,
            Full::Replay => REPLAY_FULL,
        };
        self.end(now, key, &End::slow(reason), effects);
    }
}
