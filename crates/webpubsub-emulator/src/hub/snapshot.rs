//! What is where, as a copy for tests and pages.

use std::collections::BTreeMap;

use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

use super::state::HubState;

/// Who is connected, hub by hub, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// The hubs that were used so far.
    pub hubs: BTreeMap<HubName, HubSnapshot>,
}

/// One hub of a [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubSnapshot {
    /// The connections, by id.
    pub connections: BTreeMap<ConnectionId, ConnectionSnapshot>,
}

/// One connection of a [`HubSnapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// The user, when the connection has one.
    pub user_id: Option<UserId>,
    /// The negotiated subprotocol as the client spelled it; `None` for simple clients.
    pub subprotocol: Option<String>,
    /// The groups that it is in.
    pub groups: Vec<GroupName>,
}

impl State {
    /// The number of connections in a hub; the name compares without regard to case.
    #[must_use]
    pub fn connections(&self, hub: &str) -> usize {
        self.hub(hub).map_or(0, |hub| hub.connections.len())
    }

    /// The ids of a group's members in a hub, in order.
    #[must_use]
    pub fn members(&self, hub: &str, group: &str) -> Vec<&ConnectionId> {
        let connections = self.hub(hub).into_iter().flat_map(|hub| &hub.connections);
        connections
            .filter(|(_, connection)| connection.groups.iter().any(|g| g.as_str() == group))
            .map(|(id, _)| id)
            .collect()
    }

    fn hub(&self, hub: &str) -> Option<&HubSnapshot> {
        self.hubs.get(hub.to_ascii_lowercase().as_str())
    }
}

impl HubState {
    pub(crate) fn snapshot(&self) -> HubSnapshot {
        let connections = self.connections.values().map(|connection| {
            let snapshot = ConnectionSnapshot {
                user_id: connection.user.clone(),
                subprotocol: connection.protocol.as_ref().map(ToString::to_string),
                groups: connection.groups.iter().cloned().collect(),
            };
            (connection.id.clone(), snapshot)
        });
        HubSnapshot {
            connections: connections.collect(),
        }
    }
}
