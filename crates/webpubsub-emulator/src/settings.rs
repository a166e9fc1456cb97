//! Everything the service needs to know: plain data, made by the configuration or by the library's builder.

use std::time::{Duration, SystemTime};

use url::Url;
use webpubsub_protocol::{
    access::{AccessKey, CheckedAt},
    limits,
};

use crate::admin::Access;
use crate::http::AllowedOrigin;
use crate::traffic::LogSettings;

/// The development key of Microsoft's emulator, which is public: samples and tools know it, so it is the default. It
/// protects nothing: whoever reaches the port may do everything. Hence the default address is loopback.
pub const WELL_KNOWN_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// How one emulated resource behaves. Cheap to clone, redacted in `Debug`.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    keys: Vec<AccessKey>,
    /// Names under which callers know the emulator besides its address: proxies, containers. They count as audiences of
    /// tokens, and their hosts are served.
    pub public_endpoints: Vec<Url>,
    /// Origins of pages that may open WebSockets although the key is public, besides loopback and public endpoints.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Let Microsoft Entra ID tokens pass although nobody can validate them here.
    pub accept_unvalidated_entra_tokens: bool,
    /// Decode `%2F` in ids of REST paths. The service keeps the three characters, so this is off by default.
    pub decode_slashes: bool,
    /// Whether a recovered socket begins with a `connected` frame and a fresh token. The official JavaScript client
    /// resumes its streams only then; Microsoft's emulator sends none.
    pub connected_on_recovery: bool,
    /// Whether a close without a status ends a reliable connection at once. Microsoft's emulator keeps it for the
    /// recovery window, and so does this one unless told otherwise.
    pub end_on_close_without_status: bool,
    /// The close code of a simple client whose event failed: 1011 as in Microsoft's emulator, or 1000 with an empty
    /// reason as the service was once seen to do.
    pub close_failed_events_normally: bool,
    /// Who may use the admin API; nobody where it is not offered.
    pub admin: Option<Access>,
    pub traffic: LogSettings,
    pub limits: Limits,
}

impl Settings {
    pub(crate) fn new(access_key: AccessKey, secondary_access_key: Option<AccessKey>) -> Self {
        let mut keys = vec![access_key];
        keys.extend(secondary_access_key);
        Self {
            keys,
            public_endpoints: Vec::new(),
            allowed_origins: Vec::new(),
            accept_unvalidated_entra_tokens: false,
            decode_slashes: false,
            connected_on_recovery: true,
            end_on_close_without_status: false,
            close_failed_events_normally: false,
            admin: None,
            traffic: LogSettings::default(),
            limits: Limits::default(),
        }
    }

    /// The key that signs what the service itself issues.
    pub(crate) fn access_key(&self) -> &AccessKey {
        &self.keys[0]
    }

    /// All keys whose signatures are valid: the primary one, then the secondary one if there is one.
    pub(crate) fn keys(&self) -> &[AccessKey] {
        &self.keys
    }

    /// How access tokens are checked at this time.
    pub(crate) const fn checked_at(&self, now: SystemTime) -> CheckedAt {
        CheckedAt {
            now,
            skew: self.limits.token_skew,
        }
    }

    pub(crate) fn set_access_key(&mut self, key: AccessKey) {
        self.keys[0] = key;
    }

    pub(crate) fn set_secondary_access_key(&mut self, key: AccessKey) {
        self.keys.truncate(1);
        self.keys.push(key);
    }

    /// Whether a public key is among the keys, so that anybody who reaches the port may do everything.
    pub(crate) fn has_well_known_key(&self) -> bool {
        let well_known = AccessKey::new(WELL_KNOWN_KEY);
        self.keys.contains(&well_known)
    }
}

impl Default for Settings {
    /// The well-known key, and the default of every setting.
    fn default() -> Self {
        Self::new(AccessKey::new(WELL_KNOWN_KEY), None)
    }
}

/// What one client may cost the emulator, and how long things may take. Our own numbers where the service publishes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections that have not sent a complete request yet; more wait to be accepted. 512.
    pub pending_connections: usize,
    /// Time for the head of a request, counted from the accept or from the last answer. 30 s.
    pub header_read_timeout: Duration,
    /// Groups that one client token may name. 1000.
    pub groups_per_token: usize,
    /// Frames that may wait for one client before it is closed as slow. As the service: 1000.
    pub outbox_frames: usize,
    /// Bytes that may wait for one client before it is closed as slow. As the service: 16 MiB.
    pub outbox_bytes: usize,
    /// Messages that a reliable client may leave unacknowledged before it is closed. As the service: 1000.
    pub replay_messages: usize,
    /// Bytes of messages that a reliable client may leave unacknowledged. As the service: 16 MiB.
    pub replay_bytes: usize,
    /// Bytes of a client's message, and of the body of a REST send. As the service: 1 MiB.
    pub message_bytes: usize,
    /// Ack ids that are remembered per connection. As the service: 1000.
    pub ack_ids: usize,
    /// Streams that one connection may have open. 100.
    pub open_streams: usize,
    /// Requests with events of one hub that may be under way at a time; more wait in line. 256.
    pub handler_requests: usize,
    /// How often an open socket is pinged. 20 s.
    pub ping_interval: Duration,
    /// How long a socket may stay silent before it counts as lost. 60 s.
    pub silence_limit: Duration,
    /// The clock difference that is forgiven when an access token is checked. As the service: 5 min.
    pub token_skew: Duration,
    /// How long a reliable connection may be recovered after its socket was lost. As the service: 30 s.
    pub recovery_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_connections: 512,
            header_read_timeout: Duration::from_secs(30),
            groups_per_token: 1000,
            outbox_frames: limits::OUTBOX_FRAMES,
            outbox_bytes: limits::OUTBOX_BYTES,
            replay_messages: limits::OUTBOX_FRAMES,
            replay_bytes: limits::OUTBOX_BYTES,
            message_bytes: limits::MESSAGE_BYTES,
            ack_ids: limits::REMEMBERED_ACK_IDS,
            open_streams: limits::OPEN_STREAMS,
            handler_requests: 256,
            ping_interval: Duration::from_secs(20),
            silence_limit: Duration::from_secs(60),
            token_skew: limits::TOKEN_SKEW,
            recovery_window: limits::RECOVERY_WINDOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_key_is_noticed_in_either_place() {
        let own = || AccessKey::new("an own key that is long enough, really");
        let well_known = || AccessKey::new(WELL_KNOWN_KEY);
        assert!(Settings::default().has_well_known_key());
        assert!(Settings::new(own(), Some(well_known())).has_well_known_key());
        assert!(!Settings::new(own(), Some(own())).has_well_known_key());
    }

    #[test]
    fn keys_come_primary_first_and_never_in_debug() {
        let settings = Settings::new(AccessKey::new("one-key"), Some(AccessKey::new("two-key")));
        let keys: Vec<&str> = settings.keys().iter().map(AccessKey::expose).collect();
        assert_eq!(keys, ["one-key", "two-key"]);
        assert_eq!(settings.access_key().expose(), "one-key");
        assert!(!format!("{settings:#?}").contains("-key"));
    }
}
