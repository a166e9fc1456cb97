//! Exporting and importing what a hub knows of its connections.

use webpubsub_protocol::name::UserId;
use webpubsub_protocol::permission::{Permission, PermissionSet, Role, RoleAction, RoleScope};

use super::connection::{Connection, ConnectionKey};
use super::effect::Effects;
use super::membership::{Cause, Change};
use super::state::HubState;
use crate::clock::Now;
use crate::saved::{Entry, Imported, SavedConnection, SavedHub};

impl HubState {
    /// What can be imported again, in the order of the connections' ids. Entries that still wait for their user follow.
    pub(crate) fn export(&self) -> SavedHub {
        let mut connections: Vec<_> = self.connections.values().map(saved).collect();
        connections.sort_unstable_by(|one, other| one.connection_id.cmp(&other.connection_id));
        let waiting = self.imported.iter().flat_map(|(user, entries)| {
            entries.iter().map(|entry| SavedConnection {
                user_id: Some(user.to_string()),
                connection_id: None,
                groups: entry.groups.iter().map(ToString::to_string).collect(),
                roles: entry.roles.clone(),
                revoked_roles: entry.revoked_roles.clone(),
                states: entry
                    .states
                    .iter()
                    .map(|(group, state)| (group.to_string(), state.iter().cloned().collect()))
                    .collect(),
            })
        });
        connections.extend(waiting);
        SavedHub { connections }
    }

    /// Makes the open connections that are named as the entries say. Those of users who are not connected wait.
    pub(crate) fn import(
        &mut self,
        now: Now,
        entries: Vec<Entry>,
        effects: &mut Effects,
    ) -> Imported {
        self.imported.clear();
        let mut result = Imported::default();
        for entry in entries {
            let id = entry.connection_id.as_ref();
            if let Some(key) = id.and_then(|id| self.key_of(id.as_str())) {
                self.replace(now, key, entry, effects);
                result.applied += 1;
            } else if let Some(user) = entry.user.clone() {
                self.imported.entry(user).or_default().push_back(entry);
                result.waiting += 1;
            } else {
                result.ignored += 1;
            }
        }
        result
    }

    /// What waits for the next connection of a user.
    pub(super) fn take_imported(&mut self, user: &UserId) -> Option<Entry> {
        let waiting = self.imported.get_mut(user)?;
        let entry = waiting.pop_front();
        if waiting.is_empty() {
            self.imported.remove(user);
        }
        entry
    }

    /// Gives a connection that was just opened what was saved of its user, besides what its token gives it.
    pub(super) fn add_imported(
        &mut self,
        now: Now,
        key: ConnectionKey,
        entry: Entry,
        effects: &mut Effects,
    ) {
        if let Some(connection) = self.connections.get_mut(key) {
            let own = connection.permissions.iter();
            let own = own.filter(|rule| rule.allowed).map(|rule| rule.to_string());
            let roles: Vec<String> = own.chain(entry.roles).collect();
            connection.permissions = permissions(&roles, &entry.revoked_roles);
        }
        for group in &entry.groups {
            self.change_membership(now, key, group, Change::Join, Cause::Import, effects);
        }
        for (group, state) in entry.states {
            self.change_state(now, key, &group, Some(state), effects);
        }
    }

    /// Makes an open connection be as it was saved.
    fn replace(&mut self, now: Now, key: ConnectionKey, entry: Entry, effects: &mut Effects) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.permissions = permissions(&entry.roles, &entry.revoked_roles);
        let has_no_more = |group: &&_| !entry.groups.contains(*group);
        let left: Vec<_> = connection
            .groups
            .iter()
            .filter(has_no_more)
            .cloned()
            .collect();
        let stateful = connection.states.keys();
        let cleared: Vec<_> = stateful
            .filter(|group| !entry.states.contains_key(*group) && entry.groups.contains(*group))
            .cloned()
            .collect();
        for group in &left {
            self.change_membership(now, key, group, Change::Leave, Cause::Import, effects);
        }
        for group in &cleared {
            self.change_state(now, key, group, None, effects);
        }
        for group in &entry.groups {
            self.change_membership(now, key, group, Change::Join, Cause::Import, effects);
        }
        for (group, state) in entry.states {
            self.change_state(now, key, &group, Some(state), effects);
        }
        self.close_forbidden_streams(now, key, effects);
    }
}

fn saved(connection: &Connection) -> SavedConnection {
    let (mut roles, mut revoked_roles) = (Vec::new(), Vec::new());
    for rule in connection.permissions.iter() {
        match rule.allowed {
            true => roles.push(rule.to_string()),
            false => revoked_roles.push(rule.to_string()),
        }
    }
    SavedConnection {
        connection_id: Some(connection.id.to_string()),
        user_id: connection.user.as_ref().map(ToString::to_string),
        groups: connection.groups.iter().map(ToString::to_string).collect(),
        roles,
        revoked_roles,
        states: connection
            .states
            .iter()
            .map(|(group, entry)| (group.to_string(), entry.entries.iter().cloned().collect()))
            .collect(),
    }
}

fn permissions(roles: &[String], revoked: &[String]) -> PermissionSet {
    let (mut set, _) = PermissionSet::from_roles(roles);
    for role in revoked {
        let Ok(role) = role.parse::<Role>() else {
            continue;
        };
        let permission = match role.action() {
            RoleAction::JoinLeave => Permission::JoinLeaveGroup,
            RoleAction::Send => Permission::SendToGroup,
            _ => continue,
        };
        if let RoleScope::Group(group) = role.scope() {
            // There is room: a set that was saved had it.
            let _ = set.revoke(permission, group.as_str());
        }
    }
    set
}
