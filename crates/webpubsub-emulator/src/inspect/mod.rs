//! What is inside the emulator now, as copies for tests, tools and pages. Reading changes nothing, and copies no payload but
//! for the states of groups.

mod look;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

/// A hub that is in use or set up. See [`Emulator::hubs`](crate::Emulator::hubs).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HubInfo {
    /// Its name.
    #[serde(serialize_with = "text::name")]
    pub name: HubName,
    /// Connections, those among them that lost their socket and can be recovered.
    pub connections: usize,
    /// Clients that wait for the answer to their `connect` event.
    pub connecting: usize,
    /// Users with at least one connection.
    pub users: usize,
    /// Groups with at least one member.
    pub groups: usize,
    /// Event handlers that are set up.
    pub handlers: usize,
    /// Whether clients may connect without a token.
    pub anonymous_connect: bool,
}

/// A connection. See [`Emulator::connections`](crate::Emulator::connections).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The hub that it is in.
    #[serde(serialize_with = "text::name")]
    pub hub: HubName,
    /// Its id.
    #[serde(serialize_with = "text::name")]
    pub connection_id: ConnectionId,
    /// Its user, unless it is anonymous.
    #[serde(serialize_with = "text::optional_name")]
    pub user_id: Option<UserId>,
    /// The negotiated subprotocol as the client spelled it; `None` for a simple client.
    pub subprotocol: Option<String>,
    /// Whether its messages are numbered, and it survives its socket.
    pub reliable: bool,
    /// Whether it has a socket. A reliable connection without one can be recovered for a while.
    pub attached: bool,
    /// When it was opened.
    #[serde(serialize_with = "text::time")]
    pub connected_at: SystemTime,
    /// How long ago that was.
    #[serde(rename = "ageSeconds", serialize_with = "text::seconds")]
    pub age: Duration,
    /// When the token that it was opened with expires; `None` without a token. The connection outlives it.
    #[serde(serialize_with = "text::optional_time")]
    pub token_expires_at: Option<SystemTime>,
    /// The groups that it is in.
    #[serde(serialize_with = "text::names")]
    pub groups: Vec<GroupName>,
    /// What it may do in groups, as roles: those of its token or of the `connect` answer that count, and what REST calls
    /// granted.
    pub roles: Vec<String>,
    /// What REST calls revoked of that, as roles.
    pub revoked_roles: Vec<String>,
    /// What waits for its socket.
    pub queue: Fill,
    /// What it has not acknowledged, sent or not; for reliable connections.
    pub replay: Fill,
    /// Frames of the client that wait for its event handler.
    pub waiting: Fill,
    /// Streams that it publishes.
    pub streams: usize,
    /// Whether the client takes what it is sent: one that has taken nothing for 5 s counts as slow.
    pub reads: bool,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fill {
    /// Frames.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A group with at least one member. See [`Emulator::groups`](crate::Emulator::groups).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupInfo {
    /// The hub that it is in.
    #[serde(serialize_with = "text::name")]
    pub hub: HubName,
    /// Its name.
    #[serde(serialize_with = "text::name")]
    pub name: GroupName,
    /// Its members, in the order of their ids.
    pub members: Vec<MemberInfo>,
}

/// A member of a group. `Debug` does not show its state.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MemberInfo {
    /// The connection.
    #[serde(serialize_with = "text::name")]
    pub connection_id: ConnectionId,
    /// Its user, unless it is anonymous.
    #[serde(serialize_with = "text::optional_name")]
    pub user_id: Option<UserId>,
    /// Its state in the group, if it has set one.
    pub state: Option<BTreeMap<String, String>>,
    /// Whether it is sent the states of the others.
    pub subscribed: bool,
}

impl fmt::Debug for MemberInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberInfo")
            .field("connection_id", &self.connection_id)
            .field("user_id", &self.user_id)
            .field("has_state", &self.state.is_some())
            .field("subscribed", &self.subscribed)
            .finish()
    }
}

/// An event handler that is set up. See [`Emulator::handlers`](crate::Emulator::handlers).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HandlerInfo {
    /// The hub whose events it takes.
    #[serde(serialize_with = "text::name")]
    pub hub: HubName,
    /// Its URL template without the query, which may hold a key; `None` for a service in this process.
    pub url: Option<String>,
    /// The user events that it takes: `*` for all, or names separated by commas.
    pub user_events: String,
    /// The system events that it takes.
    pub system_events: Vec<String>,
    /// How long one event may take.
    #[serde(rename = "timeoutSeconds", serialize_with = "text::seconds")]
    pub timeout: Duration,
    /// Whether it is asked for its consent before its first event.
    pub validated: bool,
    /// What came of the events that it was sent.
    #[serde(flatten)]
    pub health: HandlerHealth,
}

/// How an event handler is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HandlerHealth {
    /// Events that were answered or given up.
    pub events: u64,
    /// Events among them that failed. A `connect` that is refused with 4xx is no failure.
    pub failures: u64,
    /// Whether the last event succeeded; `None` before the first one.
    pub healthy: Option<bool>,
    /// Why the last event that failed did, in the words of the log.
    pub last_failure: Option<String>,
    /// When that was.
    #[serde(serialize_with = "text::optional_time")]
    pub last_failure_at: Option<SystemTime>,
    /// When an event was last answered with success.
    #[serde(serialize_with = "text::optional_time")]
    pub last_success_at: Option<SystemTime>,
    /// How long the last event took, with its retries.
    #[serde(rename = "lastTookSeconds", serialize_with = "text::optional_seconds")]
    pub last_took: Option<Duration>,
}
