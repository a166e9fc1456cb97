//! Requests that the service acknowledges.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::{EventName, GroupName};
use webpubsub_protocol::payload::{Payload, PayloadError};
use webpubsub_protocol::session::{Acknowledge, Outcome, Request};

use crate::client::{WebPubSubClient, ttl_seconds};
use crate::error::SendError;
use crate::pending;
use crate::shared::Shared;

/// The service did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledged {
    /// Now.
    Accepted {
        /// The id under which it was done; `None` for fire and forget.
        ack_id: Option<AckId>,
    },
    /// Earlier, under the same id: it was sent again after a lost answer, by the client or by you.
    Duplicate {
        /// The id.
        ack_id: AckId,
    },
}

type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<Acknowledged, SendError>> + Send + 'a>>;

/// Joins a group when awaited. Dropping the future only stops waiting, once the request was written.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct JoinGroup<'a> {
    client: &'a WebPubSubClient,
    group: ByteString,
    acknowledge: Acknowledge,
}

impl<'a> JoinGroup<'a> {
    pub(crate) const fn new(client: &'a WebPubSubClient, group: ByteString) -> Self {
        let acknowledge = Acknowledge::Auto;
        Self {
            client,
            group,
            acknowledge,
        }
    }

    /// Uses this id for the request: the service does it once, however often it is sent on this connection.
    pub const fn ack_id(mut self, id: u64) -> Self {
        self.acknowledge = Acknowledge::Id(AckId(id));
        self
    }
}

impl<'a> IntoFuture for JoinGroup<'a> {
    type Output = Result<Acknowledged, SendError>;
    type IntoFuture = SendFuture<'a>;

    fn into_future(self) -> SendFuture<'a> {
        Box::pin(async move {
            let request = Request::join_group(GroupName::new(self.group)?);
            let request = request.acknowledge(self.acknowledge);
            acknowledged(self.client.shared(), request).await
        })
    }
}

/// Leaves a group when awaited. Dropping the future only stops waiting, once the request was written.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct LeaveGroup<'a> {
    client: &'a WebPubSubClient,
    group: ByteString,
    acknowledge: Acknowledge,
}

impl<'a> LeaveGroup<'a> {
    pub(crate) const fn new(client: &'a WebPubSubClient, group: ByteString) -> Self {
        let acknowledge = Acknowledge::Auto;
        Self {
            client,
            group,
            acknowledge,
        }
    }

    /// Uses this id for the request: the service does it once, however often it is sent on this connection.
    pub const fn ack_id(mut self, id: u64) -> Self {
        self.acknowledge = Acknowledge::Id(AckId(id));
        self
    }
}

impl<'a> IntoFuture for LeaveGroup<'a> {
    type Output = Result<Acknowledged, SendError>;
    type IntoFuture = SendFuture<'a>;

    fn into_future(self) -> SendFuture<'a> {
        Box::pin(async move {
            let request = Request::leave_group(GroupName::new(self.group)?);
            let request = request.acknowledge(self.acknowledge);
            acknowledged(self.client.shared(), request).await
        })
    }
}

/// Publishes to a group when awaited. Dropping the future withdraws a message that was not written yet; otherwise it
/// only stops waiting.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct SendToGroup<'a> {
    client: &'a WebPubSubClient,
    group: ByteString,
    payload: Result<Payload, PayloadError>,
    no_echo: bool,
    ttl: Duration,
    metadata: Metadata,
    acknowledge: Acknowledge,
}

impl<'a> SendToGroup<'a> {
    pub(crate) fn new(
        client: &'a WebPubSubClient,
        group: ByteString,
        payload: Result<Payload, PayloadError>,
    ) -> Self {
        Self {
            client,
            group,
            payload,
            no_echo: false,
            ttl: Duration::ZERO,
            metadata: Metadata::default(),
            acknowledge: Acknowledge::Auto,
        }
    }

    /// Does not send it back to this connection.
    pub const fn no_echo(mut self) -> Self {
        self.no_echo = true;
        self
    }

    /// Drops it when it is still undelivered after this time: whole seconds, at most 300; zero for never.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Entries that travel with it.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Uses this id for the request: the service does it once, however often it is sent on this connection.
    pub const fn ack_id(mut self, id: u64) -> Self {
        self.acknowledge = Acknowledge::Id(AckId(id));
        self
    }

    /// Asks for no answer: completes when it is written. Failures go unnoticed, a drop may lose it.
    pub const fn fire_and_forget(mut self) -> Self {
        self.acknowledge = Acknowledge::Forget;
        self
    }
}

impl<'a> IntoFuture for SendToGroup<'a> {
    type Output = Result<Acknowledged, SendError>;
    type IntoFuture = SendFuture<'a>;

    fn into_future(self) -> SendFuture<'a> {
        Box::pin(async move {
            let mut request = Request::send_to_group(GroupName::new(self.group)?, self.payload?)
                .ttl_seconds(ttl_seconds(self.ttl))
                .metadata(self.metadata)
                .acknowledge(self.acknowledge);
            if self.no_echo {
                request = request.no_echo();
            }
            acknowledged(self.client.shared(), request).await
        })
    }
}

/// Raises an event when awaited. Dropping the future withdraws one that was not written yet; otherwise it only stops
/// waiting.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct SendEvent<'a> {
    client: &'a WebPubSubClient,
    event: ByteString,
    payload: Result<Payload, PayloadError>,
    metadata: Metadata,
    acknowledge: Acknowledge,
}

impl<'a> SendEvent<'a> {
    pub(crate) fn new(
        client: &'a WebPubSubClient,
        event: ByteString,
        payload: Result<Payload, PayloadError>,
    ) -> Self {
        Self {
            client,
            event,
            payload,
            metadata: Metadata::default(),
            acknowledge: Acknowledge::Auto,
        }
    }

    /// Entries that travel with it.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Uses this id for the request: the service does it once, however often it is sent on this connection.
    pub const fn ack_id(mut self, id: u64) -> Self {
        self.acknowledge = Acknowledge::Id(AckId(id));
        self
    }

    /// Asks for no answer: completes when it is written. Failures go unnoticed, a drop may lose it.
    pub const fn fire_and_forget(mut self) -> Self {
        self.acknowledge = Acknowledge::Forget;
        self
    }
}

impl<'a> IntoFuture for SendEvent<'a> {
    type Output = Result<Acknowledged, SendError>;
    type IntoFuture = SendFuture<'a>;

    fn into_future(self) -> SendFuture<'a> {
        Box::pin(async move {
            let request = Request::send_event(EventName::new(self.event)?, self.payload?)
                .metadata(self.metadata)
                .acknowledge(self.acknowledge);
            acknowledged(self.client.shared(), request).await
        })
    }
}

/// Submits a request and waits for its acknowledgement.
pub(crate) async fn acknowledged(
    shared: &Arc<Shared>,
    request: Request,
) -> Result<Acknowledged, SendError> {
    match pending::submit(shared, request).await?.1.outcome {
        Outcome::Accepted { ack_id } => Ok(Acknowledged::Accepted { ack_id }),
        Outcome::Duplicate { ack_id } => Ok(Acknowledged::Duplicate { ack_id }),
        other => Err(failure(other)),
    }
}

/// Any outcome but a success.
pub(crate) fn failure(outcome: Outcome) -> SendError {
    match outcome {
        Outcome::Rejected { error, ack_id } => SendError::Rejected { error, ack_id },
        Outcome::Lost(loss) => SendError::Lost(loss),
        Outcome::Stalled => SendError::Stalled,
        _ => SendError::NotStarted,
    }
}
