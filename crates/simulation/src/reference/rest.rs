//! What REST calls do.

use webpubsub_emulator::driven::To;
use webpubsub_protocol::frame::Sender;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::Reference;
use super::delivery::{expiry, from_group, message};
use super::lifecycle::DRAIN;

impl Reference {
    fn addressed(&self, to: &To) -> Vec<ConnectionId> {
        match to {
            To::All => self.connections.keys().cloned().collect(),
            To::User(user) => self.of_user(user).cloned().collect(),
            To::Group(group) => self.members(group).cloned().collect(),
            To::Connection(id) => {
                let exists = self.connections.contains_key(id);
                exists.then(|| id.clone()).into_iter().collect()
            }
        }
    }

    pub(crate) fn send(
        &mut self,
        to: &To,
        excluded: &[ConnectionId],
        payload: Payload,
        ttl_seconds: u32,
    ) {
        let from = match to {
            To::Group(group) => from_group(group, None),
            To::All | To::User(_) | To::Connection(_) => Sender::Server,
        };
        let mut ids = self.addressed(to);
        ids.retain(|id| !excluded.contains(id));
        let frame = message(from, payload);
        self.deliver(&ids, frame, expiry(self.now, ttl_seconds), false);
    }

    pub(crate) fn close(&mut self, to: &To, reason: Option<&str>) {
        let mut disconnected = "Application server closed the connection.".to_owned();
        if let Some(reason) = reason {
            disconnected.push_str(&format!(" Reason: {reason}"));
        }
        for id in self.addressed(to) {
            self.end(&id, 1000, "", Some(disconnected.clone()), DRAIN);
        }
    }

    pub(crate) fn rest_join(&mut self, id: &ConnectionId, group: &GroupName) -> bool {
        self.join(id, group);
        self.connections.contains_key(id)
    }

    pub(crate) fn rest_leave(&mut self, id: &ConnectionId, group: Option<&GroupName>) {
        let groups: Vec<GroupName> = match (group, self.connections.get(id)) {
            (Some(group), _) => vec![group.clone()],
            (None, Some(connection)) => connection.groups.iter().cloned().collect(),
            (None, None) => Vec::new(),
        };
        for group in groups {
            self.leave(id, &group, true);
        }
    }

    pub(crate) fn join_user(&mut self, user: &UserId, group: &GroupName) -> bool {
        let ids: Vec<_> = self.of_user(user).cloned().collect();
        for id in &ids {
            self.join(id, group);
        }
        !ids.is_empty()
    }

    pub(crate) fn leave_user(&mut self, user: &UserId, group: Option<&GroupName>) {
        let ids: Vec<_> = self.of_user(user).cloned().collect();
        for id in &ids {
            self.rest_leave(id, group);
        }
    }

    /// Grants or revokes; whether there is such a connection.
    pub(crate) fn permit(
        &mut self,
        id: &ConnectionId,
        permission: Permission,
        group: &GroupName,
        grant: bool,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let permissions = &mut connection.permissions;
        let changed = if grant {
            permissions.grant(permission, group.as_str())
        } else {
            permissions.revoke(permission, group.as_str())
        };
        changed.expect("few groups have rules");
        if !grant {
            self.close_forbidden_streams(id);
        }
        true
    }
}
