//! All settings. A row here is a flag, a variable and a key of the file, with what it does to the emulator.

use webpubsub_emulator::{EmulatorBuilder, Limit};

use super::setting::{Key, Kind, Spec};

pub(super) static HOST: Spec = Spec {
    name: "host",
    value: "ADDRESS",
    kind: Kind::Text(EmulatorBuilder::host),
    help: "Address to listen on: an IP address, or `localhost` for 127.0.0.1 and ::1 [default: 127.0.0.1]",
};

pub(super) static PORT: Spec = Spec {
    name: "port",
    value: "PORT",
    kind: Kind::Port,
    help: "Port to listen on; 0 takes a free one [default: 8080]",
};

pub(super) static ACCESS_KEY: Spec = Spec {
    name: "access-key",
    value: "KEY",
    kind: Kind::Secret(EmulatorBuilder::access_key),
    help: "Key that tokens are signed with, at least 32 bytes [default: the well-known development key]",
};

pub(super) static SECONDARY_ACCESS_KEY: Spec = Spec {
    name: "secondary-access-key",
    value: "KEY",
    kind: Kind::Secret(EmulatorBuilder::secondary_access_key),
    help: "Second key that is valid as well [default: none]",
};

pub(super) static PUBLIC_ENDPOINT: Spec = Spec {
    name: "public-endpoint",
    value: "URL",
    kind: Kind::Texts(EmulatorBuilder::public_endpoint),
    help: "URL under which callers know the emulator besides its address, as behind a proxy: its host is served, its pages \
           may connect, and tokens may name it. May be repeated",
};

pub(super) static ALLOWED_ORIGIN: Spec = Spec {
    name: "allowed-origin",
    value: "ORIGIN",
    kind: Kind::Texts(EmulatorBuilder::allowed_origin),
    help: "Origin such as `https://app.example.com` whose pages may connect although the key is the well-known one, besides \
           those of this machine and of the public endpoints; `*` for all. May be repeated",
};

pub(super) static ADMIN_TOKEN: Spec = Spec {
    name: "admin-token",
    value: "TOKEN",
    kind: Kind::Secret(EmulatorBuilder::admin_token),
    help: "Token of the admin API, at least 16 characters; with it the API is also offered to other machines that can reach \
           the emulator [default: a new one for each run]",
};

pub(super) static EVENT_HANDLER: Spec = Spec {
    name: "event-handler",
    value: "HUB=URL",
    kind: Kind::EventHandler,
    help: "Event handler of a hub: all its user events, and `connect`, `connected` and `disconnected`, go to this URL, in \
           which `{event}` and `{hub}` are filled in. May be repeated: the first one that takes an event gets it. The file \
           can say more",
};

pub(super) static TUNNEL: Spec = Spec {
    name: "tunnel",
    value: "URL",
    kind: Kind::Text(|builder, _| builder),
    help: "Server that `tunnel:///path` URLs of event handlers mean, as in a configuration from Azure: scheme, host and port, \
           to which the path is appended",
};

pub(super) static ANONYMOUS_CONNECT: Spec = Spec {
    name: "anonymous-connect",
    value: "HUB=POLICY",
    kind: Kind::AnonymousConnect,
    help: "Whether clients of a hub may connect without a token: `chat=allow`. May be repeated [default: deny]",
};

pub(super) static LOG: Spec = Spec {
    name: "log",
    value: "FILTER",
    kind: Kind::Text(|builder, _| builder),
    help: "What to log on stderr: a level, or a filter such as `info,webpubsub_emulator=trace` [default: info]",
};

pub(super) static LOG_FORMAT: Spec = Spec {
    name: "log-format",
    value: "FORMAT",
    kind: Kind::Text(|builder, _| builder),
    help: "How to write the log: `text`, or `json` for one object per line [default: text]",
};

pub(super) static SEED: Spec = Spec {
    name: "seed",
    value: "FILE",
    kind: Kind::Text(|builder, _| builder),
    help: "File with groups, permissions and states of groups, as the admin API exports them: the users in it get them when \
           they connect",
};

pub(super) static FAULTS: Spec = Spec {
    name: "faults",
    value: "FILE",
    kind: Kind::Text(|builder, _| builder),
    help: "File with a JSON array of rules by which things go wrong from the start, each as `fault add` makes them",
};

pub(super) static JSON: Spec = switch(
    "json",
    |builder, _| builder,
    "Print one line of JSON when ready, and nothing else on stdout. It holds the connection string with the key",
);

pub(super) static ACCEPT_UNVALIDATED_ENTRA_TOKENS: Spec = switch(
    "accept-unvalidated-entra-tokens",
    EmulatorBuilder::accept_unvalidated_entra_tokens,
    "Let Microsoft Entra ID tokens pass on REST calls without looking at their signature: anybody can make one",
);

/// In the order of `--help`.
pub(super) static ALL: [Key; 38] = [
    &HOST,
    &PORT,
    &ACCESS_KEY,
    &SECONDARY_ACCESS_KEY,
    &PUBLIC_ENDPOINT,
    &ALLOWED_ORIGIN,
    &ADMIN_TOKEN,
    // After the token, which turns the API on.
    &switch(
        "no-admin",
        |builder, off| builder.admin(!off),
        "Offer no admin API",
    ),
    &EVENT_HANDLER,
    &TUNNEL,
    &ANONYMOUS_CONNECT,
    &LOG,
    &LOG_FORMAT,
    &JSON,
    &switch(
        "allow-well-known-key",
        EmulatorBuilder::allow_well_known_key,
        "Use the well-known key although other machines can reach the port",
    ),
    &ACCEPT_UNVALIDATED_ENTRA_TOKENS,
    &switch(
        "traffic-frames",
        EmulatorBuilder::traffic_frames,
        "Keep frames in the traffic log even while nobody follows it, which slows large fan-outs down",
    ),
    &switch(
        "traffic-payloads",
        EmulatorBuilder::traffic_payloads,
        "Show in the traffic log how payloads begin, and keep events to be sent again [default: true]",
    ),
    &SEED,
    &FAULTS,
    &switch(
        "manual-clock",
        |builder, manual| match manual {
            true => builder.manual_clock(),
            false => builder,
        },
        "Let time stand still until the admin API moves it",
    ),
    &switch(
        "decode-slashes",
        EmulatorBuilder::decode_slashes,
        "Decode %2F in names of REST paths; the service keeps the three characters",
    ),
    &number(
        "recovery-window",
        "SECONDS",
        Limit::RecoveryWindow,
        "How long a reliable client can be recovered after its socket was lost [default: 30]",
    ),
    &number(
        "token-skew",
        "SECONDS",
        Limit::TokenSkew,
        "Clock difference that is forgiven when an access token is checked [default: 300]",
    ),
    &number(
        "max-message-bytes",
        "BYTES",
        Limit::MessageBytes,
        "Largest message of a client or of a REST send [default, and the most: 1048576]",
    ),
    &number(
        "max-outbox-frames",
        "NUMBER",
        Limit::OutboxFrames,
        "Frames that may wait for a client before it is closed as slow [default: 1000]",
    ),
    &number(
        "max-outbox-bytes",
        "BYTES",
        Limit::OutboxBytes,
        "Bytes that may wait for a client before it is closed as slow [default: 16777216]",
    ),
    &number(
        "max-replay-messages",
        "NUMBER",
        Limit::ReplayMessages,
        "Messages that a reliable client may leave unacknowledged before it is closed [default: 1000]",
    ),
    &number(
        "max-replay-bytes",
        "BYTES",
        Limit::ReplayBytes,
        "Bytes that a reliable client may leave unacknowledged before it is closed [default: 16777216]",
    ),
    &number(
        "max-ack-ids",
        "NUMBER",
        Limit::AckIds,
        "Ack ids that are remembered per connection [default: 1000]",
    ),
    &number(
        "max-open-streams",
        "NUMBER",
        Limit::OpenStreams,
        "Streams that a connection may have open [default: 100]",
    ),
    &number(
        "max-groups-per-token",
        "NUMBER",
        Limit::GroupsPerToken,
        "Groups that a client token may name [default: 1000]",
    ),
    &number(
        "max-handler-requests",
        "NUMBER",
        Limit::HandlerRequests,
        "Requests with events of one hub that may be under way at a time; more wait in line [default: 256]",
    ),
    &number(
        "ping-interval",
        "SECONDS",
        Limit::PingInterval,
        "How often an open socket is pinged [default: 20]",
    ),
    &number(
        "silence-limit",
        "SECONDS",
        Limit::SilenceLimit,
        "How long a socket may stay silent before it counts as lost [default: 60]",
    ),
    &switch(
        "connected-on-recovery",
        EmulatorBuilder::connected_on_recovery,
        "Begin a recovered socket with a `connected` frame and a fresh token [default: true]",
    ),
    &switch(
        "end-on-close-without-status",
        EmulatorBuilder::end_on_close_without_status,
        "End a reliable connection at once when its client closes without a status",
    ),
    &switch(
        "close-failed-events-normally",
        EmulatorBuilder::close_failed_events_normally,
        "Close a simple client whose event failed with 1000 in place of 1011",
    ),
];

const fn switch(
    name: &'static str,
    set: fn(EmulatorBuilder, bool) -> EmulatorBuilder,
    help: &'static str,
) -> Spec {
    Spec {
        name,
        value: "BOOL",
        kind: Kind::Switch(set),
        help,
    }
}

const fn number(name: &'static str, value: &'static str, limit: Limit, help: &'static str) -> Spec {
    Spec {
        name,
        value,
        kind: Kind::Number(limit),
        help,
    }
}
