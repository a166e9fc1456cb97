//! The limits of the service. Those marked as ours are not published by the service.

use std::time::Duration;

/// The maximum size of a message in bytes: of a frame that a client sends, or of the body of a REST send.
pub const MESSAGE_BYTES: usize = 1024 * 1024;

/// The maximum size, in bytes, of a frame that a client accepts from the service. Ours: an event
/// handler may respond with 16 MiB, which base64 makes a third longer.
pub const SERVER_FRAME_BYTES: usize = 32 * 1024 * 1024;

/// The maximum nesting of arrays and objects in a JSON frame or body. Ours: it is the limit of
/// `serde_json`, so whatever is accepted here can be read in Rust.
pub const JSON_DEPTH: usize = 128;

/// The maximum nesting of a JSON payload: one level less, because of the frame around it.
pub const JSON_PAYLOAD_DEPTH: usize = JSON_DEPTH - 1;

/// The maximum length of a group name, in UTF-16 code units as the service counts them.
pub const GROUP_NAME_UNITS: usize = 1024;

/// The maximum length of a hub name, in characters.
pub const HUB_NAME_CHARS: usize = 128;

/// The maximum length of the name of a user event, in characters.
pub const EVENT_NAME_CHARS: usize = 128;

/// The maximum length of a metadata key, in bytes.
pub const METADATA_KEY_BYTES: usize = 256;

/// The maximum length of a metadata value, in bytes.
pub const METADATA_VALUE_BYTES: usize = 1024;

/// The maximum length of all metadata keys and values of a message together, in bytes.
pub const METADATA_TOTAL_BYTES: usize = 8192;

/// The maximum time to live of a message, in REST sends and client frames. Zero means that it does not expire.
pub const MESSAGE_TTL_SECONDS: u32 = 300;

/// The number of ack ids that the service remembers for each connection, to recognise repeated requests.
pub const REMEMBERED_ACK_IDS: usize = 1000;

/// The number of frames that may wait for a client before it is closed for being slow.
pub const OUTBOX_FRAMES: usize = 1000;

/// The number of bytes that may wait for a client before it is closed for being slow.
pub const OUTBOX_BYTES: usize = 16 * 1024 * 1024;

/// The maximum length of an OData filter, in bytes. Ours.
pub const FILTER_BYTES: usize = 16 * 1024;

/// The maximum nesting of an OData filter: parentheses, calls, lists and operators. Ours: the parser
/// of the service counts every step of its recursion, which allows 13 parentheses.
pub const FILTER_DEPTH: usize = 100;

/// The number of single groups for which a connection can be granted or denied a permission.
pub const LITERAL_PERMISSIONS: usize = 1000;

/// The number of role patterns with wildcards that take effect for a connection, per permission.
pub const ROLE_PATTERNS: usize = 9;

/// The maximum length of a role pattern, in UTF-16 code units.
pub const ROLE_PATTERN_UNITS: usize = 1024;

/// The maximum number of unescaped `*` characters, and of wildcards (`?`, `*`, `**`), in a role pattern.
pub const ROLE_PATTERN_WILDCARDS: usize = 5;

/// The clock skew that the service tolerates when it checks `exp` and `nbf` of an access token.
pub const TOKEN_SKEW: Duration = Duration::from_secs(5 * 60);

/// The maximum size of the state of a connection in a group: the UTF-8 bytes of all keys and values.
pub const GROUP_STATE_BYTES: usize = 512;

/// The maximum number of members in a snapshot of group state.
pub const GROUP_STATE_SNAPSHOT_ITEMS: usize = 200;

/// The number of streams that a connection may have open. Ours.
pub const OPEN_STREAMS: usize = 100;

/// The idle timeout of a stream whose start does not set one.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The maximum idle timeout of a stream; longer ones are reduced to it. Ours.
pub const STREAM_IDLE_TIMEOUT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a reliable connection can be recovered after it lost its socket.
pub const RECOVERY_WINDOW: Duration = Duration::from_secs(30);

/// The lifetime of a reconnection token, checked without clock skew.
pub const RECONNECTION_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The default lifetime of a client access token.
pub const CLIENT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
