//! Who is in which group. Every join and leave goes through [`HubState::change_membership`],
//! whatever caused it, so what follows from a change (group state, joined and left events) has one
//! place to stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use webpubsub_protocol::name::{ConnectionId, GroupName};

use super::connection::ConnectionKey;
use super::effect::{Effects, NoticeKind};
use super::owned;
use super::state::{GroupMember, HubState};
use crate::clock::Now;

/// Which way a membership changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Join,
    Leave,
}

/// The changes that are reported to the hub's event handlers. Others get no number among a connection's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GroupEvents {
    pub(crate) joined: bool,
    pub(crate) left: bool,
}

/// What made a membership change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A frame of the client.
    Frame,
    /// A REST call.
    Rest,
    /// The access token, or the answer to the connect event.
    Open,
    /// An imported state.
    Import,
    /// The connection ended.
    End,
}

impl HubState {
    /// Joins or leaves a group. Returns whether anything changed.
    pub(super) fn change_membership(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        change: Change,
        cause: Cause,
        effects: &mut Effects,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(key) else {
            return false;
        };
        let changed = match change {
            Change::Join => {
                let joined = !connection.groups.contains(group);
                if joined {
                    let name = interned(&self.groups, group);
                    connection.groups.insert(name.clone());
                    let member = GroupMember {
                        key,
                        outbox: Arc::clone(&connection.outbox),
                    };
                    self.groups
                        .entry(name)
                        .or_default()
                        .insert(connection.id.clone(), member);
                }
                joined
            }
            Change::Leave => {
                let left = connection.groups.remove(group);
                if left && let Some(members) = self.groups.get_mut(group) {
                    members.remove(&connection.id);
                    if members.is_empty() {
                        self.groups.remove(group);
                    }
                }
                left
            }
        };
        if changed && change == Change::Leave {
            self.leave_group_state(now, key, group, effects);
        }
        if changed {
            effects.changed = true;
            self.notify_of_change(key, group, change, effects);
            tracing::trace!(?key, %group, ?change, ?cause, "membership");
        }
        changed
    }

    fn notify_of_change(
        &mut self,
        key: ConnectionKey,
        group: &GroupName,
        change: Change,
        effects: &mut Effects,
    ) {
        match change {
            Change::Join if self.group_events.joined => {
                self.notify(key, NoticeKind::Joined(group.clone()), effects);
            }
            Change::Leave if self.group_events.left => {
                self.notify(key, NoticeKind::Left(group.clone()), effects);
            }
            Change::Join | Change::Leave => {}
        }
    }
}

/// The name of a group as it is kept: once for all its members, and in no larger buffer than it needs.
fn interned(
    groups: &BTreeMap<GroupName, BTreeMap<ConnectionId, GroupMember>>,
    group: &GroupName,
) -> GroupName {
    match groups.get_key_value(group) {
        Some((name, _)) => name.clone(),
        None => owned::group(group),
    }
}
