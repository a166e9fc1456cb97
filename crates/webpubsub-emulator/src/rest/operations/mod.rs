//! What the operations do, one file per kind.

mod close;
mod exists;
mod groups;
mod list;
mod permissions;
mod send;
mod tokens;

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use webpubsub_protocol::filter::{Filter, FilterError};
use webpubsub_protocol::name::HubName;

use super::answer::Outcome;
use super::error::RestError;
use super::generated::Call;
use super::origin::Origin;
use crate::hub::{Change, Hub, Target};
use crate::service::Service;

/// What a call may look at besides its parameters.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) service: &'a Service,
    pub(super) headers: &'a HeaderMap,
    pub(super) origin: Origin<'a>,
}

impl Context<'_> {
    /// The hub, unless nobody ever connected to it: then it has no connections, users or groups.
    fn hub(&self, name: &HubName) -> Option<Arc<Hub>> {
        self.service.existing_hub(name)
    }
}

/// Does what a call asks for. Its parameters and token were checked, its body was not yet read.
pub(super) async fn run(
    context: &Context<'_>,
    call: Call,
    body: &mut Body,
) -> Result<Outcome, RestError> {
    match call {
        Call::GetServiceStatus(_) => Ok(Outcome::Done),

        Call::SendToAll(call) => {
            let to = send::To {
                target: Target::All,
                excluded: call.excluded,
                filter: call.filter,
            };
            send::send(context, &call.hub, to, call.message_ttl_seconds, body).await
        }
        Call::SendToGroup(call) => {
            let target = Target::Group(call.group);
            let to = send::To {
                target,
                excluded: call.excluded,
                filter: call.filter,
            };
            send::send(context, &call.hub, to, call.message_ttl_seconds, body).await
        }
        Call::SendToUser(call) => {
            let target = Target::User(call.user_id);
            let to = send::To {
                target,
                excluded: Vec::new(),
                filter: call.filter,
            };
            send::send(context, &call.hub, to, call.message_ttl_seconds, body).await
        }
        Call::SendToConnection(call) => {
            let target = Target::Connection(call.connection_id);
            let to = send::To {
                target,
                excluded: Vec::new(),
                filter: None,
            };
            send::send(context, &call.hub, to, call.message_ttl_seconds, body).await
        }

        Call::CloseAllConnections(call) => close::close(
            context,
            &call.hub,
            &Target::All,
            &call.excluded,
            call.reason,
        ),
        Call::CloseGroupConnections(call) => {
            let target = Target::Group(call.group);
            close::close(context, &call.hub, &target, &call.excluded, call.reason)
        }
        Call::CloseUserConnections(call) => {
            let target = Target::User(call.user_id);
            close::close(context, &call.hub, &target, &call.excluded, call.reason)
        }
        Call::CloseConnection(call) => {
            let target = Target::Connection(call.connection_id);
            close::close(context, &call.hub, &target, &[], call.reason)
        }

        Call::ConnectionExists(call) => exists::connection(context, &call),
        Call::UserExists(call) => exists::user(context, &call),
        Call::GroupExists(call) => exists::group(context, &call),

        Call::AddConnectionToGroup(call) => groups::add_connection(context, &call),
        Call::RemoveConnectionFromGroup(call) => groups::remove_connection(context, &call),
        Call::RemoveConnectionFromAllGroups(call) => {
            groups::remove_connection_from_all(context, &call)
        }
        Call::AddUserToGroup(call) => groups::add_user(context, &call),
        Call::RemoveUserFromGroup(call) => groups::remove_user(context, &call),
        Call::RemoveUserFromAllGroups(call) => groups::remove_user_from_all(context, &call),
        Call::AddConnectionsToGroups(call) => {
            groups::change_many(context, &call.hub, Change::Join, body).await
        }
        Call::RemoveConnectionsFromGroups(call) => {
            groups::change_many(context, &call.hub, Change::Leave, body).await
        }
        Call::ListConnectionsInGroup(call) => list::connections(context, &call),

        Call::GrantPermission(call) => permissions::grant(context, &call),
        Call::RevokePermission(call) => permissions::revoke(context, &call),
        Call::CheckPermission(call) => permissions::check(context, &call),

        Call::GenerateClientToken(call) => Ok(tokens::generate(context, call)),
    }
}

/// No filter and an empty one choose everybody; blanks are an error.
fn filter(text: Option<&str>) -> Result<Option<Filter>, FilterError> {
    text.filter(|text| !text.is_empty())
        .map(Filter::parse)
        .transpose()
}
