//! Requests: the builder that describes one, and the future that sends it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use webpubsub_protocol::frame::AckId;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::session::{Acknowledge, Request};

use crate::acknowledged::Acknowledged;
use crate::error::SendError;
use crate::pending::Pending;
use crate::shared::{Lane, Shared};
use ended::Ended;

/// A request to the service, which is sent when you await it. Options are methods, and the type `A` of the request
/// determines which ones it has: see [`action`](crate::action).
///
/// Dropping the future before it completes withdraws the request, if it was not written yet. A request that was written takes
/// effect all the same, except that an [invocation](crate::WebPubSubClient::invoke_event) is cancelled at the service.
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
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<'a, A> {
    shared: &'a Arc<Shared>,
    timeout: Option<Duration>,
    /// As the session takes it, or why it never will.
    request: Result<Request, SendError>,
    metadata: Vec<(String, String)>,
    pub(crate) action: A,
}

/// A kind of request. This trait is sealed: only the types of the module [`action`](crate::action) implement it.
pub trait Action: Sized + Send + Unpin + 'static {
    /// What the call returns when it succeeds.
    type Output: Send + 'static;

    #[doc(hidden)]
    fn finish(self, ended: Ended<'_>) -> Result<Self::Output, SendError>;
}

/// A request that carries data, and can carry metadata.
pub trait Message: Action {}

impl<'a, A: Action> Call<'a, A> {
    pub(crate) const fn new(
        shared: &'a Arc<Shared>,
        timeout: Option<Duration>,
        request: Result<Request, SendError>,
        action: A,
    ) -> Self {
        Self {
            shared,
            timeout,
            request,
            metadata: Vec::new(),
            action,
        }
    }

    /// Fails with [`SendError::TimedOut`] if the request has not completed after this time, which includes waiting for a
    /// connection. Default: [`request_timeout`](crate::WebPubSubClientBuilder::request_timeout).
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Changes the request; a mistake is reported when the call is awaited.
    pub(crate) fn with(
        mut self,
        change: impl FnOnce(Request) -> Result<Request, SendError>,
    ) -> Self {
        self.request = self.request.and_then(change);
        self
    }
}

impl<A: Action<Output = Acknowledged>> Call<'_, A> {
    /// Sends the request under this ack id. The service carries out each id only once per connection, so a request can be
    /// repeated under its id without the risk of doing it twice. Default: the client counts.
    pub fn ack_id(self, id: u64) -> Self {
        self.with(|request| Ok(request.acknowledge(Acknowledge::Id(AckId(id)))))
    }
}

impl<A: Message<Output = Acknowledged>> Call<'_, A> {
    /// Does not ask for an acknowledgement: the call completes when the request was written. Failures go unnoticed, and so
    /// does the loss of the message with its socket.
    pub fn fire_and_forget(self) -> Self {
        self.with(|request| Ok(request.acknowledge(Acknowledge::Forget)))
    }
}

impl<A: Message> Call<'_, A> {
    /// Adds a metadata entry, which is delivered along with the message.
    ///
    /// A key has 1 to 256 letters, digits or any of ``!#$%&'*+-.^_`|~``, and can be used only once. A value has up to 1,024
    /// printable ASCII characters. All entries together may have 8,192 bytes. The call fails with
    /// [`SendError::InvalidMetadata`] if an entry breaks these rules.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }
}

impl<'a, A: Action> IntoFuture for Call<'a, A> {
    type Output = Result<A::Output, SendError>;
    type IntoFuture = Sending<'a, A>;

    fn into_future(self) -> Sending<'a, A> {
        let request = self.request.and_then(|request| {
            if self.metadata.is_empty() {
                return Ok(request);
            }
            Ok(request.metadata(Metadata::new(self.metadata)?))
        });
        let (shared, timeout) = (self.shared, self.timeout);
        let pending = |request| Pending::new(shared, Lane::Outbox, timeout, request);
        Sending {
            shared,
            pending: request.map(pending).map_err(Some),
            action: Some(self.action),
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for Call<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("action", &self.action)
            .field("request", &self.request)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A request in progress: the future of a [`Call`].
#[must_use = "nothing is sent until it is awaited"]
pub struct Sending<'a, A> {
    shared: &'a Arc<Shared>,
    /// Or why there is nothing to send.
    pending: Result<Pending<'a>, Option<SendError>>,
    /// Until it has completed.
    action: Option<A>,
}

impl<A: Action> Future for Sending<'_, A> {
    type Output = Result<A::Output, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.pending {
            Ok(pending) => ready!(Pin::new(pending).poll(cx)),
            Err(error) => Err(error.take().unwrap_or(SendError::NotStarted)),
        };
        let action = self.action.take().ok_or(SendError::NotStarted);
        let shared = self.shared;
        Poll::Ready(action.and_then(|action| {
            let (request, settled) = result?;
            action.finish(Ended {
                shared,
                request,
                settled,
            })
        }))
    }
}

impl<A> fmt::Debug for Sending<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// How a request ended, for those who read its answer.
pub(crate) mod ended {
    use std::sync::Arc;

    use webpubsub_protocol::session::RequestId;

    use crate::shared::{Settled, Shared};

    #[expect(
        unnameable_types,
        reason = "nobody else can implement what nobody else can name"
    )]
    #[derive(Debug)]
    pub struct Ended<'a> {
        pub(crate) shared: &'a Arc<Shared>,
        pub(crate) request: RequestId,
        pub(crate) settled: Settled,
    }
}
