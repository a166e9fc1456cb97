//! What a hub holds, copied for whoever looks into it. Pure reading: nothing is created, counted or woken.

use std::collections::BTreeMap;
use std::time::Duration;

use webpubsub_protocol::name::HubName;

use super::connection::{Connection, ConnectionKey, Socket};
use super::outbox::Held;
use super::state::{GroupMember, HubState};
use crate::clock::Now;
use crate::inspect::{ConnectionInfo, GroupInfo, HubInfo, MemberInfo};

impl HubState {
    /// The hub itself. What is set up for it, its caller knows.
    pub(crate) fn info(&self, hub: &HubName) -> HubInfo {
        HubInfo {
            name: hub.clone(),
            connections: self.connections.len(),
            connecting: self.pending.len(),
            users: self.users.len(),
            groups: self.groups.len(),
            handlers: 0,
            anonymous_connect: false,
        }
    }

    /// Visits each connection: its subprotocol, whether it has a socket, and what its outbox holds.
    pub(crate) fn each_outbox(&self, mut visit: impl FnMut(Option<&str>, bool, Held)) {
        for connection in self.connections.values() {
            let is_attached = connection.socket == Socket::Attached;
            visit(
                connection.protocol.as_deref(),
                is_attached,
                connection.outbox.held(),
            );
        }
    }

    /// All connections, or those of a user, in the order of their ids.
    pub(crate) fn connection_infos(
        &self,
        now: Now,
        hub: &HubName,
        user: Option<&str>,
    ) -> Vec<ConnectionInfo> {
        let info = |key: ConnectionKey| Some(info(self.connections.get(key)?, now, hub));
        let mut infos: Vec<_> = match user {
            Some(user) => {
                let keys = self.users.get(user).into_iter().flatten();
                keys.copied().filter_map(info).collect()
            }
            None => self.connections.keys().filter_map(info).collect(),
        };
        infos.sort_unstable_by(|one, other| one.connection_id.cmp(&other.connection_id));
        infos
    }

    /// One connection.
    pub(crate) fn connection_info(
        &self,
        now: Now,
        hub: &HubName,
        id: &str,
    ) -> Option<ConnectionInfo> {
        let connection = self.connections.get(self.key_of(id)?)?;
        Some(info(connection, now, hub))
    }

    /// All groups with their members.
    pub(crate) fn group_infos(&self, hub: &HubName) -> Vec<GroupInfo> {
        let names = self.groups.keys();
        names
            .filter_map(|name| self.group_info(hub, name.as_str()))
            .collect()
    }

    /// One group with its members.
    pub(crate) fn group_info(&self, hub: &HubName, name: &str) -> Option<GroupInfo> {
        let (name, members) = self.groups.get_key_value(name)?;
        let subscribers = self.subscribers.get(name);
        let member = |member: &GroupMember| {
            let connection = self.connections.get(member.key)?;
            let state = connection.states.get(name).map(|entry| {
                let entries = entry.entries.iter().cloned();
                entries.collect::<BTreeMap<_, _>>()
            });
            Some(MemberInfo {
                connection_id: connection.id.clone(),
                user_id: connection.user.clone(),
                state,
                subscribed: subscribers.is_some_and(|keys| keys.contains(&member.key)),
            })
        };
        Some(GroupInfo {
            hub: hub.clone(),
            name: name.clone(),
            members: members.values().filter_map(member).collect(),
        })
    }
}

fn info(connection: &Connection, now: Now, hub: &HubName) -> ConnectionInfo {
    let (mut roles, mut revoked_roles) = (Vec::new(), Vec::new());
    for rule in connection.permissions.iter() {
        match rule.allowed {
            true => roles.push(rule.to_string()),
            false => revoked_roles.push(rule.to_string()),
        }
    }
    let held = connection.outbox.held();
    let age = now.wall.duration_since(connection.opened_at);
    ConnectionInfo {
        hub: hub.clone(),
        connection_id: connection.id.clone(),
        user_id: connection.user.clone(),
        subprotocol: connection.protocol.as_ref().map(ToString::to_string),
        reliable: connection.outbox.is_reliable(),
        attached: connection.socket == Socket::Attached,
        connected_at: connection.opened_at,
        age: age.unwrap_or(Duration::ZERO),
        token_expires_at: connection.token_expires_at,
        groups: connection.groups.iter().cloned().collect(),
        roles,
        revoked_roles,
        queue: held.queue,
        replay: held.replay,
        waiting: connection.waiting.fill(),
        streams: connection.streams.len(),
        reads: held.reads,
    }
}
