//! Connections, users and groups: whether they exist, and closing them; the health of the service.

use super::*;

action! {
    /// Checks whether a connection exists.
    ConnectionExists("connection_exists") { connection_id: String } -> bool = yes_or_no;
    |this, hub| operations::ConnectionExists { hub, connection_id: connection(&this.connection_id)? }
}

action! {
    /// Checks whether a group has connections.
    GroupExists("group_exists") { group: String } -> bool = yes_or_no;
    |this, hub| operations::GroupExists { hub, group: group(&this.group)? }
}

action! {
    /// Checks whether a user has connections.
    UserExists("user_exists") { user_id: String } -> bool = yes_or_no;
    |this, hub| operations::UserExists { hub, user_id: user(&this.user_id)? }
}

action! {
    /// Closes a connection.
    CloseConnection("close_connection") { connection_id: String, reason: Option<String> } -> () = no_content;
    |this, hub| operations::CloseConnection {
        hub,
        connection_id: connection(&this.connection_id)?,
        reason: this.reason.as_deref(),
    };
    with reason
}

action! {
    /// Closes the connections of a hub.
    CloseAllConnections("close_all_connections") { excluded: Vec<String>, reason: Option<String> } -> () = no_content;
    |this, hub| operations::CloseAllConnections { hub, excluded: &this.excluded, reason: this.reason.as_deref() };
    with excluded, reason
}

action! {
    /// Closes the connections of a user.
    CloseUserConnections("close_user_connections") {
        user_id: String, excluded: Vec<String>, reason: Option<String>
    } -> () = no_content;
    |this, hub| operations::CloseUserConnections {
        hub,
        user_id: user(&this.user_id)?,
        excluded: &this.excluded,
        reason: this.reason.as_deref(),
    };
    with excluded, reason
}

action! {
    /// Closes the connections in a group.
    CloseGroupConnections("group.close_all_connections") {
        group: String, excluded: Vec<String>, reason: Option<String>
    } -> () = no_content;
    |this, hub| operations::CloseGroupConnections {
        hub,
        group: group(&this.group)?,
        excluded: &this.excluded,
        reason: this.reason.as_deref(),
    };
    with excluded, reason
}

action! {
    /// Checks whether the service is up.
    ServiceHealth("service_health") {} -> () = no_content;
    |_this, _hub| operations::GetServiceStatus {}
}
