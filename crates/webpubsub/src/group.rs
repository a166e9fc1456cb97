//! The client of a group.

use crate::{
    action::{
        AddConnectionToGroup, AddUserToGroup, CloseGroupConnections, RemoveConnectionFromGroup,
        RemoveUserFromGroup, SendToGroup,
    },
    call::{Call, Delivery},
    client::WebPubSubServiceClient,
    list::ListConnections,
    message::Message,
};

/// Talks to the service about one group of a hub. Made by [`WebPubSubServiceClient::group`]; cheap to clone.
///
/// A group needs no creation: it exists as long as it has members. Names are 1 to 1,024 characters, not only blanks.
#[derive(Clone, Debug)]
pub struct WebPubSubGroup {
    client: WebPubSubServiceClient,
    name: String,
}

impl WebPubSubGroup {
    pub(crate) fn new(client: WebPubSubServiceClient, name: String) -> Self {
        Self { client, name }
    }

    /// The name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &str {
        self.client.hub()
    }

    /// The endpoint of the service; its path ends with `/`.
    #[must_use]
    pub fn endpoint(&self) -> &azure_core::http::Url {
        self.client.endpoint()
    }

    /// The version of the REST API that is asked for.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.client.api_version()
    }

    /// Sends a message to all connections in the group. Success means that the service accepted it.
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

    /// Adds a connection. Fails when there is no such connection.
    pub fn add_connection(&self, connection_id: impl Into<String>) -> Call<AddConnectionToGroup> {
        self.call(AddConnectionToGroup {
            group: self.name.clone(),
            connection_id: connection_id.into(),
        })
    }

    /// Removes a connection. Succeeds also when it is no member.
    pub fn remove_connection(
        &self,
        connection_id: impl Into<String>,
    ) -> Call<RemoveConnectionFromGroup> {
        self.call(RemoveConnectionFromGroup {
            group: self.name.clone(),
            connection_id: connection_id.into(),
        })
    }

    /// Adds the connections that a user has now; later ones are not added. Fails when the user has none.
    pub fn add_user(&self, user_id: impl Into<String>) -> Call<AddUserToGroup> {
        self.call(AddUserToGroup {
            group: self.name.clone(),
            user_id: user_id.into(),
        })
    }

    /// Removes the connections that a user has now. Succeeds also when the user has none.
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

    /// Lists the connections in the group, in the order of their ids. An unknown group is an empty one.
    pub fn list_connections(&self) -> ListConnections {
        ListConnections::new(self.client.clone(), self.name.clone())
    }

    fn call<A: crate::action::Action>(&self, action: A) -> Call<A> {
        Call::new(&self.client, action)
    }
}
