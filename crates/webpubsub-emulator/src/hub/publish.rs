//! From a message to its recipients. A send touches only its targets, and never waits for one.

use std::sync::Arc;

use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::frame::ServerFrame;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};

use super::connection::{Connection, ConnectionKey};
use super::effect::Effects;
use super::end::End;
use super::message::{Draft, Frame};
use super::outbox::{Full, Item, Outbox};
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

impl Selection {
    /// Whether nobody is left out.
    pub(super) fn is_everyone(&self) -> bool {
        self.excluded.is_empty() && self.filter.is_none()
    }
}

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
                    .map(|member| member.key),
            ),
            Target::Connection(id) => among(&mut self.key_of(id.as_str()).into_iter()),
        }
    }

    /// Puts the message into the outbox of each connection.
    pub(super) fn deliver(
        &mut self,
        now: Now,
        keys: impl IntoIterator<Item = ConnectionKey>,
        message: &Draft,
        effects: &mut Effects,
    ) {
        for key in keys {
            if let Some(connection) = self.connections.get(key)
                && let Err(full) = publish(&connection.outbox, now, message, effects)
            {
                let id = connection.id.clone();
                self.slow_clients.entry(id).or_insert((key, full));
            }
        }
        self.end_slow_clients(now, effects);
    }

    /// Puts the message into the outbox of each member of the group, but for one.
    pub(super) fn deliver_to_group(
        &mut self,
        now: Now,
        group: &GroupName,
        except: Option<ConnectionKey>,
        message: &Draft,
        effects: &mut Effects,
    ) {
        let Some(members) = self.groups.get(group) else {
            return;
        };
        for (id, member) in members {
            if Some(member.key) != except
                && let Err(full) = publish(&member.outbox, now, message, effects)
            {
                self.slow_clients
                    .entry(id.clone())
                    .or_insert((member.key, full));
            }
        }
        self.end_slow_clients(now, effects);
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
        if let Err(full) = push(
            &connection.outbox,
            now,
            Item::Control(Box::new(frame)),
            effects,
        ) {
            let id = connection.id.clone();
            self.slow_clients.entry(id).or_insert((key, full));
            self.end_slow_clients(now, effects);
        }
    }

    /// Ends the clients that a delivery found to be slow, once it is complete. Others hear of these ends, and more of them may
    /// turn out to be slow: they come next, however many they are, and not one inside the other.
    fn end_slow_clients(&mut self, now: Now, effects: &mut Effects) {
        if self.is_ending_slow_clients || self.slow_clients.is_empty() {
            return;
        }
        self.is_ending_slow_clients = true;
        while !self.slow_clients.is_empty() {
            let slow_clients = std::mem::take(&mut self.slow_clients);
            // Nobody who ends hears of the others: many slow members of one group end in one pass.
            for &(key, _) in slow_clients.values() {
                self.unlist(key);
            }
            for (key, full) in slow_clients.into_values() {
                self.end(now, key, &End::Slow(full), effects);
            }
        }
        self.is_ending_slow_clients = false;
    }

    /// Delivers nothing to a connection's groups any more. It still counts as their member until it ends.
    fn unlist(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        for group in &connection.groups {
            if let Some(members) = self.groups.get_mut(group) {
                members.remove(&connection.id);
            }
            if let Some(subscribers) = self.subscribers.get_mut(group) {
                subscribers.remove(&key);
            }
        }
    }
}

fn publish(
    outbox: &Arc<Outbox>,
    now: Now,
    message: &Draft,
    effects: &mut Effects,
) -> Result<(), Full> {
    match message.encoded(outbox.form()) {
        Some(encoded) => push(outbox, now, Item::Message(Arc::clone(encoded)), effects),
        // A form that cannot say it.
        None => Ok(()),
    }
}

fn push(outbox: &Arc<Outbox>, now: Now, item: Item, effects: &mut Effects) -> Result<(), Full> {
    if outbox.push(now.mono, item, &mut effects.wakes)? {
        effects.crowded.push(Arc::clone(outbox));
    }
    Ok(())
}
