//! What the service sends to event handlers: CloudEvents 1.0 in binary content mode.
//!
//! The attributes of an event are in `ce-` headers ([`header`]), and its data is the body. Sender and receiver share this
//! module: [`EventType`] names the events, [`signature`] proves where a request comes from, [`allowed_origin`] reads the
//! response to the preflight request, [`ConnectionState`] is what a handler stores with a connection, and the remaining
//! types are bodies.

pub mod header;
mod origin;
#[cfg(feature = "signature")]
#[cfg_attr(docsrs, doc(cfg(feature = "signature")))]
pub mod signature;
mod state;
mod system;

pub mod mqtt;

use std::fmt;

use bytestring::ByteString;

pub use origin::{AllowedOrigin, allowed_origin};
pub use state::{ConnectionState, InvalidState, StateError};
pub use system::{
    Certificate, ConnectData, ConnectOverrides, DisconnectedData, GroupData, Lists,
    MqttConnectData, MqttConnectFailure, MqttConnectReply, MqttDisconnectedData,
};

use crate::payload::DataType;

/// The value of `ce-specversion`.
pub const SPEC_VERSION: &str = "1.0";

/// The value of `ce-awpsversion`, which identifies the service to handlers.
pub const AWPS_VERSION: &str = "1.0";

/// Replaces `{event}` in the URL of a preflight request.
pub const VALIDATE: &str = "validate";

/// The type of an event, as named by `ce-type`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A client wants to connect. Blocking: the response decides.
    Connect,
    /// A connection was established.
    Connected,
    /// A connection ended.
    Disconnected,
    /// A connection joined a group.
    GroupJoined,
    /// A connection left a group.
    GroupLeft,
    /// A client sent something to its server. Blocking: the response goes to the client.
    User(ByteString),
}

impl EventType {
    const CONNECT: &str = "azure.webpubsub.sys.connect";
    const CONNECTED: &str = "azure.webpubsub.sys.connected";
    const DISCONNECTED: &str = "azure.webpubsub.sys.disconnected";
    const GROUP_JOINED: &str = "azure.webpubsub.gp.joined";
    const GROUP_LEFT: &str = "azure.webpubsub.gp.left";
    const USER: &str = "azure.webpubsub.user.";

    /// Reads a `ce-type`, which is case-sensitive; `None` if it does not name an event of the service.
    #[must_use]
    pub fn from_ce_type(ce_type: &str) -> Option<Self> {
        Some(match ce_type {
            Self::CONNECT => Self::Connect,
            Self::CONNECTED => Self::Connected,
            Self::DISCONNECTED => Self::Disconnected,
            Self::GROUP_JOINED => Self::GroupJoined,
            Self::GROUP_LEFT => Self::GroupLeft,
            other => Self::User(other.strip_prefix(Self::USER)?.into()),
        })
    }

    /// The value of `ce-type`.
    #[must_use]
    pub fn ce_type(&self) -> String {
        match self {
            Self::Connect => Self::CONNECT.to_owned(),
            Self::Connected => Self::CONNECTED.to_owned(),
            Self::Disconnected => Self::DISCONNECTED.to_owned(),
            Self::GroupJoined => Self::GROUP_JOINED.to_owned(),
            Self::GroupLeft => Self::GROUP_LEFT.to_owned(),
            Self::User(name) => format!("{}{name}", Self::USER),
        }
    }

    /// The value of `ce-eventName`, which also replaces `{event}` in the URL.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::GroupJoined => "joined",
            Self::GroupLeft => "left",
            Self::User(name) => name,
        }
    }

    /// Whether the service waits for the response and acts on it.
    #[must_use]
    pub const fn is_blocking(&self) -> bool {
        matches!(self, Self::Connect | Self::User(_))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `Content-Type` for a payload in a request of the service.
#[must_use]
pub const fn content_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "text/plain; charset=utf-8",
        DataType::Json => "application/json",
        DataType::Binary => "application/octet-stream",
        DataType::Protobuf => "application/x-protobuf",
    }
}

/// The data type that a `Content-Type` stands for; `None` for media types that the service does not know. Parameters are
/// ignored, and case makes no difference.
#[must_use]
pub fn data_type(content_type: &str) -> Option<DataType> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    [
        ("text/plain", DataType::Text),
        ("application/json", DataType::Json),
        ("application/octet-stream", DataType::Binary),
        ("application/x-protobuf", DataType::Protobuf),
    ]
    .into_iter()
    .find_map(|(name, data_type)| media_type.eq_ignore_ascii_case(name).then_some(data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        for (event, name, blocking) in [
            (EventType::Connect, "connect", true),
            (EventType::Connected, "connected", false),
            (EventType::Disconnected, "disconnected", false),
            (EventType::GroupJoined, "joined", false),
            (EventType::GroupLeft, "left", false),
            (EventType::User("a.b".into()), "a.b", true),
        ] {
            assert_eq!(
                EventType::from_ce_type(&event.ce_type()),
                Some(event.clone())
            );
            assert_eq!((event.name(), event.is_blocking()), (name, blocking));
        }
        for odd in [
            "",
            "azure.webpubsub.sys.other",
            "azure.webpubsub.SYS.connect",
            "x.user.a",
        ] {
            assert_eq!(EventType::from_ce_type(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn content_types_lead_back_to_their_payload() {
        for kind in [
            DataType::Text,
            DataType::Json,
            DataType::Binary,
            DataType::Protobuf,
        ] {
            assert_eq!(data_type(content_type(kind)), Some(kind));
        }
        assert_eq!(
            data_type("Application/JSON ; charset=utf-8"),
            Some(DataType::Json)
        );
        assert_eq!(data_type("application/problem+json"), None);
        assert_eq!(data_type(""), None);
    }
}
