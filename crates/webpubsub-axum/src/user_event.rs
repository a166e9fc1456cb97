//! User events: what clients send to their server, typed.

use std::fmt;

use axum::extract::FromRequestParts;
use http::request::Parts;
use webpubsub_protocol::{
    metadata::Metadata,
    payload::{DataType, FromPayload, Payload},
};

use crate::{
    context::ConnectionContext,
    event::{Event, EventData},
    rejection::{ExtractRejection, PayloadRejection, Rejection},
};

/// A client sent something to its server.
///
/// `T` says what the handler takes; anything else is refused with 400 before it runs. [`FromPayload`] lists the types.
/// Without `T` it is the payload as it came. `Debug` does not show the payload.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserEventRequest<T = Payload> {
    /// The connection.
    pub context: ConnectionContext,
    /// What the client sent.
    pub data: T,
    /// The kind of payload that it was sent as.
    pub data_type: DataType,
    /// The content type. Interesting for MQTT clients, whose publishers choose it.
    pub content_type: Option<String>,
    /// The metadata of the message.
    pub metadata: Metadata,
}

impl<S: Send + Sync, T: FromPayload> FromRequestParts<S> for UserEventRequest<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let extractor = "UserEventRequest";
        let event = Event::current(&parts.extensions, extractor)?;
        let EventData::User(user) = &event.data else {
            return Err(ExtractRejection::OtherEvent { extractor }.into());
        };
        Ok(Self {
            context: event.context.clone(),
            data: user.payload.read().map_err(PayloadRejection::from)?,
            data_type: user.payload.data_type(),
            content_type: user.content_type.clone(),
            metadata: user.metadata.clone(),
        })
    }
}

impl<T> fmt::Debug for UserEventRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEventRequest")
            .field("context", &self.context)
            .field("data_type", &self.data_type)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}
