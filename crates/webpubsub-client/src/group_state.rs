//! A live view of the states of a group's members.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::MemberState;

use crate::error::NotSubscribed;
use crate::shared::Shared;

/// A live view of the states of a group's members. Created by
/// [`WebPubSubClient::group_state_view`](crate::WebPubSubClient::group_state_view).
///
/// It is valid as long as the client. While there is no connection, it shows the last known states; the first snapshot of a
/// new connection replaces them.
pub struct GroupStateView {
    shared: Arc<Shared>,
    group: GroupName,
    changes: watch::Receiver<u64>,
}

impl GroupStateView {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        group: GroupName,
        changes: watch::Receiver<u64>,
    ) -> Self {
        Self {
            shared,
            group,
            changes,
        }
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> &GroupName {
        &self.group
    }

    /// All states that are known now, ordered by connection id.
    ///
    /// # Errors
    ///
    /// If the client is not subscribed to the states of the group.
    pub fn current(&self) -> Result<Vec<MemberState>, NotSubscribed> {
        let inner = self.shared.lock();
        inner.session.group_states(&self.group).ok_or(NotSubscribed)
    }

    /// Completes when states have changed since the last call, or since the view was created. Returns `false` if the last
    /// handle of the client was dropped, so that nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }
}

impl fmt::Debug for GroupStateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupStateView")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
