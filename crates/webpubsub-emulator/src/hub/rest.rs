//! What REST calls do to a hub.

use std::ops::Bound;

use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::frame::{Message, Sender};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, GroupName, UserId};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::permission::Permission;

use super::connection::ConnectionKey;
use super::effect::Effects;
use super::end::End;
use super::frames::expiry;
use super::membership::{Cause, Change};
use super::message::Draft;
use super::publish::{Selection, Target};
use super::state::HubState;
use crate::clock::Now;

/// A message that REST sends.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    /// 0 means that it never expires.
    pub(crate) ttl_seconds: u32,
}

/// A member of a group, as REST lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) connection_id: ConnectionId,
    pub(crate) user_id: Option<UserId>,
}

/// No connection has this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSuchConnection;

/// Why a permission was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantError {
    NoSuchConnection,
    /// The connection has as many literal rules as it may have.
    RuleLimit,
}

impl HubState {
    pub(crate) fn send(
        &mut self,
        now: Now,
        target: &Target,
        selection: &Selection,
        outgoing: Outgoing,
        effects: &mut Effects,
    ) {
        let from = match target {
            Target::Group(group) => Sender::Group {
                group: group.clone(),
                from_user_id: None,
            },
            Target::All | Target::User(_) | Target::Connection(_) => Sender::Server,
        };
        let message = Message {
            sequence_id: None,
            from,
            payload: outgoing.payload,
            metadata: outgoing.metadata,
            stream: None,
        };
        let message = Draft::message(message, expiry(now, outgoing.ttl_seconds));
        self.explain_filter(target, selection, effects);
        match target {
            Target::Group(group) if selection.is_everyone() => {
                self.deliver_to_group(now, group, None, &message, effects);
            }
            _ => {
                let keys = self.select(target, selection);
                self.deliver(now, keys, &message, effects);
            }
        }
    }

    /// Ends the selected connections; all are selected before the first is closed.
    pub(crate) fn close(
        &mut self,
        now: Now,
        target: &Target,
        excluded: &[String],
        end: &End,
        effects: &mut Effects,
    ) {
        let selection = Selection {
            excluded: excluded.to_vec(),
            filter: None,
        };
        let mut keys = self.select(target, &selection);
        self.sort_by_id(&mut keys);
        for key in keys {
            self.end(now, key, end, effects);
        }
    }

    pub(crate) fn user_exists(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    pub(crate) fn group_exists(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub(crate) fn add_connection_to_group(
        &mut self,
        now: Now,
        id: &str,
        group: &GroupName,
        effects: &mut Effects,
    ) -> Result<(), NoSuchConnection> {
        let key = self.key_of(id).ok_or(NoSuchConnection)?;
        self.change_membership(now, key, group, Change::Join, Cause::Rest, effects);
        Ok(())
    }

    /// Adds all connections of a user. Returns whether there is one.
    pub(crate) fn add_user_to_group(
        &mut self,
        now: Now,
        user: &str,
        group: &GroupName,
        effects: &mut Effects,
    ) -> bool {
        let keys = self.keys_of_user(user);
        for &key in &keys {
            self.change_membership(now, key, group, Change::Join, Cause::Rest, effects);
        }
        !keys.is_empty()
    }

    pub(crate) fn remove_connection_from_groups(
        &mut self,
        now: Now,
        id: &str,
        group: Option<&GroupName>,
        effects: &mut Effects,
    ) {
        let key = self.key_of(id);
        self.leave(now, key.as_slice(), group, effects);
    }

    pub(crate) fn remove_user_from_groups(
        &mut self,
        now: Now,
        user: &str,
        group: Option<&GroupName>,
        effects: &mut Effects,
    ) {
        let keys = self.keys_of_user(user);
        self.leave(now, &keys, group, effects);
    }

    /// Leaves one group, or all.
    fn leave(
        &mut self,
        now: Now,
        keys: &[ConnectionKey],
        group: Option<&GroupName>,
        effects: &mut Effects,
    ) {
        for &key in keys {
            let groups: Vec<GroupName> = match (group, self.connections.get(key)) {
                (Some(group), _) => vec![group.clone()],
                (None, Some(connection)) => connection.groups.iter().cloned().collect(),
                (None, None) => Vec::new(),
            };
            for group in &groups {
                self.change_membership(now, key, group, Change::Leave, Cause::Rest, effects);
            }
        }
    }

    /// Changes many groups of all connections that match; all are selected before any changes.
    pub(crate) fn change_groups(
        &mut self,
        now: Now,
        filter: Option<&Filter>,
        groups: &[GroupName],
        change: Change,
        effects: &mut Effects,
    ) {
        let selection = Selection {
            excluded: Vec::new(),
            filter: filter.cloned(),
        };
        let mut keys = self.select(&Target::All, &selection);
        self.sort_by_id(&mut keys);
        for key in keys {
            for group in groups {
                self.change_membership(now, key, group, change, Cause::Rest, effects);
            }
        }
    }

    pub(crate) fn grant(
        &mut self,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> Result<(), GrantError> {
        let key = self.key_of(id).ok_or(GrantError::NoSuchConnection)?;
        let connection = self
            .connections
            .get_mut(key)
            .ok_or(GrantError::NoSuchConnection)?;
        connection
            .permissions
            .grant(permission, group.as_str())
            .map_err(|_| GrantError::RuleLimit)
    }

    pub(crate) fn revoke(
        &mut self,
        now: Now,
        id: &str,
        permission: Permission,
        group: &GroupName,
        effects: &mut Effects,
    ) -> Result<(), GrantError> {
        let key = self.key_of(id).ok_or(GrantError::NoSuchConnection)?;
        let connection = self
            .connections
            .get_mut(key)
            .ok_or(GrantError::NoSuchConnection)?;
        connection
            .permissions
            .revoke(permission, group.as_str())
            .map_err(|_| GrantError::RuleLimit)?;
        self.close_forbidden_streams(now, key, effects);
        Ok(())
    }

    /// Whether the connection holds the permission; `None` when there is no such connection.
    pub(crate) fn check(
        &self,
        id: &str,
        permission: Permission,
        group: &GroupName,
    ) -> Option<bool> {
        let connection = self.connections.get(self.key_of(id)?)?;
        Some(connection.permissions.allows(permission, group.as_str()))
    }

    /// Members in ascending order of connection id, and whether more follow.
    pub(crate) fn members(
        &self,
        group: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<Member>, bool) {
        let Some(members) = self.groups.get(group) else {
            return (Vec::new(), false);
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = members
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(id, member)| Member {
                connection_id: id.clone(),
                user_id: self
                    .connections
                    .get(member.key)
                    .and_then(|connection| connection.user.clone()),
            });
        let page = rest.by_ref().take(limit).collect();
        (page, rest.next().is_some())
    }

    fn keys_of_user(&self, user: &str) -> Vec<ConnectionKey> {
        let keys = self.users.get(user).into_iter().flatten();
        let mut keys: Vec<_> = keys.copied().collect();
        self.sort_by_id(&mut keys);
        keys
    }
}
