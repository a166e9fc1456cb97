//! The four sends.

use axum::body::Body;
use webpubsub_protocol::name::HubName;

use super::super::answer::Outcome;
use super::super::body;
use super::super::error::RestError;
use super::super::media_type::MessageType;
use super::Context;
use crate::hub::{Outgoing, Selection, Target};

/// Who gets a message.
pub(super) struct To {
    pub(super) target: Target,
    /// Ids of connections that do not get it, compared exactly.
    pub(super) excluded: Vec<String>,
    pub(super) filter: Option<String>,
}

/// Sends what the body holds. Accepted also when nobody is there to get it.
pub(super) async fn send(
    context: &Context<'_>,
    hub: &HubName,
    to: To,
    ttl_seconds: u32,
    body: &mut Body,
) -> Result<Outcome, RestError> {
    let headers = context.headers;
    let most = context.service.settings().limits.message_bytes;
    let filter =
        super::filter(to.filter.as_deref()).map_err(|error| RestError::bad_filter(&error))?;
    let length = body::declared_length(headers, most)?;
    let kind = MessageType::of_message(headers)?;
    let bytes = body::read(body, length).await?;
    let payload = body::payload(kind, bytes)?;
    let metadata = body::metadata(headers)?;
    if let Some(hub) = context.hub(hub) {
        let selection = Selection {
            excluded: to.excluded,
            filter,
        };
        let message = Outgoing {
            payload,
            metadata,
            ttl_seconds,
        };
        hub.send(&to.target, &selection, message).await;
    }
    Ok(Outcome::Done)
}
