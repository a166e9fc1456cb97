//! A live view of the states of a group's members.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::MemberState;

use crate::error::NotSubscribed;
use crate::shared::Shared;

/// The states of a group's members, always as they are now. From
/// [`WebPubSubClient::group_state_view`](crate::WebPubSubClient::group_state_view).
///
/// It lives as long as the client. While there is no connection it shows what was known last; the first snapshot of a
/// new connection replaces that.
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
    /// When the group's states are not subscribed to, or no longer.
    pub fn current(&self) -> Result<Vec<MemberState>, NotSubscribed> {
        let inner = self.shared.lock();
        inner.session.group_states(&self.group).ok_or(NotSubscribed)
    }

    /// Completes when states have changed since the last call, or since the view was made; `false` when the client is
    /// gone and nothing will change any more.
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
