//! Who is in which group.

use axum::body::Body;
use serde::Deserialize;
use webpubsub_protocol::filter::Filter;
use webpubsub_protocol::limits::MESSAGE_BYTES;
use webpubsub_protocol::name::{GroupName, HubName};

use super::super::answer::Outcome;
use super::super::body;
use super::super::error::RestError;
use super::super::generated::{
    AddConnectionToGroup, AddUserToGroup, RemoveConnectionFromAllGroups, RemoveConnectionFromGroup,
    RemoveUserFromAllGroups, RemoveUserFromGroup,
};
use super::super::media_type;
use super::Context;
use crate::hub::Change;

pub(super) fn add_connection(
    context: &Context<'_>,
    call: &AddConnectionToGroup,
) -> Result<Outcome, RestError> {
    let id = call.connection_id.as_str();
    let hub = context.hub(&call.hub);
    match hub.map(|hub| hub.add_connection_to_group(id, &call.group)) {
        Some(Ok(())) => Ok(Outcome::Done),
        Some(Err(_)) | None => Err(RestError::no_connection_to_add(id)),
    }
}

pub(super) fn remove_connection(
    context: &Context<'_>,
    call: &RemoveConnectionFromGroup,
) -> Result<Outcome, RestError> {
    if let Some(hub) = context.hub(&call.hub) {
        hub.remove_connection_from_group(call.connection_id.as_str(), &call.group);
    }
    Ok(Outcome::Done)
}

pub(super) fn remove_connection_from_all(
    context: &Context<'_>,
    call: &RemoveConnectionFromAllGroups,
) -> Result<Outcome, RestError> {
    if let Some(hub) = context.hub(&call.hub) {
        hub.remove_connection_from_all_groups(call.connection_id.as_str());
    }
    Ok(Outcome::Done)
}

/// Adds all connections that the user has now; nothing is remembered for later ones.
pub(super) fn add_user(context: &Context<'_>, call: &AddUserToGroup) -> Result<Outcome, RestError> {
    match context.hub(&call.hub) {
        Some(hub) if hub.add_user_to_group(call.user_id.as_str(), &call.group) => Ok(Outcome::Done),
        _ => Err(RestError::no_user_to_add()),
    }
}

pub(super) fn remove_user(
    context: &Context<'_>,
    call: &RemoveUserFromGroup,
) -> Result<Outcome, RestError> {
    if let Some(hub) = context.hub(&call.hub) {
        hub.remove_user_from_group(call.user_id.as_str(), &call.group);
    }
    Ok(Outcome::Done)
}

pub(super) fn remove_user_from_all(
    context: &Context<'_>,
    call: &RemoveUserFromAllGroups,
) -> Result<Outcome, RestError> {
    if let Some(hub) = context.hub(&call.hub) {
        hub.remove_user_from_all_groups(call.user_id.as_str());
    }
    Ok(Outcome::Done)
}

/// Changes many groups of all connections that a filter chooses, whoever they are.
pub(super) async fn change_many(
    context: &Context<'_>,
    hub: &HubName,
    change: Change,
    body: &mut Body,
) -> Result<Outcome, RestError> {
    let headers = context.headers;
    let length = body::declared_length(headers, MESSAGE_BYTES)?;
    let charset = media_type::json_charset(headers)?;
    let bytes = body::read(body, length).await?;
    let request = GroupsRequest::parse(&body::json_text(charset, bytes)?)?;
    if let Some(hub) = context.hub(hub) {
        hub.change_groups(request.filter.as_ref(), &request.groups, change);
    }
    Ok(Outcome::Done)
}

#[derive(Debug)]
struct GroupsRequest {
    groups: Vec<GroupName>,
    filter: Option<Filter>,
}

impl GroupsRequest {
    fn parse(text: &str) -> Result<Self, RestError> {
        /// Members compare without regard to case, as the service's framework does it.
        #[derive(Deserialize)]
        struct Members {
            #[serde(alias = "Groups")]
            groups: Option<Vec<String>>,
            #[serde(alias = "Filter")]
            filter: Option<String>,
        }

        // A sequence would fill the members by position.
        if !text.trim_start().starts_with('{') {
            return Err(RestError::bad_groups_request());
        }
        let members: Members =
            serde_json::from_str(text).map_err(|_| RestError::bad_groups_request())?;
        let groups = members
            .groups
            .unwrap_or_default()
            .into_iter()
            .map(GroupName::new);
        let groups: Vec<_> = groups
            .collect::<Result<_, _>>()
            .map_err(|_| RestError::bad_group_names())?;
        if groups.is_empty() {
            return Err(RestError::bad_group_names());
        }
        let filter = super::filter(members.filter.as_deref())
            .map_err(|error| RestError::bad_body_filter(&error))?;
        Ok(Self { groups, filter })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHAPE: &str = "The request body is not a valid groups request.";
    const NAMES: &str = "A nonempty list of valid group names is required.";

    #[test]
    fn groups_requests() {
        for text in [
            r#"{"groups":["a"]}"#,
            r#" {"filter":null,"groups":["a","b"],"more":{"x":[1]}}"#,
            r#"{"Groups":["a"],"Filter":""}"#,
        ] {
            let request = GroupsRequest::parse(text).unwrap();
            assert_eq!(request.groups[0].as_str(), "a");
            assert_eq!(request.filter, None);
        }
        let filtered = GroupsRequest::parse(r#"{"groups":["a"],"filter":"userId eq null"}"#);
        assert!(filtered.unwrap().filter.is_some());
    }

    #[test]
    fn refused_groups_requests_say_why() {
        for (text, message) in [
            ("null", SHAPE),
            ("[]", SHAPE),
            (r#"[["a"],null]"#, SHAPE),
            ("1", SHAPE),
            (r#"{"groups":"a"}"#, SHAPE),
            (r#"{"groups":[1]}"#, SHAPE),
            (r#"{"groups":[null]}"#, SHAPE),
            (r#"{"groups":["a"],"filter":1}"#, SHAPE),
            (r#"{"groups":["a"],"groups":["b"]}"#, SHAPE),
            ("{}", NAMES),
            (r#"{"groups":null}"#, NAMES),
            (r#"{"groups":[]}"#, NAMES),
            (r#"{"groups":["a"," "]}"#, NAMES),
            (r#"{"groups":[""]}"#, NAMES),
        ] {
            assert_eq!(
                GroupsRequest::parse(text).unwrap_err().message(),
                message,
                "{text}"
            );
        }
        let long = format!(r#"{{"groups":["{}"]}}"#, "g".repeat(1025));
        assert_eq!(GroupsRequest::parse(&long).unwrap_err().message(), NAMES);
        let blank = GroupsRequest::parse(r#"{"groups":["a"],"filter":" "}"#).unwrap_err();
        assert!(
            blank.message().ends_with("(Parameter 'filter')"),
            "{}",
            blank.message()
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_request_or_refused(text in r#"(\{|\}|\[|\]|"|:|,|groups|filter|a|\PC){0,20}"#) {
            let _ = GroupsRequest::parse(&text);
        }
    }
}
