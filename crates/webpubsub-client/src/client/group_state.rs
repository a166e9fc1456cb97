//! Group state: what members of a group show each other.

use std::sync::Arc;

use bytestring::ByteString;
use webpubsub_protocol::name::{GroupName, InvalidName};
use webpubsub_protocol::session::{MemberState, Request};

use super::WebPubSubClient;
use crate::action::{SetGroupState, SubscribeGroupState, UnsubscribeGroupState};
use crate::call::Call;
use crate::error::NotSubscribed;
use crate::group_state::GroupStateView;

/// # Group state
///
/// Members of a group can show each other a small state, such as who is typing.
impl WebPubSubClient {
    /// Replaces this connection's state in a group, which the subscribers of the group see: 512 bytes at most. Requires the
    /// role `webpubsub.setGroupState` and membership of the group. New connections set the state again.
    pub fn set_group_state<K: Into<String>, V: Into<String>>(
        &self,
        group: impl Into<ByteString>,
        state: impl IntoIterator<Item = (K, V)>,
    ) -> Call<'_, SetGroupState> {
        let state = state.into_iter();
        let state = state.map(|(key, value)| (key.into(), value.into()));
        let state = Some(state.collect());
        let request = |group| Request::set_group_state(group, state);
        self.call_for_group(group, request, SetGroupState)
    }

    /// Clears this connection's state in a group.
    pub fn clear_group_state(&self, group: impl Into<ByteString>) -> Call<'_, SetGroupState> {
        let request = |group| Request::set_group_state(group, None);
        self.call_for_group(group, request, SetGroupState)
    }

    /// Receives the states of a group's members from now on: [`group_states`](Self::group_states) returns them, and
    /// [`Event::GroupStateChanged`](crate::Event::GroupStateChanged) reports changes. Requires the role
    /// `webpubsub.getGroupState` and membership of the group. New connections renew the subscription.
    pub fn subscribe_group_state(
        &self,
        group: impl Into<ByteString>,
    ) -> Call<'_, SubscribeGroupState> {
        self.call_for_group(group, Request::subscribe_group_state, SubscribeGroupState)
    }

    /// Stops receiving the states of a group's members.
    pub fn unsubscribe_group_state(
        &self,
        group: impl Into<ByteString>,
    ) -> Call<'_, UnsubscribeGroupState> {
        self.call_for_group(
            group,
            Request::unsubscribe_group_state,
            UnsubscribeGroupState,
        )
    }

    /// The states of a group's members as far as they are known now, ordered by connection id. After a subscription
    /// they arrive a moment later, with [`Event::GroupStateChanged`](crate::Event::GroupStateChanged). The service lists
    /// at most 200 members when the subscription begins; others appear when their state changes.
    ///
    /// # Errors
    ///
    /// When this client has not subscribed to the states of the group.
    pub fn group_states(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<Vec<MemberState>, NotSubscribed> {
        let group = GroupName::new(group).map_err(|_| NotSubscribed)?;
        let inner = self.shared().lock();
        inner.session.group_states(&group).ok_or(NotSubscribed)
    }

    /// The state of one member of a group, if it has one.
    ///
    /// # Errors
    ///
    /// When this client has not subscribed to the states of the group.
    pub fn group_state(
        &self,
        group: impl Into<ByteString>,
        connection_id: &str,
    ) -> Result<Option<MemberState>, NotSubscribed> {
        let states = self.group_states(group)?;
        Ok(states
            .into_iter()
            .find(|state| state.connection_id == connection_id))
    }

    /// A live view of the states of a group's members: what they are, and when they change. Subscribe with
    /// [`subscribe_group_state`](Self::subscribe_group_state), before or after.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let emulator = webpubsub_emulator::Emulator::start().await?;
    /// # let roles = ["webpubsub.joinLeaveGroup", "webpubsub.getGroupState", "webpubsub.setGroupState"];
    /// # let url = emulator.client_access_url("chat", "ana", &roles);
    /// # let client = webpubsub_client::WebPubSubClient::connect(url).await?;
    /// client.join_group("room-7").await?;
    /// let mut view = client.group_state_view("room-7")?;
    /// client.subscribe_group_state("room-7").await?;
    /// client.set_group_state("room-7", [("typing", "yes")]).await?;
    /// while view.changed().await {
    ///     let states = view.current()?;
    ///     println!("{} members have a state", states.len());
    ///     # break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the group's name is not valid.
    pub fn group_state_view(
        &self,
        group: impl Into<ByteString>,
    ) -> Result<GroupStateView, InvalidName> {
        let group = GroupName::new(group)?;
        let changes = self.shared().lock().view(group.clone());
        Ok(GroupStateView::new(
            Arc::clone(self.shared()),
            group,
            changes,
        ))
    }
}
