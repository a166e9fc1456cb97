//! A call that has not been sent yet.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use azure_core::http::{ClientMethodOptions, RawResponse};
use futures_util::future::BoxFuture;

use crate::{
    action::{Action, Closing, Excluding, Filtered, Sending},
    request::CallOptions,
    service::Service,
};

/// A call to the service, which is sent when you await it.
///
/// Optional parameters are methods, and the type `A` of the call determines which ones it has. Dropping the future cancels
/// the call; if the request has already reached the service, its effect remains.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let client = webpubsub::WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")?;
/// use std::time::Duration;
/// use webpubsub::odata;
///
/// client
///     .send_to_all("hello")
///     .filter(odata!("'news' in groups and userId ne {}", "ana"))
///     .exclude("connection-1")
///     .ttl(Duration::from_secs(60))
///     .await?;
/// # emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
#[derive(Debug)]
pub struct Call<A> {
    service: Arc<Service>,
    action: A,
    options: CallOptions,
}

impl<A: Action> Call<A> {
    pub(crate) fn new(service: &Arc<Service>, action: A) -> Self {
        Self {
            service: Arc::clone(service),
            action,
            options: CallOptions::default(),
        }
    }

    /// Passes `azure_core` options to this call, for example a context with values for your own policies.
    pub fn with_options(mut self, options: ClientMethodOptions<'_>) -> Self {
        self.options.set_method_options(options);
        self
    }

    /// Turns retries of this call on or off, if it uses POST. Overrides
    /// [`retry_post`](crate::WebPubSubServiceClientOptions::retry_post). Calls that use other methods are always retried.
    pub fn retry_post(mut self, retry: bool) -> Self {
        self.options.retry_post = Some(retry);
        self
    }

    /// Sends the call and returns the raw response with its status and headers. As without `send`, every status other than
    /// the documented successes is an error.
    ///
    /// # Errors
    ///
    /// The same as those of the call itself.
    pub async fn send(self) -> azure_core::Result<RawResponse> {
        self.action.send(self.service, self.options).await
    }
}

impl<A: Action> IntoFuture for Call<A> {
    type Output = azure_core::Result<A::Output>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { A::read(&self.send().await?) })
    }
}

impl<A: Filtered> Call<A> {
    /// Restricts the receivers by an OData expression over `userId`, `connectionId`, `groups` and `protocol`. Use
    /// [`odata!`](crate::odata) to quote values in it. An empty expression selects all connections.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        *self.action.filter_mut() = Some(filter.into());
        self
    }
}

impl<A: Excluding> Call<A> {
    /// Excludes a connection. Can be called repeatedly; ids that do not exist are ignored.
    pub fn exclude(mut self, connection_id: impl Into<String>) -> Self {
        self.action.excluded_mut().push(connection_id.into());
        self
    }

    /// Excludes several connections.
    pub fn exclude_all<I>(mut self, connection_ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.action
            .excluded_mut()
            .extend(connection_ids.into_iter().map(Into::into));
        self
    }
}

impl<A: Closing> Call<A> {
    /// Sets the reason, as free text. Clients receive it in their `disconnected` frame, and event handlers in the
    /// `disconnected` event.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        *self.action.reason_mut() = Some(reason.into());
        self
    }
}

impl<A: Sending> Call<A> {
    /// Sets the time to live: the message is dropped for connections that it cannot be delivered to within this time. Whole
    /// seconds from 0 to 300; 0, the default, means that the message does not expire. The call fails for other values.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.action.delivery_mut().ttl = Some(ttl);
        self
    }

    /// Adds a metadata entry, which is delivered along with the message.
    ///
    /// A key has 1 to 256 letters, digits or any of ``!#$%&'*+-.^_`|~``, and is lower-cased because it is sent as the name
    /// of a header. A value has up to 1,024 printable ASCII characters. All entries together may have 8,192 bytes. The call
    /// fails if an entry breaks these rules.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.action
            .delivery_mut()
            .metadata
            .push((key.into(), value.into()));
        self
    }
}
