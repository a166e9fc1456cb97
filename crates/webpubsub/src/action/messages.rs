//! Sending messages.

use super::*;

action! {
    /// Sends a message to all connections of a hub.
    SendToAll("send_to_all") {
        message: Message, filter: Option<String>, excluded: Vec<String>, delivery: Delivery
    } -> () = no_content;
    |this, hub| operations::SendToAll {
        hub,
        excluded: &this.excluded,
        filter: this.filter.as_deref(),
        message_ttl_seconds: this.delivery.ttl_seconds()?,
    };
    message message;
    with filter, excluded, delivery
}

action! {
    /// Sends a message to the connections of a user.
    SendToUser("send_to_user") {
        user_id: String, message: Message, filter: Option<String>, delivery: Delivery
    } -> () = no_content;
    |this, hub| operations::SendToUser {
        hub,
        user_id: user(&this.user_id)?,
        filter: this.filter.as_deref(),
        message_ttl_seconds: this.delivery.ttl_seconds()?,
    };
    message message;
    with filter, delivery
}

action! {
    /// Sends a message to a connection.
    SendToConnection("send_to_connection") {
        connection_id: String, message: Message, delivery: Delivery
    } -> () = no_content;
    |this, hub| operations::SendToConnection {
        hub,
        connection_id: connection(&this.connection_id)?,
        message_ttl_seconds: this.delivery.ttl_seconds()?,
    };
    message message;
    with delivery
}

action! {
    /// Sends a message to the connections in a group.
    SendToGroup("group.send_to_all") {
        group: String, message: Message, filter: Option<String>, excluded: Vec<String>, delivery: Delivery
    } -> () = no_content;
    |this, hub| operations::SendToGroup {
        hub,
        group: group(&this.group)?,
        excluded: &this.excluded,
        filter: this.filter.as_deref(),
        message_ttl_seconds: this.delivery.ttl_seconds()?,
    };
    message message;
    with filter, excluded, delivery
}
