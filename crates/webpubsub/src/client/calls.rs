//! The calls for a hub.

use webpubsub_protocol::permission::Permission;

use super::WebPubSubServiceClient;
use crate::{
    action::{
        AddConnectionsToGroups, CloseAllConnections, CloseConnection, CloseUserConnections,
        ConnectionExists, GrantPermission, GroupExists, HasPermission,
        RemoveConnectionFromAllGroups, RemoveConnectionsFromGroups, RemoveUserFromAllGroups,
        RevokePermission, SendToAll, SendToConnection, SendToUser, ServiceHealth, UserExists,
    },
    call::Call,
    delivery::Delivery,
    message::Message,
    token::GetClientAccessToken,
};

/// # Send messages
///
/// Strings are sent as text and bytes as binary. [`payload::Json`](crate::payload::Json) sends any serialisable value as
/// JSON, and [`Streamed`](crate::Streamed) sends a body while it is being read. A message may have 1 MiB at most.
///
/// A call that succeeds tells you that the service accepted the message, not that anybody received it.
impl WebPubSubServiceClient {
    /// Sends a message to all connections of the hub, or to those that a [filter](Call::filter) selects.
    pub fn send_to_all(&self, message: impl Into<Message>) -> Call<SendToAll> {
        let (filter, excluded, delivery) = (None, Vec::new(), Delivery::default());
        self.call(SendToAll {
            message: message.into(),
            filter,
            excluded,
            delivery,
        })
    }

    /// Sends a message to all connections of a user. Succeeds even if the user has none.
    pub fn send_to_user(
        &self,
        user_id: impl Into<String>,
        message: impl Into<Message>,
    ) -> Call<SendToUser> {
        let (user_id, message) = (user_id.into(), message.into());
        self.call(SendToUser {
            user_id,
            message,
            filter: None,
            delivery: Delivery::default(),
        })
    }

    /// Sends a message to one connection. Succeeds even if the connection does not exist.
    pub fn send_to_connection(
        &self,
        connection_id: impl Into<String>,
        message: impl Into<Message>,
    ) -> Call<SendToConnection> {
        let (connection_id, message) = (connection_id.into(), message.into());
        self.call(SendToConnection {
            connection_id,
            message,
            delivery: Delivery::default(),
        })
    }
}

/// # Connections and users
impl WebPubSubServiceClient {
    /// Checks whether a connection exists. A connection that lost its socket but can still recover counts as existing.
    pub fn connection_exists(&self, connection_id: impl Into<String>) -> Call<ConnectionExists> {
        self.call(ConnectionExists {
            connection_id: connection_id.into(),
        })
    }

    /// Checks whether a group exists, that is, whether it has any connections.
    pub fn group_exists(&self, group: impl Into<String>) -> Call<GroupExists> {
        self.call(GroupExists {
            group: group.into(),
        })
    }

    /// Checks whether a user has any connections to the hub.
    pub fn user_exists(&self, user_id: impl Into<String>) -> Call<UserExists> {
        self.call(UserExists {
            user_id: user_id.into(),
        })
    }

    /// Closes a connection. Succeeds even if the connection does not exist.
    pub fn close_connection(&self, connection_id: impl Into<String>) -> Call<CloseConnection> {
        self.call(CloseConnection {
            connection_id: connection_id.into(),
            reason: None,
        })
    }

    /// Closes all connections of the hub.
    pub fn close_all_connections(&self) -> Call<CloseAllConnections> {
        self.call(CloseAllConnections {
            excluded: Vec::new(),
            reason: None,
        })
    }

    /// Closes all connections of a user.
    pub fn close_user_connections(&self, user_id: impl Into<String>) -> Call<CloseUserConnections> {
        self.call(CloseUserConnections {
            user_id: user_id.into(),
            excluded: Vec::new(),
            reason: None,
        })
    }
}

/// # Groups
///
/// Calls that concern a single group are methods of [`WebPubSubGroup`](crate::WebPubSubGroup).
impl WebPubSubServiceClient {
    /// Removes all connections of a user from all groups. Affects only the connections that exist at this moment.
    pub fn remove_user_from_all_groups(
        &self,
        user_id: impl Into<String>,
    ) -> Call<RemoveUserFromAllGroups> {
        self.call(RemoveUserFromAllGroups {
            user_id: user_id.into(),
        })
    }

    /// Removes a connection from all groups.
    pub fn remove_connection_from_all_groups(
        &self,
        connection_id: impl Into<String>,
    ) -> Call<RemoveConnectionFromAllGroups> {
        self.call(RemoveConnectionFromAllGroups {
            connection_id: connection_id.into(),
        })
    }

    /// Adds the connections that match an OData filter to each of the given groups. An empty filter matches all connections
    /// of the hub; connections that open later are not added. At least one group is required.
    pub fn add_connections_to_groups<I>(
        &self,
        groups: I,
        filter: impl Into<String>,
    ) -> Call<AddConnectionsToGroups>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let groups = groups.into_iter().map(Into::into).collect();
        self.call(AddConnectionsToGroups {
            groups,
            filter: filter.into(),
        })
    }

    /// Removes the connections that match an OData filter from each of the given groups. An empty filter matches all
    /// connections of the hub. At least one group is required.
    pub fn remove_connections_from_groups<I>(
        &self,
        groups: I,
        filter: impl Into<String>,
    ) -> Call<RemoveConnectionsFromGroups>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let groups = groups.into_iter().map(Into::into).collect();
        self.call(RemoveConnectionsFromGroups {
            groups,
            filter: filter.into(),
        })
    }
}

/// # Permissions
///
/// A permission allows one connection to act in one group on its own. Group names are literal: there are no wildcards.
impl WebPubSubServiceClient {
    /// Allows a connection to join and leave a group, or to send to it. Fails if the connection does not exist.
    pub fn grant_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<GrantPermission> {
        self.call(GrantPermission {
            connection_id: connection_id.into(),
            permission,
            group: group.into(),
        })
    }

    /// Revokes a permission, including one that a role grants. A connection that is already in the group stays in it.
    pub fn revoke_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<RevokePermission> {
        self.call(RevokePermission {
            connection_id: connection_id.into(),
            permission,
            group: group.into(),
        })
    }

    /// Checks whether a connection has a permission. Returns `false` if the connection does not exist.
    pub fn has_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<HasPermission> {
        self.call(HasPermission {
            connection_id: connection_id.into(),
            permission,
            group: group.into(),
        })
    }
}

/// # Client access tokens and health
impl WebPubSubServiceClient {
    /// Creates the URL and token with which a client connects. With an access key the token is signed locally, without a
    /// request; with Microsoft Entra ID the service creates it.
    pub fn client_access_token(&self) -> GetClientAccessToken {
        GetClientAccessToken::new(&self.service)
    }

    /// Checks whether the service is up. Fails if it does not answer with 200.
    pub fn service_health(&self) -> Call<ServiceHealth> {
        self.call(ServiceHealth {})
    }
}
