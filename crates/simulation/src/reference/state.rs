//! Membership, and the states of members.

use webpubsub_emulator::driven::EPOCH;
use webpubsub_protocol::frame::{FrameError, GroupStateItem, ServerFrame};
use webpubsub_protocol::limits::{GROUP_STATE_BYTES, GROUP_STATE_SNAPSHOT_ITEMS};
use webpubsub_protocol::name::{ConnectionId, GroupName};

use super::{Connection, Reference};

type Entries = Vec<(String, String)>;

impl Reference {
    pub(super) fn join(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.groups.insert(group.clone());
        }
    }

    /// Leaves a group: the subscription ends, the state is cleared.
    pub(super) fn leave(&mut self, id: &ConnectionId, group: &GroupName, any_order: bool) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.groups.remove(group) {
            connection.subscriptions.remove(group);
            if connection.states.contains_key(group) {
                self.change_state(id, group, None, any_order);
            }
        }
    }

    pub(super) fn set_state(
        &mut self,
        id: &ConnectionId,
        group: &GroupName,
        state: Option<Entries>,
    ) -> Result<(), FrameError> {
        let connection = &self.connections[id];
        if !connection.permissions.allows_set_state(group.as_str()) {
            return Err(FrameError::new("Forbidden", "Permission denied."));
        }
        if !connection.groups.contains(group) {
            return Err(FrameError::new("Forbidden", "Not a member of group."));
        }
        let bytes: usize = state.iter().flatten().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > GROUP_STATE_BYTES {
            let text = "State payload exceeds maximum size 512 bytes.";
            return Err(FrameError::new("BadRequest", text));
        }
        self.change_state(id, group, state, false);
        Ok(())
    }

    pub(super) fn subscribe(
        &mut self,
        id: &ConnectionId,
        group: &GroupName,
    ) -> Result<(), FrameError> {
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        if !connection.permissions.allows_get_state(group.as_str()) {
            let text = format!("No permission to get states of group {group}.");
            return Err(FrameError::new("Forbidden", text));
        }
        if !connection.groups.contains(group) {
            let text = format!("Not a member of group {group}.");
            return Err(FrameError::new("Forbidden", text));
        }
        connection.subscriptions.insert(group.clone());
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.subscriptions.remove(group);
        }
    }

    pub(super) fn snapshot(&mut self, id: &ConnectionId, group: &GroupName) {
        let items = self.connections.iter().filter_map(|(id, connection)| {
            let (entries, at) = connection.states.get(group)?;
            Some(item(id, connection, Some(entries.clone()), *at))
        });
        let frame = ServerFrame::GroupStateSnapshot {
            sequence_id: None,
            group: group.clone(),
            items: items.take(GROUP_STATE_SNAPSHOT_ITEMS).collect(),
        };
        self.deliver(std::slice::from_ref(id), frame, None, false);
    }

    fn change_state(
        &mut self,
        id: &ConnectionId,
        group: &GroupName,
        state: Option<Entries>,
        any_order: bool,
    ) {
        let wall = i64::try_from((EPOCH + self.now).as_millis()).expect("a date of this age");
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let at = wall.max(connection.last_state_at + 1);
        connection.last_state_at = at;
        match state.clone() {
            Some(entries) => {
                connection.states.insert(group.clone(), (entries, at));
            }
            None => {
                connection.states.remove(group);
            }
        }
        let frame = ServerFrame::GroupStateUpdate {
            sequence_id: None,
            group: group.clone(),
            items: vec![item(id, connection, state, at)],
        };
        let subscribers = self.connections.iter();
        let to: Vec<_> = subscribers
            .filter(|(_, c)| c.subscriptions.contains(group))
            .map(|(id, _)| id.clone())
            .collect();
        self.deliver(&to, frame, None, any_order);
    }
}

fn item(
    id: &ConnectionId,
    connection: &Connection,
    state: Option<Entries>,
    updated_at: i64,
) -> GroupStateItem {
    GroupStateItem {
        connection_id: id.as_shared().clone(),
        user_id: connection
            .user
            .as_ref()
            .map(|user| user.as_shared().clone()),
        state,
        updated_at,
    }
}
