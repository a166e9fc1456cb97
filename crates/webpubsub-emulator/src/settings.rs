//! Everything the service needs to know: plain data, made by the configuration or by the library's builder.

use std::time::Duration;

use url::Url;
use webpubsub_protocol::{access::AccessKey, limits};

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
    /// Let Microsoft Entra ID tokens pass although nobody can validate them here.
    pub accept_unvalidated_entra_tokens: bool,
    /// Decode `%2F` in ids of REST paths. The service keeps the three characters, so this is off by default.
    pub decode_slashes: bool,
    /// Whether a recovered socket begins with a `connected` frame and a fresh token. The official JavaScript client
    /// resumes its streams only then; Microsoft's emulator sends none.
    pub connected_on_recovery: bool,
    pub limits: Limits,
}

impl Settings {
    pub(crate) fn new(access_key: AccessKey, secondary_access_key: Option<AccessKey>) -> Self {
        let mut keys = vec![access_key];
        keys.extend(secondary_access_key);
        Self {
            keys,
            public_endpoints: Vec::new(),
            accept_unvalidated_entra_tokens: false,
            decode_slashes: false,
            connected_on_recovery: true,
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

    /// Whether a public key is among the keys, so that anybody who reaches the port may do everything.
    pub(crate) fn has_well_known_key(&self) -> bool {
        let well_known = AccessKey::new(WELL_KNOWN_KEY);
        self.keys.contains(&well_known)
    }
}

impl Default for Settings {
    /// The well-known key, nothing unusual.
    fn default() -> Self {
        Self::new(AccessKey::new(WELL_KNOWN_KEY), None)
    }
}

/// What one client may cost the emulator. Ours where the service publishes no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections that have not sent a complete request yet. At the limit the oldest one is closed in favour of the
    /// new one, so that many silent connections cannot lock out a caller. 512.
    pub pending_connections: usize,
    /// Time for the head of a request, counted from the accept or from the last answer. 30 s.
    pub header_read_timeout: Duration,
    /// Groups that one client token may name. 1000.
    pub groups_per_token: usize,
    /// Frames that may wait for one client before it is closed as slow. As the service: 1000.
    pub outbox_frames: usize,
    /// Bytes that may wait for one client before it is closed as slow. As the service: 16 MiB.
    pub outbox_bytes: usize,
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
