//! Why something was refused or left out, for the traffic log. Nothing here is done while nobody reads it.

use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::permission::{Role, RoleAction};

use super::connection::ConnectionKey;
use super::effect::{Effects, Explained};
use super::frames::Outcome;
use super::kind::MessageKind;
use super::owned;
use super::publish::{Selection, Target};
use super::state::HubState;
use crate::traffic::{Conjuncts, Denial, FilteredSend};

impl HubState {
    /// Says why a frame of this kind was denied, if it was.
    pub(super) fn explain_denial(
        &self,
        key: ConnectionKey,
        kind: MessageKind,
        group: &GroupName,
        outcome: &Outcome,
        effects: &mut Effects,
    ) {
        let (true, Err(error)) = (effects.explains, outcome) else {
            return;
        };
        let (Some(connection), Some(action)) = (self.connections.get(key), action_of(kind)) else {
            return;
        };
        if error.name != "Forbidden" {
            return;
        }
        let group = owned::group(group);
        effects.explained.push(Explained::Denied(Box::new(Denial {
            connection_id: connection.id.clone(),
            user_id: connection.user.clone(),
            kind,
            reason: error.message.as_deref().unwrap_or_default().to_owned(),
            needs: role(action, &group),
            looked_at: Denial::look_at(&connection.permissions, action, group.as_str()),
            group,
        })));
    }

    /// Says whom a filter selects, and why it leaves out others.
    pub(super) fn explain_filter(
        &self,
        target: &Target,
        selection: &Selection,
        effects: &mut Effects,
    ) {
        let (true, Some(filter)) = (effects.explains, &selection.filter) else {
            return;
        };
        let conjuncts = Conjuncts::of(filter);
        let mut send = FilteredSend::new(filter);
        let mut keys = self.select(target, &Selection::default());
        self.sort_by_id(&mut keys);
        for key in keys {
            let Some(connection) = self.connections.get(key) else {
                continue;
            };
            let (id, user) = (&connection.id, connection.user.as_ref());
            if selection.excluded.iter().any(|it| it == id.as_str()) {
                send.leave_out(id, user, || "excluded".to_owned());
            } else if filter.matches(connection) {
                send.add_match(id);
            } else {
                send.leave_out(id, user, || conjuncts.failed(connection));
            }
        }
        effects.explained.push(Explained::Filtered(Box::new(send)));
    }
}

/// What a client must be allowed for a frame of this kind.
const fn action_of(kind: MessageKind) -> Option<RoleAction> {
    match kind {
        MessageKind::JoinGroup | MessageKind::LeaveGroup => Some(RoleAction::JoinLeave),
        MessageKind::SendToGroup | MessageKind::OpenStream | MessageKind::Raw => {
            Some(RoleAction::Send)
        }
        MessageKind::SetGroupState => Some(RoleAction::SetState),
        MessageKind::SubscribeGroupState => Some(RoleAction::GetState),
        _ => None,
    }
}

/// The role that allows an action in one group.
fn role(action: RoleAction, group: &GroupName) -> String {
    let group = group.as_str();
    let role = match action {
        RoleAction::JoinLeave => Role::join_leave_group(group),
        RoleAction::Send => Role::send_to_group(group),
        RoleAction::GetState => Role::get_state_of_group(group),
        RoleAction::SetState => Role::set_state_of_group(group),
        _ => return String::new(),
    };
    role.map(String::from).unwrap_or_default()
}
