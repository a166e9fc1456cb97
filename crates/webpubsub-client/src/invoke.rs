//! Events that wait for their handler's answer.

use serde::de::DeserializeOwned;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

/// The answer of an event handler to an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvokeEventResult {
    /// The answer; `None` when it is empty.
    pub payload: Option<Payload>,
    /// The metadata that was sent with it.
    pub metadata: Metadata,
}

/// An answer is not of the shape that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is empty.
    #[error("the answer is empty")]
    Empty,
    /// It is not JSON, or not of this shape.
    #[error("the answer is not the JSON that was expected")]
    Json(#[source] serde_json::Error),
}

impl InvokeEventResult {
    /// Its text; `None` unless it is of the data type `text`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.payload {
            Some(Payload::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Reads the answer as JSON, whatever its data type.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, AnswerError> {
        let payload = self.payload.as_ref().ok_or(AnswerError::Empty)?;
        serde_json::from_slice(payload.as_bytes()).map_err(AnswerError::Json)
    }
}
