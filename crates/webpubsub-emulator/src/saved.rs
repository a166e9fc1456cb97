//! Groups, permissions and states of groups as a file: exported from one run, imported into another.
//!
//! A connection cannot be saved, since its client is elsewhere. So what was saved of a user waits for the next connection of
//! that user.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, InvalidName, UserId};

/// What was saved. Reading refuses members that it does not know. `Debug` does not show the states of groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedState {
    /// By the names of the hubs.
    pub hubs: BTreeMap<String, SavedHub>,
}

/// What was saved of a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedHub {
    /// Its connections.
    pub connections: Vec<SavedConnection>,
}

/// What was saved of a connection.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct SavedConnection {
    /// Its id. May be left out for one of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// Its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The groups that it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What it may do in groups, as roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What REST calls revoked of that, as roles for single groups.
    #[serde(default)]
    pub revoked_roles: Vec<String>,
    /// Its state in each group in which it has set one.
    #[serde(default)]
    pub states: BTreeMap<String, BTreeMap<String, String>>,
}

impl fmt::Debug for SavedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedConnection")
            .field("connection_id", &self.connection_id)
            .field("user_id", &self.user_id)
            .field("groups", &self.groups)
            .field("roles", &self.roles)
            .field("revoked_roles", &self.revoked_roles)
            .field("states", &self.states.keys())
            .finish()
    }
}

/// What became of an imported state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Entries that an open connection has taken.
    pub applied: usize,
    /// Entries that wait for the next connection of their user.
    pub waiting: usize,
    /// Entries of anonymous connections that are not open: nobody can be known to be the same.
    pub ignored: usize,
}

/// A state cannot be imported; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hub `{hub}`, connection {index}: {problem}")]
pub struct InvalidState {
    hub: String,
    /// Counted from 1; 0 for the hub itself.
    index: usize,
    problem: String,
}

/// An entry whose names were checked.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) connection_id: Option<ConnectionId>,
    pub(crate) user: Option<UserId>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) roles: Vec<String>,
    pub(crate) revoked_roles: Vec<String>,
    pub(crate) states: BTreeMap<GroupName, Vec<(String, String)>>,
}

impl SavedState {
    /// The entries by hub, once all names are valid.
    pub(crate) fn checked(self) -> Result<BTreeMap<HubName, Vec<Entry>>, InvalidState> {
        let hubs = self.hubs.into_iter().map(|(name, saved)| {
            let invalid = |index, problem: String| InvalidState {
                hub: name.clone(),
                index,
                problem,
            };
            let hub = HubName::new(name.clone()).map_err(|error| invalid(0, error.to_string()))?;
            let entries = saved
                .connections
                .into_iter()
                .zip(1..)
                .map(|(saved, index)| {
                    let entry = Entry::of(saved);
                    entry.map_err(|problem| invalid(index, problem))
                });
            Ok((hub, entries.collect::<Result<_, _>>()?))
        });
        hubs.collect()
    }
}

impl Entry {
    fn of(saved: SavedConnection) -> Result<Self, String> {
        let named = |error: InvalidName| error.to_string();
        let groups = saved.groups.into_iter().map(GroupName::new);
        let states = saved.states.into_iter().map(|(group, state)| {
            let group = GroupName::new(group)?;
            Ok((group, state.into_iter().collect()))
        });
        let entry = Self {
            connection_id: saved
                .connection_id
                .map(ConnectionId::new)
                .transpose()
                .map_err(named)?,
            user: saved.user_id.map(UserId::new).transpose().map_err(named)?,
            groups: groups.collect::<Result<_, _>>().map_err(named)?,
            roles: saved.roles,
            revoked_roles: saved.revoked_roles,
            states: states.collect::<Result<_, _>>().map_err(named)?,
        };
        match entry.states.keys().find(|it| !entry.groups.contains(it)) {
            Some(group) => Err(format!(
                "it has a state in group `{group}`, but is not in it"
            )),
            None => Ok(entry),
        }
    }
}
