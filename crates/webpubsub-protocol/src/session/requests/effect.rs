//! What the answer to a request changes in what the session knows.

use crate::frame::ClientFrame;
use crate::name::GroupName;

/// What an acknowledgement changes.
#[derive(Debug, Clone)]
pub(in crate::session) enum Effect {
    None,
    Joined(GroupName),
    Left(GroupName),
    StateSet(GroupName, Option<Vec<(String, String)>>),
    Subscribed(GroupName),
    Unsubscribed(GroupName),
}

impl Effect {
    /// What the acknowledgement of this frame changes.
    pub(in crate::session) fn of(frame: ClientFrame) -> Self {
        match frame {
            ClientFrame::JoinGroup { group, .. } => Self::Joined(group),
            ClientFrame::LeaveGroup { group, .. } => Self::Left(group),
            ClientFrame::SetGroupState { group, state, .. } => Self::StateSet(group, state),
            ClientFrame::SubscribeGroupState { group, .. } => Self::Subscribed(group),
            ClientFrame::UnsubscribeGroupState { group, .. } => Self::Unsubscribed(group),
            _ => Self::None,
        }
    }
}
