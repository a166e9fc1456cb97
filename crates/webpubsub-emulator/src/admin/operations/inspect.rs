//! What is inside the emulator now.

use serde::Serialize;
use webpubsub_protocol::name::{GroupName, HubName};

use super::{Context, Outcome};
use crate::admin::answer::{AdminError, Answer};
use crate::admin::generated::{
    GetConnection, GetGroup, GetHub, ListConnections, ListGroups, ListHandlers, ListHubs,
};
use crate::inspect::text;

pub(in crate::admin) async fn list_hubs(context: &Context<'_>, _: ListHubs) -> Outcome {
    let hubs = context.service.hub_infos();
    Ok(Answer::list("hubs", &hubs))
}

pub(in crate::admin) async fn get_hub(context: &Context<'_>, GetHub { hub }: GetHub) -> Outcome {
    let info = context.service.hub_info(&hub);
    Ok(Answer::json(&info.ok_or_else(|| no_hub(&hub))?))
}

pub(in crate::admin) async fn list_connections(
    context: &Context<'_>,
    ListConnections { hub, user, group }: ListConnections,
) -> Outcome {
    let mut connections = context.service.connection_infos(&hub, user.as_deref());
    if let Some(group) = group {
        connections.retain(|connection| connection.groups.binary_search(&group).is_ok());
    }
    Ok(Answer::list("connections", &connections))
}

pub(in crate::admin) async fn get_connection(
    context: &Context<'_>,
    GetConnection { hub, connection_id }: GetConnection,
) -> Outcome {
    let info = context
        .service
        .connection_info(&hub, connection_id.as_str());
    let info = info.ok_or_else(|| {
        let message = format!("Hub `{hub}` has no connection `{connection_id}`.");
        AdminError::not_found("Connection", message)
    })?;
    Ok(Answer::json(&info))
}

pub(in crate::admin) async fn list_groups(
    context: &Context<'_>,
    ListGroups { hub }: ListGroups,
) -> Outcome {
    #[derive(Serialize)]
    struct Summary<'a> {
        #[serde(serialize_with = "text::name")]
        name: &'a GroupName,
        members: usize,
        states: usize,
        subscribers: usize,
    }

    let groups = context.service.group_infos(&hub);
    let summaries = groups.iter().map(|group| Summary {
        name: &group.name,
        members: group.members.len(),
        states: group.members.iter().filter(|it| it.state.is_some()).count(),
        subscribers: group.members.iter().filter(|it| it.subscribed).count(),
    });
    let summaries: Vec<_> = summaries.collect();
    Ok(Answer::list("groups", &summaries))
}

pub(in crate::admin) async fn get_group(
    context: &Context<'_>,
    GetGroup { hub, group }: GetGroup,
) -> Outcome {
    let info = context.service.group_info(&hub, group.as_str());
    let info = info.ok_or_else(|| {
        AdminError::not_found(
            "Group",
            format!("Nobody is in group `{group}` of hub `{hub}`."),
        )
    })?;
    Ok(Answer::json(&info))
}

pub(in crate::admin) async fn list_handlers(
    context: &Context<'_>,
    ListHandlers { hub }: ListHandlers,
) -> Outcome {
    let mut handlers = context.service.handler_infos();
    handlers.retain(|handler| hub.as_ref().is_none_or(|hub| handler.hub == *hub));
    Ok(Answer::list("handlers", &handlers))
}

fn no_hub(hub: &HubName) -> AdminError {
    let message = format!("Hub `{hub}` is neither in use nor set up.");
    AdminError::not_found("Hub", message)
}
