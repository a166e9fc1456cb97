//! The four closes.

use webpubsub_protocol::name::HubName;

use super::super::answer::Outcome;
use super::super::error::RestError;
use super::Context;
use crate::hub::Target;

/// Closes whom `target` names. Closing nobody succeeds; an empty reason is none.
pub(super) fn close(
    context: &Context<'_>,
    hub: &HubName,
    target: &Target,
    excluded: &[String],
    reason: Option<String>,
) -> Result<Outcome, RestError> {
    if let Some(hub) = context.hub(hub) {
        let reason = reason.filter(|reason| !reason.is_empty());
        hub.close(target, excluded, reason.as_deref());
    }
    Ok(Outcome::Done)
}
