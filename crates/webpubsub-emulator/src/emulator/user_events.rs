//! Event handlers in code: a closure answers what clients send to their server.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytestring::ByteString;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{ConnectionId, EventName, HubName, UserId};
use webpubsub_protocol::payload::{Payload, PayloadError};

use crate::hub::{HandlerFailed, Reply, Upstream, UpstreamCall};

/// What a client sent to its server: an `event`, an `invoke`, or a message of a simple client, which is the event
/// `message`. `Debug` shows no payload.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserEvent {
    /// The hub of the connection, in lower case, since hub names are not case-sensitive.
    pub hub: HubName,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The user of the connection; `None` for an anonymous one.
    pub user_id: Option<UserId>,
    /// The name of the event.
    pub event_name: EventName,
    /// Numbers all events of a connection: `connect` is 0, `connected` 1.
    pub event_id: u64,
    /// What the client sent; empty text for an invocation without data.
    pub payload: Payload,
    /// The metadata of the frame.
    pub metadata: Metadata,
}

impl fmt::Debug for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEvent")
            .field("hub", &self.hub)
            .field("connection_id", &self.connection_id)
            .field("user_id", &self.user_id)
            .field("event_name", &self.event_name)
            .field("event_id", &self.event_id)
            .field("data_type", &self.payload.data_type())
            .finish_non_exhaustive()
    }
}

/// The answer to a [`UserEvent`]. The client of an event receives it as a message of the server, before the ack; the
/// client of an invocation as the result. `Debug` shows no payload.
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use = "return it from the handler"]
pub struct UserEventReply {
    payload: Option<Payload>,
    metadata: Metadata,
}

impl UserEventReply {
    /// An answer with this payload.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload: Some(payload),
            metadata: Metadata::default(),
        }
    }

    /// No message: an event is acknowledged, an invocation succeeds without data.
    pub fn none() -> Self {
        Self::default()
    }

    /// An answer in text.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::new(Payload::text(text))
    }

    /// An answer in JSON, from anything that serialises.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Payload::json(value).map(Self::new)
    }

    /// An answer in bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::new(Payload::binary(bytes))
    }

    /// Adds metadata in place of what was there. An answer to an event that has metadata only is sent as empty text.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

impl fmt::Debug for UserEventReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEventReply")
            .field("data_type", &self.payload.as_ref().map(Payload::data_type))
            .finish_non_exhaustive()
    }
}

/// A handler could not answer. The client learns `InternalServerError` and nothing else, as from the service; the cause
/// goes to the emulator's log. A simple client is closed with 1011.
///
/// As with `anyhow::Error`, `?` converts any error into it, so it cannot be an error itself.
#[derive(Debug)]
pub struct UserEventFailed(Box<dyn Error + Send + Sync>);

impl UserEventFailed {
    /// A failure with this cause, for the log.
    #[must_use]
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for UserEventFailed {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// The handler of an emulator: one for all its hubs.
#[derive(Clone)]
pub(super) struct UserEventHandler(Arc<dyn Upstream>);

impl UserEventHandler {
    pub(super) fn new<H, F>(handler: H) -> Self
    where
        H: Fn(UserEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<UserEventReply, UserEventFailed>> + Send + 'static,
    {
        Self(Arc::new(Calls(handler)))
    }

    pub(super) fn into_upstream(self) -> Arc<dyn Upstream> {
        self.0
    }
}

impl fmt::Debug for UserEventHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserEventHandler")
    }
}

/// Calls a closure for each event.
struct Calls<H>(H);

impl<H, F> Upstream for Calls<H>
where
    H: Fn(UserEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<UserEventReply, UserEventFailed>> + Send + 'static,
{
    fn call(
        &self,
        hub: &HubName,
        call: UpstreamCall,
    ) -> BoxFuture<'static, Result<Reply, HandlerFailed>> {
        let (connection, event) = (call.raised.connection_id.clone(), call.event.clone());
        let event_of_client = UserEvent {
            hub: hub.clone(),
            event_id: call.raised.turn.event_id(),
            connection_id: call.raised.connection_id,
            user_id: call.raised.user_id,
            event_name: call.event,
            payload: call.payload,
            metadata: call.metadata,
        };
        // A panic of the handler is its caller's failure, not the end of the connection's turn. What it left behind
        // belongs to the handler, which is called again as a server would be after it answered 500.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| (self.0)(event_of_client)));
        async move {
            let answered = match answer {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answered {
                Ok(Ok(UserEventReply { payload, metadata })) => Ok(Reply { payload, metadata }),
                Ok(Err(UserEventFailed(cause))) => {
                    tracing::warn!(%connection, %event, %cause, "the event handler failed");
                    Err(HandlerFailed)
                }
                Err(_) => {
                    tracing::error!(%connection, %event, "the event handler panicked");
                    Err(HandlerFailed)
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_payload() {
        let event = UserEvent {
            hub: HubName::new("chat").unwrap(),
            connection_id: ConnectionId::new("c").unwrap(),
            user_id: None,
            event_name: EventName::new("e").unwrap(),
            event_id: 1,
            payload: Payload::text("private"),
            metadata: Metadata::new([("k", "private")]).unwrap(),
        };
        let reply = UserEventReply::text("private").metadata(event.metadata.clone());
        let shown = format!("{event:?} {reply:?}");
        assert!(!shown.contains("private"), "{shown}");
        assert!(shown.contains("chat") && shown.contains("Text"), "{shown}");
    }

    #[test]
    fn a_failure_takes_errors_and_sentences() {
        fn parse(text: &str) -> Result<i32, UserEventFailed> {
            Ok(text.parse::<i32>()?)
        }
        assert!(parse("x").unwrap_err().0.is::<std::num::ParseIntError>());
        let failure = UserEventFailed::new("out of paper");
        assert_eq!(failure.0.to_string(), "out of paper");
    }
}
