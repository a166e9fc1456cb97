//! Members of groups.

use azure_core::http::Body;
use serde::Serialize;

use super::*;

action! {
    /// Adds a connection to a group.
    AddConnectionToGroup("group.add_connection") { group: String, connection_id: String } -> () = no_content;
    |this, hub| operations::AddConnectionToGroup {
        hub,
        group: group(&this.group)?,
        connection_id: connection(&this.connection_id)?,
    }
}

action! {
    /// Removes a connection from a group.
    RemoveConnectionFromGroup("group.remove_connection") { group: String, connection_id: String } -> () = no_content;
    |this, hub| operations::RemoveConnectionFromGroup {
        hub,
        group: group(&this.group)?,
        connection_id: connection(&this.connection_id)?,
    }
}

action! {
    /// Adds the connections of a user to a group.
    AddUserToGroup("group.add_user") { group: String, user_id: String } -> () = no_content;
    |this, hub| operations::AddUserToGroup { hub, group: group(&this.group)?, user_id: user(&this.user_id)? }
}

action! {
    /// Removes the connections of a user from a group.
    RemoveUserFromGroup("group.remove_user") { group: String, user_id: String } -> () = no_content;
    |this, hub| operations::RemoveUserFromGroup { hub, group: group(&this.group)?, user_id: user(&this.user_id)? }
}

action! {
    /// Removes the connections of a user from all groups.
    RemoveUserFromAllGroups("remove_user_from_all_groups") { user_id: String } -> () = no_content;
    |this, hub| operations::RemoveUserFromAllGroups { hub, user_id: user(&this.user_id)? }
}

action! {
    /// Removes a connection from all groups.
    RemoveConnectionFromAllGroups("remove_connection_from_all_groups") { connection_id: String } -> () = no_content;
    |this, hub| operations::RemoveConnectionFromAllGroups {
        hub,
        connection_id: connection(&this.connection_id)?,
    }
}

action! {
    /// Adds the connections that match a filter to groups.
    AddConnectionsToGroups("add_connections_to_groups") { groups: Vec<String>, filter: String } -> () = no_content;
    |this, hub| operations::AddConnectionsToGroups { hub };
    json |this| groups_body(&this.groups, &this.filter)
}

action! {
    /// Removes the connections that match a filter from groups.
    RemoveConnectionsFromGroups("remove_connections_from_groups") {
        groups: Vec<String>, filter: String
    } -> () = no_content;
    |this, hub| operations::RemoveConnectionsFromGroups { hub };
    json |this| groups_body(&this.groups, &this.filter)
}

fn groups_body(groups: &[String], filter: &str) -> azure_core::Result<Body> {
    #[derive(Serialize)]
    struct GroupsRequest<'a> {
        groups: &'a [String],
        filter: &'a str,
    }

    if groups.is_empty() {
        return Err(InvalidInput::NoGroups.into());
    }
    for name in groups {
        group(name)?;
    }
    Ok(serde_json::to_vec(&GroupsRequest { groups, filter })?.into())
}
