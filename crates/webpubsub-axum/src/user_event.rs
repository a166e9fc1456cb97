//! User events, with a typed payload.

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

/// A user event: a client sent something to its server.
///
/// `T` is the type of the payload; [`FromPayload`] lists the possible types. A payload that cannot be read as `T` is refused
/// with 400, and the handler does not run. The default, [`Payload`], accepts any payload. `Debug` does not show the payload.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserEventRequest<T = Payload> {
    /// The connection.
    pub context: ConnectionContext,
    /// The payload that the client sent.
    pub data: T,
    /// The data type of the payload.
    pub data_type: DataType,
    /// The content type of the request. For MQTT clients this is the one that the publisher chose.
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
