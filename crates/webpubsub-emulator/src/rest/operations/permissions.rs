//! What one connection may do in one group. Joined groups stay joined whatever is revoked.

use super::super::answer::Outcome;
use super::super::error::RestError;
use super::super::generated::{CheckPermission, GrantPermission, RevokePermission};
use super::Context;
use crate::hub::GrantError;

pub(super) fn grant(context: &Context<'_>, call: &GrantPermission) -> Result<Outcome, RestError> {
    let id = call.connection_id.as_str();
    let hub = context
        .hub(&call.hub)
        .ok_or_else(|| RestError::no_connection_to_permit(id))?;
    match hub.grant(id, call.permission, &call.target_name) {
        Ok(()) => Ok(Outcome::Done),
        Err(GrantError::NoSuchConnection) => Err(RestError::no_connection_to_permit(id)),
        Err(GrantError::RuleLimit) => Err(RestError::too_many_permissions(id, call.permission)),
    }
}

/// A connection that does not exist has no permission, so revoking one succeeds.
pub(super) fn revoke(context: &Context<'_>, call: &RevokePermission) -> Result<Outcome, RestError> {
    let id = call.connection_id.as_str();
    let Some(hub) = context.hub(&call.hub) else {
        return Ok(Outcome::Done);
    };
    match hub.revoke(id, call.permission, &call.target_name) {
        Ok(()) | Err(GrantError::NoSuchConnection) => Ok(Outcome::Done),
        Err(GrantError::RuleLimit) => Err(RestError::too_many_permissions(id, call.permission)),
    }
}

pub(super) fn check(context: &Context<'_>, call: &CheckPermission) -> Result<Outcome, RestError> {
    let id = call.connection_id.as_str();
    let hub = context.hub(&call.hub);
    match hub.and_then(|hub| hub.check(id, call.permission, &call.target_name)) {
        Some(true) => Ok(Outcome::Done),
        Some(false) => Err(RestError::no_permission(id, call.permission)),
        None => Err(RestError::no_connection_to_permit(id)),
    }
}
