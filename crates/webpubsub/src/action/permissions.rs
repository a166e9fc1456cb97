//! Permissions of connections.

use webpubsub_protocol::permission::Permission;

use super::*;

action! {
    /// Grants a permission to a connection.
    GrantPermission("grant_permission") {
        connection_id: String, permission: Permission, group: String
    } -> () = no_content;
    |this, hub| operations::GrantPermission {
        hub,
        permission: this.permission.as_str(),
        connection_id: connection(&this.connection_id)?,
        target_name: group(&this.group)?,
    }
}

action! {
    /// Revokes a permission from a connection.
    RevokePermission("revoke_permission") {
        connection_id: String, permission: Permission, group: String
    } -> () = no_content;
    |this, hub| operations::RevokePermission {
        hub,
        permission: this.permission.as_str(),
        connection_id: connection(&this.connection_id)?,
        target_name: group(&this.group)?,
    }
}

action! {
    /// Checks whether a connection has a permission.
    HasPermission("has_permission") {
        connection_id: String, permission: Permission, group: String
    } -> bool = yes_or_no;
    |this, hub| operations::CheckPermission {
        hub,
        permission: this.permission.as_str(),
        connection_id: connection(&this.connection_id)?,
        target_name: group(&this.group)?,
    }
}
