//! A request that has not been sent yet.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::session::Acknowledge;

use crate::action::answer::Answer as _;
use crate::action::{Action, Message};
use crate::error::SendError;
use crate::invoke::InvokeEventResult;
use crate::pending;
use crate::send::Acknowledged;
use crate::shared::Shared;

/// A request to the service, which is sent when it is awaited. Options are methods; which ones there are depends on the
/// request, that is, on `A`: see [`action`](crate::action).
///
/// Dropping the future before it completes withdraws a request that was not written yet. One that was written takes
/// effect anyway; only an [invocation](crate::WebPubSubClient::invoke_event) is then cancelled at the service.
///
/// ```
/// # use std::time::Duration;
/// # async fn example(client: webpubsub_client::WebPubSubClient) -> Result<(), Box<dyn std::error::Error>> {
/// client
///     .send_to_group("room-7", "hello")
///     .no_echo()
///     .ttl(Duration::from_secs(60))
///     .metadata("sent-from", "terminal")
///     .timeout(Duration::from_secs(5))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<'a, A> {
    shared: &'a Arc<Shared>,
    timeout: Option<Duration>,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) action: A,
}

impl<'a, A: Action> Call<'a, A> {
    pub(crate) const fn new(shared: &'a Arc<Shared>, timeout: Option<Duration>, action: A) -> Self {
        let acknowledge = Acknowledge::Auto;
        Self {
            shared,
            timeout,
            acknowledge,
            action,
        }
    }

    /// Fails with [`SendError::TimedOut`] when the request has not completed after this time, waiting for a connection
    /// included. Default: [`request_timeout`](crate::WebPubSubClientBuilder::request_timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn send(self) -> Result<A::Output, SendError> {
        let request = self.action.into_request()?;
        let request = request.acknowledge(self.acknowledge);
        let (_, settled) = pending::submit_within(self.shared, self.timeout, request).await?;
        let answer = settled.answer.map(|answer| InvokeEventResult {
            payload: answer.payload,
            metadata: answer.metadata,
        });
        A::Output::read(settled.outcome, answer)
    }
}

impl<A: Action<Output = Acknowledged>> Call<'_, A> {
    /// Sends the request under this id. The service executes an id once per connection, so repeating a request under
    /// its id cannot do it twice. Default: the client counts.
    pub const fn ack_id(mut self, id: u64) -> Self {
        self.acknowledge = Acknowledge::Id(AckId(id));
        self
    }
}

impl<A: Message<Output = Acknowledged>> Call<'_, A> {
    /// Asks for no acknowledgement: completes when the request was written. A failure goes unnoticed, and so does a
    /// message that is lost with its socket.
    pub const fn fire_and_forget(mut self) -> Self {
        self.acknowledge = Acknowledge::Forget;
        self
    }
}

impl<A: Message> Call<'_, A> {
    /// Adds a metadata entry that travels with the message. Keys are 1 to 256 letters, digits or any of
    /// ``!#$%&'*+-.^_`|~``, each at most once; values are up to 1,024 printable ASCII characters; 8,192 bytes in all.
    /// What breaks these rules is reported when the call is awaited, as [`SendError::InvalidMetadata`].
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let entry = (key.into(), value.into());
        self.action.metadata_mut().push(entry);
        self
    }
}

impl<'a, A: Action> IntoFuture for Call<'a, A> {
    type Output = Result<A::Output, SendError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
