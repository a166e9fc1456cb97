//! Settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use webpubsub_protocol::limits;
use webpubsub_protocol::session::{Backoff, Protocol, Session, SessionConfig};
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::client::WebPubSubClient;
use crate::connector::{AnyConnector, Connector};
use crate::credential::WebPubSubClientCredential;
use crate::driver::Link;
use crate::error::{BuildError, ConnectError};
use crate::events::Events;
use crate::metrics::{Metrics, NoMetrics};
use crate::shared::Shared;

/// The largest message that is received unless a client says otherwise. Handlers may answer with 16 MiB, which grows by a
/// third as base64. Nothing larger can be decoded.
const MAX_RECEIVE_BYTES: usize = limits::SERVER_FRAME_BYTES;

impl WebPubSubClient {
    /// Connects with default settings. For applications that only send: messages from the service are acknowledged and
    /// dropped. To receive them, use [`connect_with_events`](Self::connect_with_events).
    ///
    /// `credential` is a URL with an access token, or a [`WebPubSubClientCredential`] that asks your server for one.
    ///
    /// # Errors
    ///
    /// When no connection could be opened.
    pub async fn connect(
        credential: impl Into<WebPubSubClientCredential>,
    ) -> Result<Self, ConnectError> {
        Self::builder(credential).connect().await
    }

    /// Connects with default settings, and returns the events from the very first on. Read them: when 16 MiB of events
    /// wait, the client stops reading from its socket ([`Overflow::Pause`](crate::Overflow::Pause)). Dropping them ends
    /// their delivery.
    ///
    /// # Errors
    ///
    /// When no connection could be opened.
    pub async fn connect_with_events(
        credential: impl Into<WebPubSubClientCredential>,
    ) -> Result<(Self, Events), ConnectError> {
        Self::builder(credential).connect_with_events().await
    }

    /// A client with other settings.
    pub fn builder(credential: impl Into<WebPubSubClientCredential>) -> WebPubSubClientBuilder {
        WebPubSubClientBuilder::new(credential.into())
    }
}

/// Settings of a client. From [`WebPubSubClient::builder`].
///
/// ```
/// # use webpubsub_client::{Backoff, Subprotocol, WebPubSubClient};
/// # use std::time::Duration;
/// # fn build() -> Result<(), webpubsub_client::BuildError> {
/// let client = WebPubSubClient::builder("wss://contoso.webpubsub.azure.com/client/hubs/chat?access_token=...")
///     .protocol(Subprotocol::Json)
///     .keep_alive_timeout(Duration::from_secs(60))
///     .request_timeout(Duration::from_secs(30))
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
    max_receive_bytes: usize,
    request_timeout: Option<Duration>,
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
            max_receive_bytes: MAX_RECEIVE_BYTES,
            request_timeout: None,
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

    /// Whether a client that has been connected keeps trying when a new connection is refused with 400, 403 or 404, since
    /// a gateway in trouble may answer so, too. Default: false, it stops.
    pub const fn retry_refused_reconnects(mut self, on: bool) -> Self {
        self.config.retry_refused_reconnects = on;
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

    /// How many requests, and how many bytes of them, may wait to be written while there is no connection, or a slow
    /// one. The futures of further requests wait until there is room. Default: 1,000 requests and 16 MiB.
    pub const fn outbox(mut self, requests: usize, bytes: usize) -> Self {
        self.config.outbox_frames = requests;
        self.config.outbox_bytes = bytes;
        self
    }

    /// How long a request may take unless it has a [`timeout`](crate::Call::timeout) of its own, waiting for a connection
    /// included; then it fails with [`SendError::TimedOut`](crate::SendError::TimedOut). Also limits the opening, each
    /// write and the end of a stream. Default: no limit; a request ends when it is answered or its connection is over.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// The largest message to accept from the service, in bytes as it travels, frame included. A larger one ends the
    /// connection. Default, and most: 32 MiB.
    pub const fn max_receive_message_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// The largest message to send, in bytes as it travels, frame included. A larger one is refused with
    /// [`SendError::TooLarge`](crate::SendError::TooLarge). Default: 1 MiB, the most that the service accepts.
    pub const fn max_send_message_bytes(mut self, bytes: usize) -> Self {
        self.config.max_send_message_bytes = bytes;
        self
    }

    /// Changes settings of the session that have no method here. All others stay as they are.
    ///
    /// ```
    /// # use webpubsub_client::WebPubSubClient;
    /// # use std::time::Duration;
    /// # let url = "ws://127.0.0.1:8080/client/hubs/chat";
    /// let builder = WebPubSubClient::builder(url)
    ///     .configure_session(|config| config.handshake_timeout = Duration::from_secs(5));
    /// ```
    pub fn configure_session(mut self, change: impl FnOnce(&mut SessionConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// How WebSockets are opened. Default: [`WebSocketConnector`](crate::WebSocketConnector), with the proxies of the
    /// environment and the certificates that the machine trusts.
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

    /// Makes the client, which does nothing before its [`start`](WebPubSubClient::start).
    ///
    /// # Errors
    ///
    /// When the settings cannot be used: see [`BuildError`].
    pub fn build(self) -> Result<WebPubSubClient, BuildError> {
        if self.max_receive_bytes > MAX_RECEIVE_BYTES {
            return Err(BuildError::ReceiveLimit {
                bytes: self.max_receive_bytes,
                limit: MAX_RECEIVE_BYTES,
            });
        }
        let connector = match self.connector {
            Some(connector) => connector,
            None => default_connector()?,
        };
        let seed = self.seed.unwrap_or_else(rand::random);
        let session = Session::new(self.config, Arc::clone(&self.protocol), seed);
        let link = Link {
            credential: self.credential,
            connector,
            protocol: self.protocol,
            max_message_bytes: self.max_receive_bytes,
        };
        Ok(WebPubSubClient::new(
            Shared::new(session, self.metrics),
            Arc::new(link),
            self.request_timeout,
        ))
    }

    /// Makes the client and starts it, as [`WebPubSubClient::connect`] does.
    ///
    /// # Errors
    ///
    /// When it cannot be made or started.
    pub async fn connect(self) -> Result<WebPubSubClient, ConnectError> {
        let client = self.build()?;
        client.start().await?;
        Ok(client)
    }

    /// Makes the client, subscribes to its events and starts it, as [`WebPubSubClient::connect_with_events`] does.
    ///
    /// # Errors
    ///
    /// When it cannot be made or started.
    pub async fn connect_with_events(self) -> Result<(WebPubSubClient, Events), ConnectError> {
        let client = self.build()?;
        let events = client.events();
        client.start().await?;
        Ok((client, events))
    }
}

#[cfg(feature = "websocket")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "without the feature there is none"
)]
fn default_connector() -> Result<Arc<dyn AnyConnector>, BuildError> {
    Ok(Arc::new(crate::connector::WebSocketConnector::new()))
}

#[cfg(not(feature = "websocket"))]
fn default_connector() -> Result<Arc<dyn AnyConnector>, BuildError> {
    Err(BuildError::NoConnector)
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
