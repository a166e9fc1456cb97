//! A call that has not been made yet.

use std::{fmt, future::IntoFuture, time::Duration};

use azure_core::{
    Error,
    error::ErrorKind,
    http::{ClientMethodOptions, Context, RawResponse},
};
use futures_util::future::BoxFuture;

use crate::{
    action::{Action, Closing, Excluding, Filtered, Sending},
    client::WebPubSubServiceClient,
};

/// A call to the service. Nothing happens before it is awaited; dropping the future gives the call up, which does not undo
/// what the service may have done already.
///
/// Optional parameters are methods; which ones there are depends on the call, that is, on `A`.
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
    pub(crate) client: WebPubSubServiceClient,
    pub(crate) action: A,
    pub(crate) options: CallOptions,
}

/// What every call can be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) context: Context<'static>,
    pub(crate) retry_post: Option<bool>,
}

impl CallOptions {
    pub(crate) fn set_method_options(&mut self, options: ClientMethodOptions<'_>) {
        self.context = options.context.into_owned();
    }
}

impl<A: Action> Call<A> {
    pub(crate) fn new(client: &WebPubSubServiceClient, action: A) -> Self {
        Self {
            client: client.clone(),
            action,
            options: CallOptions::default(),
        }
    }

    /// Hands options of `azure_core` to this call, for example a context with values for policies.
    pub fn with_options(mut self, options: ClientMethodOptions<'_>) -> Self {
        self.options.set_method_options(options);
        self
    }

    /// Whether this call is retried if it uses POST; overrides
    /// [`retry_post`](crate::WebPubSubServiceClientOptions::retry_post). Other methods are always retried.
    pub fn retry_post(mut self, retry: bool) -> Self {
        self.options.retry_post = Some(retry);
        self
    }

    /// Makes the call and gives the raw answer, with status and headers. Statuses other than those of success are errors,
    /// as they are without `send`.
    ///
    /// # Errors
    ///
    /// As for the call itself.
    pub async fn send(self) -> azure_core::Result<RawResponse> {
        A::send(self).await
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
    /// Chooses among the receivers by an OData expression; [`odata!`](crate::odata) quotes values in it. An empty one
    /// chooses all.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        *self.action.filter_mut() = Some(filter.into());
        self
    }
}

impl<A: Excluding> Call<A> {
    /// Leaves a connection out. May be repeated; ids that do not exist do no harm.
    pub fn exclude(mut self, connection_id: impl Into<String>) -> Self {
        self.action.excluded_mut().push(connection_id.into());
        self
    }

    /// Leaves several connections out.
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
    /// Says why: clients get it in their `disconnected` frame, event handlers in the event. Free text.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        *self.action.reason_mut() = Some(reason.into());
        self
    }
}

impl<A: Sending> Call<A> {
    /// Drops the message where it could not be delivered within this time: whole seconds, at most 300. Zero, the default,
    /// means never. Other values are reported by the call.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.action.delivery_mut().ttl = Some(ttl);
        self
    }

    /// Adds a metadata entry that travels with the message. Keys are lower-cased, since they travel as header names: 1 to
    /// 256 letters, digits or any of ``!#$%&'*+-.^_`|~``; values are up to 1,024 printable ASCII characters; 8,192 bytes in
    /// all. The call reports what breaks these rules.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.action
            .delivery_mut()
            .metadata
            .push((key.into(), value.into()));
        self
    }
}

/// How a message is delivered: its time to live and metadata. Set by [`Call::ttl`] and [`Call::metadata`].
#[derive(Clone, Default)]
pub struct Delivery {
    pub(crate) ttl: Option<Duration>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Delivery {
    /// The time to live as it is sent.
    pub(crate) fn ttl_seconds(&self) -> azure_core::Result<Option<u32>> {
        /// In seconds; a limit of the service.
        const MAX: u64 = webpubsub_protocol::limits::MESSAGE_TTL_SECONDS as u64;

        let Some(ttl) = self.ttl else { return Ok(None) };
        match u32::try_from(ttl.as_secs()) {
            Ok(seconds) if ttl.subsec_nanos() == 0 && ttl.as_secs() <= MAX => Ok(Some(seconds)),
            _ => Err(Error::with_message(
                ErrorKind::Other,
                format!(
                    "the message's time to live must be whole seconds from 0 to {MAX}, not {ttl:?}"
                ),
            )),
        }
    }
}

impl fmt::Debug for Delivery {
    /// Metadata may be private: its keys are enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.metadata.iter().map(|(key, _)| key).collect();
        f.debug_struct("Delivery")
            .field("ttl", &self.ttl)
            .field("metadata", &keys)
            .finish()
    }
}
