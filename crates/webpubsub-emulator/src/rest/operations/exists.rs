//! Does a connection, user or group exist?

use super::super::answer::Outcome;
use super::super::error::RestError;
use super::super::generated::{ConnectionExists, GroupExists, UserExists};
use super::Context;

pub(super) fn connection(
    context: &Context<'_>,
    call: &ConnectionExists,
) -> Result<Outcome, RestError> {
    let id = call.connection_id.as_str();
    match context.hub(&call.hub) {
        Some(hub) if hub.connection_exists(id) => Ok(Outcome::Done),
        _ => Err(RestError::no_connection(id)),
    }
}

/// A user exists while it has a connection.
pub(super) fn user(context: &Context<'_>, call: &UserExists) -> Result<Outcome, RestError> {
    let id = call.user_id.as_str();
    match context.hub(&call.hub) {
        Some(hub) if hub.user_exists(id) => Ok(Outcome::Done),
        _ => Err(RestError::no_user(id)),
    }
}

/// A group exists while a connection is in it.
pub(super) fn group(context: &Context<'_>, call: &GroupExists) -> Result<Outcome, RestError> {
    let name = call.group.as_str();
    match context.hub(&call.hub) {
        Some(hub) if hub.group_exists(name) => Ok(Outcome::Done),
        _ => Err(RestError::no_group(name)),
    }
}
