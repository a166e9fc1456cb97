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
    /// Connects with default settings. Meant for applications that only send: messages from the service are acknowledged and
    /// dropped. To receive them, use [`connect_with_events`](Self::connect_with_events).
    ///
    /// `credential` is a URL with an access token, or a [`WebPubSubClientCredential`] that asks your server for one.
    ///
    /// # Errors
    ///
    /// If no connection could be opened.
    pub async fn connect(
        credential: impl Into<WebPubSubClientCredential>,
    ) -> Result<Self, ConnectError> {
        Self::builder(credential).connect().await
    }

    /// Connects with default settings, and returns the events, beginning with the very first. Make sure that you read them:
    /// when 16 MiB of events are waiting, the client stops reading from its socket
    /// ([`Overflow::Pause`](crate::Overflow::Pause)). Dropping the events ends their delivery.
    ///
    /// # Errors
    ///
    /// If no connection could be opened.
    pub async fn connect_with_events(
        credential: impl Into<WebPubSubClientCredential>,
    ) -> Result<(Self, Events), ConnectError> {
        Self::builder(credential).connect_with_events().await
    }

    /// Starts to build a client with other settings.
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

    /// Sets the subprotocol: one of [`Subprotocol`](crate::Subprotocol), or your own. Default: reliable JSON.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        self.protocol = Arc::new(protocol);
        self
    }

    /// Sets whether a new connection is opened when one is lost for good. Default: true.
    pub const fn auto_reconnect(mut self, on: bool) -> Self {
        self.config.auto_reconnect = on;
        self
    }

    /// Sets whether a new connection joins the groups again, sets the client's own states, and renews its subscriptions.
    /// Default: true.
    pub const fn auto_rejoin_groups(mut self, on: bool) -> Self {
        self.config.auto_rejoin_groups = on;
        self
    }

    /// Sets whether a start keeps trying if the first dial fails for a reason that may be temporary. Default: false, `start`
    /// fails, as with the official client.
    pub const fn retry_initial_connect(mut self, on: bool) -> Self {
        self.config.retry_initial_connect = on;
        self
    }

    /// Sets whether a client that has been connected keeps trying if a new connection is refused with 400, 403 or 404. A
    /// gateway in trouble may respond with these, too. Default: false, the client stops.
    pub const fn retry_refused_reconnects(mut self, on: bool) -> Self {
        self.config.retry_refused_reconnects = on;
        self
    }

    /// Sets how many dials of new connections may fail in a row before the client stops. Default: no limit.
    pub const fn max_reconnect_attempts(mut self, most: u32) -> Self {
        self.config.max_reconnect_attempts = Some(most);
        self
    }

    /// Sets the delays between the dials of new connections. Default: exponential with full jitter, from 1 s to 30 s.
    pub const fn reconnect_backoff(mut self, backoff: Backoff) -> Self {
        self.config.reconnect_backoff = backoff;
        self
    }

    /// Sets the delays between the dials of a recovery. Default: exponential with full jitter, from 200 ms to 2 s.
    pub const fn recovery_backoff(mut self, backoff: Backoff) -> Self {
        self.config.recovery_backoff = backoff;
        self
    }

    /// Sets how often a request is repeated that the service refused for a temporary reason, and the delays before that.
    /// Default: 3 times, exponential with full jitter, from 1 s to 30 s.
    pub const fn request_retries(mut self, most: u32, backoff: Backoff) -> Self {
        self.config.request_retries = most;
        self.config.request_backoff = backoff;
        self
    }

    /// Sets how long a dial may take, including the credential. Default: 20 s.
    pub const fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.config.dial_timeout = timeout;
        self
    }

    /// Sets the time between keep-alive pings; zero for none. Default: 20 s.
    pub const fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.config.keep_alive_interval = interval;
        self
    }

    /// Sets how long a socket may go without receiving anything before it is given up and its connection is recovered; zero
    /// for ever. Default: 120 s.
    pub const fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.config.keep_alive_timeout = timeout;
        self
    }

    /// Sets how many requests, and how many bytes of them, may wait to be written while there is no connection, or only a
    /// slow one. The futures of further requests wait until there is room. Default: 1,000 requests and 16 MiB.
    pub const fn outbox(mut self, requests: usize, bytes: usize) -> Self {
        self.config.outbox_frames = requests;
        self.config.outbox_bytes = bytes;
        self
    }

    /// Sets how long a request may take, including the time that it waits for a connection, unless it has a
    /// [`timeout`](crate::Call::timeout) of its own. Then it fails with
    /// [`SendError::TimedOut`](crate::SendError::TimedOut). Also limits the opening of a stream, each write to it, and its
    /// end. Default: no limit; a request ends when it is answered, or when its connection is over.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Sets the maximum size of a message from the service, in bytes on the wire, including the frame. A larger message ends
    /// the connection. Default and maximum: 32 MiB.
    pub const fn max_receive_message_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// Sets the maximum size of a message to send, in bytes on the wire, including the frame. A larger message is refused with
    /// [`SendError::TooLarge`](crate::SendError::TooLarge). Default: 1 MiB, the limit of the service.
    pub const fn max_send_message_bytes(mut self, bytes: usize) -> Self {
        self.config.max_send_message_bytes = bytes;
        self
    }

    /// Changes settings of the session that have no method here. All other settings keep their values.
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

    /// Sets how WebSockets are opened. Default: [`WebSocketConnector`](crate::WebSocketConnector), with the proxies of the
    /// environment and the certificates that the machine trusts.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Sets where to report metrics. Default: nowhere.
    pub fn metrics(mut self, metrics: impl Metrics) -> Self {
        self.metrics = Arc::new(metrics);
        self
    }

    /// Makes random delays and ids repeatable. Default: random.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Creates the client, which does nothing before its [`start`](WebPubSubClient::start).
    ///
    /// # Errors
    ///
    /// If the settings cannot be used: see [`BuildError`].
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

    /// Creates the client and starts it, as [`WebPubSubClient::connect`] does.
    ///
    /// # Errors
    ///
    /// If it cannot be created or started.
    pub async fn connect(self) -> Result<WebPubSubClient, ConnectError> {
        let client = self.build()?;
        client.start().await?;
        Ok(client)
    }

    /// Creates the client, subscribes to its events and starts it, as [`WebPubSubClient::connect_with_events`] does.
    ///
    /// # Errors
    ///
    /// If it cannot be created or started.
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
