//! The flags for the service's numbers and for behaviour on which sources differ.

use std::ffi::OsString;

use clap::Args;
use webpubsub_emulator::EmulatorBuilder;

use super::setting::{Key, Layer};

/// As in `cli.rs`, values are taken as they are and checked later.
#[derive(Debug, Args)]
pub(super) struct Tuning {
    /// How long a reliable client can be recovered after its socket was lost [default: 30]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    recovery_window: Option<OsString>,

    /// Clock difference that is forgiven when an access token is checked [default: 300]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    token_skew: Option<OsString>,

    /// Largest message of a client or of a REST send [default, and the most: 1048576]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    max_message_bytes: Option<OsString>,

    /// Frames that may wait for a client before it is closed as slow [default: 1000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_outbox_frames: Option<OsString>,

    /// Bytes that may wait for a client before it is closed as slow [default: 16777216]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    max_outbox_bytes: Option<OsString>,

    /// Messages that a reliable client may leave unacknowledged before it is closed [default: 1000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_replay_messages: Option<OsString>,

    /// Bytes that a reliable client may leave unacknowledged before it is closed [default: 16777216]
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    max_replay_bytes: Option<OsString>,

    /// Ack ids that are remembered per connection [default: 1000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_ack_ids: Option<OsString>,

    /// Streams that a connection may have open [default: 100]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_open_streams: Option<OsString>,

    /// Groups that a client token may name [default: 1000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_groups_per_token: Option<OsString>,

    /// How often an open socket is pinged [default: 20]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    ping_interval: Option<OsString>,

    /// How long a socket may stay silent before it counts as lost [default: 60]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    silence_limit: Option<OsString>,

    /// Begin a recovered socket with a `connected` frame and a fresh token [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    connected_on_recovery: Option<OsString>,

    /// End a reliable connection at once when its client closes without a status
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    end_on_close_without_status: Option<OsString>,

    /// Close a simple client whose event failed with 1000 in place of 1011
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    close_failed_events_normally: Option<OsString>,
}

impl Tuning {
    pub(super) fn into_values(self) -> [(Key, Option<OsString>); 15] {
        [
            (Key::RecoveryWindow, self.recovery_window),
            (Key::TokenSkew, self.token_skew),
            (Key::MaxMessageBytes, self.max_message_bytes),
            (Key::MaxOutboxFrames, self.max_outbox_frames),
            (Key::MaxOutboxBytes, self.max_outbox_bytes),
            (Key::MaxReplayMessages, self.max_replay_messages),
            (Key::MaxReplayBytes, self.max_replay_bytes),
            (Key::MaxAckIds, self.max_ack_ids),
            (Key::MaxOpenStreams, self.max_open_streams),
            (Key::MaxGroupsPerToken, self.max_groups_per_token),
            (Key::PingInterval, self.ping_interval),
            (Key::SilenceLimit, self.silence_limit),
            (Key::ConnectedOnRecovery, self.connected_on_recovery),
            (
                Key::EndOnCloseWithoutStatus,
                self.end_on_close_without_status,
            ),
            (
                Key::CloseFailedEventsNormally,
                self.close_failed_events_normally,
            ),
        ]
    }
}

/// Hands the settings of this file to the builder.
pub(super) fn apply(layer: &Layer, mut builder: EmulatorBuilder) -> EmulatorBuilder {
    let limits = layer.numbers.iter();
    for (limit, value) in limits.filter_map(|(key, set)| Some((key.limit()?, set.value))) {
        builder = builder.limit(limit, value);
    }
    for (key, set) in &layer.switches {
        let on = set.value;
        builder = match key {
            Key::ConnectedOnRecovery => builder.connected_on_recovery(on),
            Key::EndOnCloseWithoutStatus => builder.end_on_close_without_status(on),
            Key::CloseFailedEventsNormally => builder.close_failed_events_normally(on),
            _ => builder,
        };
    }
    builder
}
