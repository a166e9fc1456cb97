//! Events that wait for their handler's answer.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytestring::ByteString;
use serde::de::DeserializeOwned;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::EventName;
use webpubsub_protocol::payload::{Payload, PayloadError};
use webpubsub_protocol::session::{Outcome, Request};

use crate::client::WebPubSubClient;
use crate::error::SendError;
use crate::pending;
use crate::send;

/// Raises an event and waits for its answer when awaited. Dropping the future tells the service that nobody waits.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct InvokeEvent<'a> {
    client: &'a WebPubSubClient,
    event: ByteString,
    payload: Result<Option<Payload>, PayloadError>,
    metadata: Metadata,
    invocation_id: Option<ByteString>,
    timeout: Option<Duration>,
}

impl<'a> InvokeEvent<'a> {
    pub(crate) fn new(
        client: &'a WebPubSubClient,
        event: ByteString,
        payload: Result<Option<Payload>, PayloadError>,
    ) -> Self {
        Self {
            client,
            event,
            payload,
            metadata: Metadata::default(),
            invocation_id: None,
            timeout: None,
        }
    }

    /// Uses this id, unique among those that wait. Default: counted from 1.
    pub fn invocation_id(mut self, id: impl Into<ByteString>) -> Self {
        self.invocation_id = Some(id.into());
        self
    }

    /// Entries that travel with it.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Gives up after this time, and tells the service. Default: never.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn invoke(self) -> Result<InvokeEventResult, SendError> {
        let mut request =
            Request::invoke(EventName::new(self.event)?, self.payload?).metadata(self.metadata);
        if let Some(id) = self.invocation_id {
            request = request.invocation_id(id);
        }
        let shared = self.client.shared();
        let (_, settled) = pending::submit_within(shared, self.timeout, request).await?;
        match (settled.outcome, settled.answer) {
            (Outcome::Accepted { .. }, Some(answer)) => Ok(InvokeEventResult {
                payload: answer.payload,
                metadata: answer.metadata,
            }),
            (outcome, _) => Err(send::failure(outcome)),
        }
    }
}

impl<'a> IntoFuture for InvokeEvent<'a> {
    type Output = Result<InvokeEventResult, SendError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.invoke())
    }
}

/// What the handler answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvokeEventResult {
    /// The answer; `None` when it is empty.
    pub payload: Option<Payload>,
    /// Entries that travel with it.
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
