//! The client for one group.

use std::sync::Arc;

use crate::{
    action::{
        AddConnectionToGroup, AddUserToGroup, CloseGroupConnections, RemoveConnectionFromGroup,
        RemoveUserFromGroup, SendToGroup,
    },
    call::Call,
    delivery::Delivery,
    list::ListConnections,
    message::Message,
    service::Service,
};

/// The client for one group of a hub, created by
/// [`WebPubSubServiceClient::group`](crate::WebPubSubServiceClient::group). Cloning it is cheap.
///
/// You do not create groups: a group exists as long as it has members. A group name has 1 to 1,024 characters and is not
/// blank. Calls with any other name fail with [`InvalidInput::Name`](crate::InvalidInput::Name).
#[derive(Clone, Debug)]
pub struct WebPubSubGroup {
    service: Arc<Service>,
    name: String,
}

impl WebPubSubGroup {
    pub(crate) fn new(service: &Arc<Service>, name: String) -> Self {
        let service = Arc::clone(service);
        Self { service, name }
    }

    /// The name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the hub.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.service.hub
    }

    /// The endpoint of the service. Its path ends with `/`.
    #[must_use]
    pub fn endpoint(&self) -> &azure_core::http::Url {
        &self.service.endpoint
    }

    /// The version of the REST API that this client uses.
    #[must_use]
    pub fn api_version(&self) -> &str {
        &self.service.api_version
    }

    /// Sends a message to all connections in the group, or to those that a [filter](Call::filter) selects. A call that
    /// succeeds tells you that the service accepted the message, not that anybody received it.
    pub fn send_to_all(&self, message: impl Into<Message>) -> Call<SendToGroup> {
        let (filter, excluded, delivery) = (None, Vec::new(), Delivery::default());
        self.call(SendToGroup {
            group: self.name.clone(),
            message: message.into(),
            filter,
            excluded,
            delivery,
        })
    }

    /// Adds a connection to the group. Fails if the connection does not exist.
    pub fn add_connection(&self, connection_id: impl Into<String>) -> Call<AddConnectionToGroup> {
        self.call(AddConnectionToGroup {
            group: self.name.clone(),
            connection_id: connection_id.into(),
        })
    }

    /// Removes a connection from the group. Succeeds even if it is not a member.
    pub fn remove_connection(
        &self,
        connection_id: impl Into<String>,
    ) -> Call<RemoveConnectionFromGroup> {
        self.call(RemoveConnectionFromGroup {
            group: self.name.clone(),
            connection_id: connection_id.into(),
        })
    }

    /// Adds all connections of a user to the group. Connections that the user opens later are not added. Fails if the user
    /// has no connections.
    pub fn add_user(&self, user_id: impl Into<String>) -> Call<AddUserToGroup> {
        self.call(AddUserToGroup {
            group: self.name.clone(),
            user_id: user_id.into(),
        })
    }

    /// Removes all connections of a user from the group. Succeeds even if the user has none.
    pub fn remove_user(&self, user_id: impl Into<String>) -> Call<RemoveUserFromGroup> {
        self.call(RemoveUserFromGroup {
            group: self.name.clone(),
            user_id: user_id.into(),
        })
    }

    /// Closes all connections in the group.
    pub fn close_all_connections(&self) -> Call<CloseGroupConnections> {
        self.call(CloseGroupConnections {
            group: self.name.clone(),
            excluded: Vec::new(),
            reason: None,
        })
    }

    /// Lists the connections in the group, ordered by connection id. The list of a group that does not exist is empty.
    pub fn list_connections(&self) -> ListConnections {
        ListConnections::new(&self.service, self.name.clone())
    }

    fn call<A: crate::action::Action>(&self, action: A) -> Call<A> {
        Call::new(&self.service, action)
    }
}
