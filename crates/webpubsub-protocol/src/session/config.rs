//! The settings of a session.

use std::time::Duration;

use super::backoff::Backoff;
use crate::limits;

/// Settings of a [`Session`](super::Session). The defaults are right for most applications.
///
/// ```
/// use std::time::Duration;
/// use webpubsub_protocol::session::{Backoff, SessionConfig};
///
/// let config = SessionConfig::default()
///     .reconnect_backoff(Backoff::Fixed(Duration::from_secs(1)))
///     .auto_rejoin_groups(false);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Open a new connection when one is lost for good. Default: true.
    pub auto_reconnect: bool,
    /// Join groups, set states and subscribe to states again on a new connection. Default: true.
    pub auto_rejoin_groups: bool,
    /// Keep trying when the very first dial fails for a reason that may be temporary. Default: false, the
    /// session stops, as the official client does.
    pub retry_initial_connect: bool,
    /// Keep trying when the dial of a later connection is refused with 400, 403 or 404. Usually no attempt
    /// would succeed after these, but a gateway in trouble may respond with them, too. Default: false, the
    /// session stops.
    pub retry_refused_reconnects: bool,
    /// The number of dials of new connections that may fail in a row before the session stops. Default: no limit.
    pub max_reconnect_attempts: Option<u32>,
    /// The delays between the dials of new connections. After a loss the first dial comes at once, unless
    /// several connections in a row lasted less than 10 s. Default: exponential, from 1 s to 30 s.
    pub reconnect_backoff: Backoff,
    /// The delays before the dials of a recovery. Default: exponential, from 200 ms to 2 s.
    pub recovery_backoff: Backoff,
    /// How long after the loss of a socket a recovery is attempted. Default: 30 s, as long as the service keeps
    /// a connection.
    pub recovery_window: Duration,
    /// How long one dial may take, the credential included. Default: 20 s.
    pub dial_timeout: Duration,
    /// How long the service may take to send its first frame on an open socket. Default: 10 s.
    pub handshake_timeout: Duration,
    /// Time between keep-alive pings; zero for none. Default: 20 s.
    pub keep_alive_interval: Duration,
    /// A socket on which nothing arrives for this long is given up; zero for never. Default: 120 s.
    pub keep_alive_timeout: Duration,
    /// How long the service may take to answer a ping on a socket that may be dead, for example after the
    /// machine slept. Default: 10 s.
    pub probe_timeout: Duration,
    /// The maximum number of requests that wait for an acknowledgement. Default: 1,000, the number of
    /// repeated requests that the service recognises.
    pub max_in_flight: usize,
    /// The maximum number of requests that wait to be written. Default: 1,000.
    pub outbox_frames: usize,
    /// The maximum number of bytes in requests that are held: those that wait to be written, and those that
    /// may have to be written again because the service has not acknowledged them. Default: 16 MiB. The
    /// last request that finds room may exceed it.
    pub outbox_bytes: usize,
    /// The maximum size of a frame to send, in bytes. Default: 1 MiB, the limit of the service.
    pub max_send_message_bytes: usize,
    /// How often a request is repeated that the service refused for a temporary reason. Default: 3.
    pub request_retries: u32,
    /// The delays before these repetitions. Default: exponential, from 1 s to 30 s.
    pub request_backoff: Backoff,
    /// The maximum time before received messages are acknowledged. Default: 1 s.
    pub sequence_ack_delay: Duration,
    /// The number of received messages after which they are acknowledged at once. Default: 300.
    pub sequence_ack_lag: u64,
    /// The maximum number of unacknowledged fragments of one outbound stream. Default: 64.
    pub stream_window: usize,
    /// The maximum number of bytes in them. Default: 4 MiB. The last fragment that finds room may exceed it.
    pub stream_window_bytes: usize,
    /// How long the service may take to answer the start of an outbound stream, after it was written. Default:
    /// 30 s.
    pub stream_start_timeout: Duration,
}

macro_rules! setters {
    ($($name:ident: $kind:ty,)*) => {
        /// One setter for each setting.
        impl SessionConfig {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](field@Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

setters! {
    auto_reconnect: bool,
    auto_rejoin_groups: bool,
    retry_initial_connect: bool,
    retry_refused_reconnects: bool,
    max_reconnect_attempts: Option<u32>,
    reconnect_backoff: Backoff,
    recovery_backoff: Backoff,
    recovery_window: Duration,
    dial_timeout: Duration,
    handshake_timeout: Duration,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    probe_timeout: Duration,
    max_in_flight: usize,
    outbox_frames: usize,
    outbox_bytes: usize,
    max_send_message_bytes: usize,
    request_retries: u32,
    request_backoff: Backoff,
    sequence_ack_delay: Duration,
    sequence_ack_lag: u64,
    stream_window: usize,
    stream_window_bytes: usize,
    stream_start_timeout: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let exponential = |initial, max| Backoff::Exponential {
            initial: Duration::from_millis(initial),
            max: Duration::from_millis(max),
        };
        Self {
            auto_reconnect: true,
            auto_rejoin_groups: true,
            retry_initial_connect: false,
            retry_refused_reconnects: false,
            max_reconnect_attempts: None,
            reconnect_backoff: exponential(1000, 30_000),
            recovery_backoff: exponential(200, 2000),
            recovery_window: limits::RECOVERY_WINDOW,
            dial_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(120),
            probe_timeout: Duration::from_secs(10),
            max_in_flight: limits::REMEMBERED_ACK_IDS,
            outbox_frames: 1000,
            outbox_bytes: 16 * 1024 * 1024,
            max_send_message_bytes: limits::MESSAGE_BYTES,
            request_retries: 3,
            request_backoff: exponential(1000, 30_000),
            sequence_ack_delay: Duration::from_secs(1),
            sequence_ack_lag: 300,
            stream_window: 64,
            stream_window_bytes: 4 * 1024 * 1024,
            stream_start_timeout: Duration::from_secs(30),
        }
    }
}
