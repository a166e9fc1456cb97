//! The types of calls, one for each operation: the `A` of a [`Call<A>`](crate::Call).
//!
//! They are created by the methods of [`WebPubSubServiceClient`](crate::WebPubSubServiceClient) and
//! [`WebPubSubGroup`](crate::WebPubSubGroup). You need them only to name the type of a call, for example in a struct.

use std::sync::Arc;

use azure_core::http::{Body, RawResponse, StatusCode};
use futures_util::future::BoxFuture;
use serde::Serialize;
use webpubsub_protocol::{
    name::{ConnectionId, GroupName, InvalidName, UserId},
    permission::Permission,
};

pub use crate::delivery::Delivery;
use crate::{
    generated::operations,
    invalid_input::InvalidInput,
    message::{JSON, Message},
    request::CallOptions,
    service::Service,
};

/// An operation of the service. This trait is sealed: only the types of this module implement it.
pub trait Action: sealed::Sealed + Sized + Send + 'static {
    /// What the call returns on success.
    type Output: Send + 'static;

    #[doc(hidden)]
    fn read(response: &RawResponse) -> azure_core::Result<Self::Output>;
}

/// An operation whose receivers can be [filtered](crate::Call::filter).
pub trait Filtered: Action {
    #[doc(hidden)]
    fn filter_mut(&mut self) -> &mut Option<String>;
}

/// An operation that can [exclude](crate::Call::exclude) connections.
pub trait Excluding: Action {
    #[doc(hidden)]
    fn excluded_mut(&mut self) -> &mut Vec<String>;
}

/// An operation that closes connections, with an optional [reason](crate::Call::reason).
pub trait Closing: Action {
    #[doc(hidden)]
    fn reason_mut(&mut self) -> &mut Option<String>;
}

/// An operation that sends a message, with an optional [time to live](crate::Call::ttl) and
/// [metadata](crate::Call::metadata).
pub trait Sending: Action {
    #[doc(hidden)]
    fn delivery_mut(&mut self) -> &mut Delivery;
}

pub(crate) mod sealed {
    use super::*;

    #[expect(
        unnameable_types,
        reason = "nobody else can implement what nobody else can name"
    )]
    pub trait Sealed {
        #[expect(private_interfaces, reason = "only this crate can call it")]
        fn send(
            self,
            service: Arc<Service>,
            options: CallOptions,
        ) -> BoxFuture<'static, azure_core::Result<RawResponse>>;
    }
}

/// Defines an action: its parameters, the operation that they become, and how the response is read.
macro_rules! action {
    (
        $(#[$doc:meta])*
        $name:ident($call:literal) { $($field:ident: $type:ty),* } -> $output:ty = $read:expr;
        |$this:ident, $hub:ident| $operation:expr
        $(; message $message:ident)?
        $(; json |$body_of:ident| $body:expr)?
        $(; with $($capability:ident),+)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name { $(pub(crate) $field: $type),* }

        impl sealed::Sealed for $name {
            #[expect(private_interfaces, reason = "only this crate can call it")]
            fn send(
                self,
                service: Arc<Service>,
                options: CallOptions,
            ) -> BoxFuture<'static, azure_core::Result<RawResponse>> {
                Box::pin(async move {
                    let $this = self;
                    let $hub = service.hub.as_str();
                    #[allow(unused_mut, reason = "calls without a body leave it as it is")]
                    let mut request = service.request($call, &$operation)?;
                    $(
                        request.metadata($this.delivery.metadata)?;
                        let (content_type, body) = $this.$message.into_body().await?;
                        request.body(content_type, body);
                    )?
                    $(
                        let $body_of = &$this;
                        request.body(JSON, $body?);
                    )?
                    service.send(request, options).await
                })
            }
        }

        impl Action for $name {
            type Output = $output;

            fn read(response: &RawResponse) -> azure_core::Result<$output> {
                let read: fn(&RawResponse) -> azure_core::Result<$output> = $read;
                read(response)
            }
        }

        $($(action!(@$capability $name);)+)?
    };
    (@filter $name:ident) => {
        impl Filtered for $name {
            fn filter_mut(&mut self) -> &mut Option<String> { &mut self.filter }
        }
    };
    (@excluded $name:ident) => {
        impl Excluding for $name {
            fn excluded_mut(&mut self) -> &mut Vec<String> { &mut self.excluded }
        }
    };
    (@reason $name:ident) => {
        impl Closing for $name {
            fn reason_mut(&mut self) -> &mut Option<String> { &mut self.reason }
        }
    };
    (@delivery $name:ident) => {
        impl Sending for $name {
            fn delivery_mut(&mut self) -> &mut Delivery { &mut self.delivery }
        }
    };
}

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

action! {
    /// Checks whether the service is up.
    ServiceHealth("service_health") {} -> () = no_content;
    |_this, _hub| operations::GetServiceStatus {}
}

fn no_content(_: &RawResponse) -> azure_core::Result<()> {
    Ok(())
}

/// Operations for which 404 is a success use it for "no". For all others it became an error earlier.
#[allow(clippy::unnecessary_wraps, reason = "all readers have this type")]
fn yes_or_no(response: &RawResponse) -> azure_core::Result<bool> {
    Ok(response.status() != StatusCode::NotFound)
}

// Names are checked but keep the spelling of the caller.

pub(crate) fn group(name: &str) -> azure_core::Result<&str> {
    checked(name, GroupName::new(name).map(drop))
}

fn user(id: &str) -> azure_core::Result<&str> {
    checked(id, UserId::new(id).map(drop))
}

fn connection(id: &str) -> azure_core::Result<&str> {
    checked(id, ConnectionId::new(id).map(drop))
}

fn checked(name: &str, result: Result<(), InvalidName>) -> azure_core::Result<&str> {
    result
        .map(|()| name)
        .map_err(|error| InvalidInput::Name(error).into())
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
