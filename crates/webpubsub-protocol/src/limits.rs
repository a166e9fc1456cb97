//! The numbers of the service, each with the part of the protocol it belongs to.

use std::time::Duration;

/// Largest message: one client frame, or the body of one REST send. Bytes, inclusive.
pub const MESSAGE_BYTES: usize = 1024 * 1024;

/// Largest frame of the service that a client reads. Bytes, inclusive. Ours: an event handler may
/// answer with 16 MiB, which grows by a third as base64.
pub const SERVER_FRAME_BYTES: usize = 32 * 1024 * 1024;

/// Deepest nesting of arrays and objects in a JSON frame or body. Ours: the service publishes no
/// number, and this is the limit of `serde_json`, so whatever passes here can be read in Rust.
pub const JSON_DEPTH: usize = 128;

/// Deepest nesting of a JSON payload: one level less, which the frame around it takes.
pub const JSON_PAYLOAD_DEPTH: usize = JSON_DEPTH - 1;

/// Longest group name, in UTF-16 code units as the service counts.
pub const GROUP_NAME_UNITS: usize = 1024;

/// Longest hub name, in characters.
pub const HUB_NAME_CHARS: usize = 128;

/// Longest event name, in characters.
pub const EVENT_NAME_CHARS: usize = 128;

/// Longest metadata key, in bytes.
pub const METADATA_KEY_BYTES: usize = 256;

/// Longest metadata value, in bytes.
pub const METADATA_VALUE_BYTES: usize = 1024;

/// All metadata keys and values of one message together, in bytes.
pub const METADATA_TOTAL_BYTES: usize = 8192;

/// Longest time to live of a message, on REST sends and client frames. Zero means no expiry.
pub const MESSAGE_TTL_SECONDS: u32 = 300;

/// Ack ids that the service remembers per connection to recognise a repeated request.
pub const REMEMBERED_ACK_IDS: usize = 1000;

/// Frames that may wait for one client before it is closed as slow.
pub const OUTBOX_FRAMES: usize = 1000;

/// Bytes that may wait for one client before it is closed as slow.
pub const OUTBOX_BYTES: usize = 16 * 1024 * 1024;

/// Longest OData filter, in bytes. Ours: the service publishes no number.
pub const FILTER_BYTES: usize = 16 * 1024;

/// Deepest nesting of an OData filter: parentheses, calls, lists and operators. Ours: the service's
/// parser counts each step of its recursion, which comes to 13 parentheses.
pub const FILTER_DEPTH: usize = 100;

/// Groups that one connection may be granted or denied one by one, per permission.
pub const LITERAL_PERMISSIONS: usize = 1000;

/// Role patterns with wildcards that count for one connection, per permission.
pub const ROLE_PATTERNS: usize = 9;

/// Longest role pattern, in UTF-16 code units.
pub const ROLE_PATTERN_UNITS: usize = 1024;

/// Unescaped `*` characters, and wildcards of any kind (`?`, `*`, `**`), in one role pattern.
pub const ROLE_PATTERN_WILDCARDS: usize = 5;

/// Clock difference that the service forgives when it checks `exp` and `nbf` of an access token.
pub const TOKEN_SKEW: Duration = Duration::from_secs(5 * 60);

/// Largest state of one connection in one group: the UTF-8 bytes of all keys and values.
pub const GROUP_STATE_BYTES: usize = 512;

/// Members in one snapshot of group state.
pub const GROUP_STATE_SNAPSHOT_ITEMS: usize = 200;

/// Streams that one connection may have open. Ours.
pub const OPEN_STREAMS: usize = 100;

/// How long a stream may be idle when its start does not say.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The longest idle time-out of a stream; larger ones are reduced to it. Ours.
pub const STREAM_IDLE_TIMEOUT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a reliable connection may be recovered after its socket was lost.
pub const RECOVERY_WINDOW: Duration = Duration::from_secs(30);

/// Lifetime of a reconnection token. Checked without skew.
pub const RECONNECTION_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Lifetime of a client access token when none is asked for.
pub const CLIENT_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
