//! Group state: a small map per member of a group, sent to those who subscribed.

use std::time::UNIX_EPOCH;

use webpubsub_protocol::frame::{FrameError, GroupStateItem, ServerFrame};
use webpubsub_protocol::limits::{GROUP_STATE_BYTES, GROUP_STATE_SNAPSHOT_ITEMS};
use webpubsub_protocol::name::{GroupName, UserId};

use super::connection::{Connection, ConnectionKey};
use super::effect::Effects;
use super::message::Draft;
use super::state::HubState;
use crate::clock::Now;

/// A connection's state in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateEntry {
    pub(super) entries: Vec<(String, String)>,
    updated_at: i64,
}

impl HubState {
    /// Replaces or clears the connection's state in the group, and notifies the subscribers, even when there was nothing to
    /// clear.
    pub(super) fn set_group_state(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        state: Option<Vec<(String, String)>>,
        effects: &mut Effects,
    ) -> Result<(), FrameError> {
        let Some(connection) = self.connections.get(key) else {
            return Ok(());
        };
        if !connection.permissions.allows_set_state(group.as_str()) {
            return Err(FrameError::new("Forbidden", "Permission denied."));
        }
        if !connection.groups.contains(group) {
            return Err(FrameError::new("Forbidden", "Not a member of group."));
        }
        let bytes: usize = state.iter().flatten().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > GROUP_STATE_BYTES {
            let text = format!("State payload exceeds maximum size {GROUP_STATE_BYTES} bytes.");
            return Err(FrameError::new("BadRequest", text));
        }
        self.change_state(now, key, group, state, effects);
        Ok(())
    }

    /// Subscribes the connection. The caller acks first, then sends the snapshot.
    pub(super) fn subscribe_group_state(
        &mut self,
        key: ConnectionKey,
        group: &GroupName,
    ) -> Result<(), FrameError> {
        let Some(connection) = self.connections.get(key) else {
            return Ok(());
        };
        if !connection.permissions.allows_get_state(group.as_str()) {
            let text = format!("No permission to get states of group {group}.");
            return Err(FrameError::new("Forbidden", text));
        }
        if !connection.groups.contains(group) {
            return Err(FrameError::new(
                "Forbidden",
                format!("Not a member of group {group}."),
            ));
        }
        // As the connection keeps it: the name in a frame is a slice of the frame.
        let group = connection.groups.get(group).unwrap_or(group);
        self.subscribers
            .entry(group.clone())
            .or_default()
            .insert(key);
        Ok(())
    }

    pub(super) fn unsubscribe_group_state(&mut self, key: ConnectionKey, group: &GroupName) {
        if let Some(subscribers) = self.subscribers.get_mut(group) {
            subscribers.remove(&key);
            if subscribers.is_empty() {
                self.subscribers.remove(group);
            }
        }
    }

    /// Sends all members that have a state, ordered by connection id.
    pub(super) fn send_state_snapshot(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        effects: &mut Effects,
    ) {
        let members = self
            .groups
            .get(group)
            .into_iter()
            .flat_map(|members| members.values());
        let items = members
            .filter_map(|member| {
                let connection = self.connections.get(member.key)?;
                let entry = connection.states.get(group)?;
                Some(item(
                    connection,
                    Some(entry.entries.clone()),
                    entry.updated_at,
                ))
            })
            .take(GROUP_STATE_SNAPSHOT_ITEMS)
            .collect();
        let frame = ServerFrame::GroupStateSnapshot {
            sequence_id: None,
            group: group.clone(),
            items,
        };
        self.deliver(now, [key], &Draft::state(frame), effects);
    }

    /// The connection left the group: its state there is cleared and its subscription ends.
    pub(super) fn leave_group_state(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        effects: &mut Effects,
    ) {
        self.unsubscribe_group_state(key, group);
        let has_state = self
            .connections
            .get(key)
            .is_some_and(|connection| connection.states.contains_key(group));
        if has_state {
            self.change_state(now, key, group, None, effects);
        }
    }

    pub(super) fn change_state(
        &mut self,
        now: Now,
        key: ConnectionKey,
        group: &GroupName,
        state: Option<Vec<(String, String)>>,
        effects: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        // Receivers drop what is not newer, so no two changes share a time.
        let updated_at = unix_millis(now).max(connection.last_state_at + 1);
        connection.last_state_at = updated_at;
        match &state {
            Some(entries) => {
                let entry = StateEntry {
                    entries: entries.clone(),
                    updated_at,
                };
                let name = connection.groups.get(group).unwrap_or(group).clone();
                connection.states.insert(name, entry);
            }
            None => {
                connection.states.remove(group);
            }
        }
        let items = vec![item(connection, state, updated_at)];
        let Some(subscribers) = self.subscribers.get(group) else {
            return;
        };
        let keys: Vec<_> = subscribers.iter().copied().collect();
        let frame = ServerFrame::GroupStateUpdate {
            sequence_id: None,
            group: group.clone(),
            items,
        };
        self.deliver(now, keys, &Draft::state(frame), effects);
    }
}

fn item(
    connection: &Connection,
    state: Option<Vec<(String, String)>>,
    updated_at: i64,
) -> GroupStateItem {
    GroupStateItem {
        connection_id: connection.id.as_shared().clone(),
        user_id: connection
            .user
            .as_ref()
            .map(|user: &UserId| user.as_shared().clone()),
        state,
        updated_at,
    }
}

fn unix_millis(now: Now) -> i64 {
    let since = now.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
