//! The members of a group, page by page.

use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use webpubsub_protocol::uri::COMPONENT;

use super::super::answer::Outcome;
use super::super::cursor;
use super::super::error::RestError;
use super::super::generated::{ListConnectionsInGroup, NEWEST_VERSION};
use super::super::params::BadParameter;
use super::Context;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    value: Vec<Item<'a>>,
    next_link: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    connection_id: &'a str,
    user_id: Option<&'a str>,
}

/// One page, in ascending order of connection id. An unknown group is an empty one.
///
/// The link to the next page is a cursor: it says after which id to go on, so members that come or
/// go in between shift nothing.
pub(super) fn connections(
    context: &Context<'_>,
    call: &ListConnectionsInGroup,
) -> Result<Outcome, RestError> {
    let keys = context.service.settings().keys();
    let after = match &call.continuation_token {
        None => None,
        Some(token) => {
            Some(cursor::open(keys, &call.hub, &call.group, token).ok_or_else(foreign_token)?)
        }
    };
    let limit = call
        .top
        .map_or(call.max_page_size, |top| top.min(call.max_page_size));
    let hub = context.hub(&call.hub);
    let (members, more) = hub
        .map(|hub| hub.members(call.group.as_str(), after.as_deref(), limit as usize))
        .unwrap_or_default();
    let next_link = match members.last() {
        Some(last) if more => next_link(context, call, last.connection_id.as_str(), limit),
        _ => None,
    };
    let value = members.iter().map(|member| Item {
        connection_id: member.connection_id.as_str(),
        user_id: member.user_id.as_ref().map(AsRef::as_ref),
    });
    Ok(Outcome::document(&Page {
        value: value.collect(),
        next_link,
    }))
}

fn foreign_token() -> RestError {
    RestError::bad_parameter(BadParameter {
        target: "continuationToken",
        message: "Invalid continuationToken.".into(),
    })
}

/// The absolute URL of the next page; none when `returned` members were all that was asked for.
fn next_link(
    context: &Context<'_>,
    call: &ListConnectionsInGroup,
    last: &str,
    returned: u32,
) -> Option<String> {
    use std::fmt::Write as _;

    let top = call.top.map(|top| top - returned);
    if top == Some(0) {
        return None;
    }
    let key = context.service.settings().access_key();
    let mut link = format!(
        "{}api/hubs/{}/groups/{}/connections?api-version={NEWEST_VERSION}&maxpagesize={}\
         &continuationToken={}",
        context.origin.endpoint(),
        utf8_percent_encode(call.hub.as_str(), COMPONENT),
        utf8_percent_encode(call.group.as_str(), COMPONENT),
        call.max_page_size,
        cursor::seal(key, &call.hub, &call.group, last),
    );
    if let Some(top) = top {
        let _ = write!(link, "&top={top}");
    }
    Some(link)
}
