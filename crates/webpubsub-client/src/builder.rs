//! How a client shall be.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use webpubsub_protocol::session::{Backoff, Protocol, Session, SessionConfig};
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::client::WebPubSubClient;
use crate::connector::{AnyConnector, Connector, TlsConfigError, WebSocketConnector};
use crate::credential::WebPubSubClientCredential;
use crate::driver::Link;
use crate::inbox::Events;
use crate::metrics::{Metrics, NoMetrics};
use crate::shared::Shared;
use crate::{ConnectError, StartError};

/// Larger messages from the service end the connection. Handlers may answer with 16 MiB, which grows by a third as
/// base64.
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// Settings of a client. From [`WebPubSubClient::builder`].
///
/// ```
/// # use webpubsub_client::{Backoff, Subprotocol, WebPubSubClient};
/// # use std::time::Duration;
/// # fn build() -> Result<(), webpubsub_client::TlsConfigError> {
/// let client = WebPubSubClient::builder("wss://contoso.webpubsub.azure.com/client/hubs/chat?access_token=...")
///     .protocol(Subprotocol::Json)
///     .keep_alive_timeout(Duration::from_secs(60))
///     .reconnect_backoff(Backoff::Fixed(Duration::from_secs(1)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a client is made by `build` or `connect`"]
pub struct WebPubSubClientBuilder {
    credential: WebPubSubClientCredential,
    protocol: Arc<dyn Protocol>,
    config: SessionConfig,
    connector: Option<Arc<dyn AnyConnector>>,
    metrics: Arc<dyn Metrics>,
    max_message_bytes: usize,
    seed: Option<u64>,
}

impl WebPubSubClientBuilder {
    pub(crate) fn new(credential: WebPubSubClientCredential) -> Self {
        Self {
            credential,
            protocol: Arc::new(Subprotocol::ReliableJson),
            config: SessionConfig::default(),
            connector: None,
            metrics: Arc::new(NoMetrics),
            max_message_bytes: MESSAGE_BYTES,
            seed: None,
        }
    }

    /// The subprotocol: one of [`Subprotocol`](crate::Subprotocol), or your own. Default: reliable JSON.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        self.protocol = Arc::new(protocol);
        self
    }

    /// Whether a new connection is opened when one is lost for good. Default: true.
    pub const fn auto_reconnect(mut self, on: bool) -> Self {
        self.config.auto_reconnect = on;
        self
    }

    /// Whether groups are joined again on a new connection, own states set and subscriptions renewed. Default: true.
    pub const fn auto_rejoin_groups(mut self, on: bool) -> Self {
        self.config.auto_rejoin_groups = on;
        self
    }

    /// Whether a start keeps trying when the first dial fails for a reason that may pass. Default: false, `start`
    /// fails, as with the official client.
    pub const fn retry_initial_connect(mut self, on: bool) -> Self {
        self.config.retry_initial_connect = on;
        self
    }

    /// New connections to try in a row before the client stops. Default: no limit.
    pub const fn max_reconnect_attempts(mut self, most: u32) -> Self {
        self.config.max_reconnect_attempts = Some(most);
        self
    }

    /// Delays between tries of new connections. Default: exponential with full jitter, 1 s up to 30 s.
    pub const fn reconnect_backoff(mut self, backoff: Backoff) -> Self {
        self.config.reconnect_backoff = backoff;
        self
    }

    /// Delays between tries of a recovery. Default: exponential with full jitter, 200 ms up to 2 s.
    pub const fn recovery_backoff(mut self, backoff: Backoff) -> Self {
        self.config.recovery_backoff = backoff;
        self
    }

    /// How often a request is tried again that the service refused for a reason that may pass, and how long to wait
    /// before. Default: 3 times, exponential with full jitter, 1 s up to 30 s.
    pub const fn request_retries(mut self, most: u32, backoff: Backoff) -> Self {
        self.config.request_retries = most;
        self.config.request_backoff = backoff;
        self
    }

    /// How long one dial may take, the credential included. Default: 20 s.
    pub const fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.config.dial_timeout = timeout;
        self
    }

    /// Time between keep-alive pings; zero for none. Default: 20 s.
    pub const fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.config.keep_alive_interval = interval;
        self
    }

    /// A socket that is silent for this long is given up, and its connection recovered; zero for never. Default: 120 s.
    pub const fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.config.keep_alive_timeout = timeout;
        self
    }

    /// What may wait to be written while there is no connection, or a slow one: requests, and bytes. More requests wait
    /// in their futures. Default: 1,000 and 16 MiB.
    pub const fn outbox(mut self, requests: usize, bytes: usize) -> Self {
        self.config.outbox_frames = requests;
        self.config.outbox_bytes = bytes;
        self
    }

    /// Largest message to accept from the service, in bytes; a larger one ends the connection. Default: 32 MiB.
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// All settings of the session at once, for those without a method here.
    pub fn session_config(mut self, config: SessionConfig) -> Self {
        self.config = config;
        self
    }

    /// How WebSockets are opened. Default: [`WebSocketConnector::new`].
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Where to report metrics.
    pub fn metrics(mut self, metrics: impl Metrics) -> Self {
        self.metrics = Arc::new(metrics);
        self
    }

    /// Makes random delays and ids repeatable. Default: random.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the client; it does nothing before its [`start`](WebPubSubClient::start).
    ///
    /// # Errors
    ///
    /// When the machine's certificates cannot be used. Not with a connector of your own.
    pub fn build(self) -> Result<WebPubSubClient, TlsConfigError> {
        let connector = match self.connector {
            Some(connector) => connector,
            None => Arc::new(WebSocketConnector::new()?),
        };
        let seed = self.seed.unwrap_or_else(rand::random);
        let session = Session::new(self.config, Arc::clone(&self.protocol), seed);
        let link = Link {
            credential: self.credential,
            connector,
            protocol: self.protocol,
            max_message_bytes: self.max_message_bytes,
        };
        Ok(WebPubSubClient::new(
            Shared::new(session, self.metrics),
            Arc::new(link),
        ))
    }

    /// Makes the client, subscribes to its events and starts it.
    ///
    /// # Errors
    ///
    /// When it cannot be made or started.
    pub async fn connect(self) -> Result<(WebPubSubClient, Events), ConnectError> {
        let client = self.build()?;
        let events = client.events();
        client
            .start()
            .await
            .map_err(|error: StartError| ConnectError::Start(error))?;
        Ok((client, events))
    }
}

impl fmt::Debug for WebPubSubClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPubSubClientBuilder")
            .field("credential", &self.credential)
            .field("protocol", &self.protocol)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
