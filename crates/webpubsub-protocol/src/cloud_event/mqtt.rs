//! MQTT: codes, user properties, and the packet that ended a session.

use serde::{Deserialize, Serialize};

/// A user property of an MQTT packet. Several properties may have the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttUserProperty {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The DISCONNECT packet that ended a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttDisconnectPacket {
    /// The reason code; always 0 for MQTT 3.1.1.
    pub code: MqttDisconnectReasonCode,
    /// The user properties of the packet, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_properties: Option<Vec<MqttUserProperty>>,
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$code_doc:meta])* $code:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u8);

        impl $name {
            $($(#[$code_doc])* pub const $code: Self = Self($value);)*
        }

        impl From<$name> for u8 {
            fn from(code: $name) -> Self {
                code.0
            }
        }
    };
}

codes! {
    /// Why an MQTT 3.1.1 client is refused: the return code of the CONNACK.
    MqttV311ConnectReturnCode {
        /// The service does not speak this version.
        UNACCEPTABLE_PROTOCOL_VERSION = 1,
        /// The client id is not allowed.
        IDENTIFIER_REJECTED = 2,
        /// The server is unavailable.
        SERVER_UNAVAILABLE = 3,
        /// Malformed or wrong credentials.
        BAD_USERNAME_OR_PASSWORD = 4,
        /// The client may not connect.
        NOT_AUTHORIZED = 5,
    }
}

codes! {
    /// Why an MQTT 5.0 client is refused: the reason code of the CONNACK.
    MqttV500ConnectReasonCode {
        /// No reason is given.
        UNSPECIFIED_ERROR = 128,
        /// The packet could not be read.
        MALFORMED_PACKET = 129,
        /// The packet breaks the protocol.
        PROTOCOL_ERROR = 130,
        /// The packet is valid, but the server does not accept it.
        IMPLEMENTATION_SPECIFIC_ERROR = 131,
        /// The service does not speak this version.
        UNSUPPORTED_PROTOCOL_VERSION = 132,
        /// The client id is not allowed.
        CLIENT_IDENTIFIER_NOT_VALID = 133,
        /// Wrong credentials.
        BAD_USER_NAME_OR_PASSWORD = 134,
        /// The client may not connect.
        NOT_AUTHORIZED = 135,
        /// The server is unavailable.
        SERVER_UNAVAILABLE = 136,
        /// The server is busy.
        SERVER_BUSY = 137,
        /// The client was banned.
        BANNED = 138,
        /// The authentication method is not supported.
        BAD_AUTHENTICATION_METHOD = 140,
        /// The topic of the will is not allowed.
        TOPIC_NAME_INVALID = 144,
        /// The packet is too large.
        PACKET_TOO_LARGE = 149,
        /// A limit was reached.
        QUOTA_EXCEEDED = 151,
        /// The payload of the will does not match its declared format.
        PAYLOAD_FORMAT_INVALID = 153,
        /// Retained messages are not supported.
        RETAIN_NOT_SUPPORTED = 154,
        /// The QoS of the will is not supported.
        QOS_NOT_SUPPORTED = 155,
        /// The client should use another server temporarily.
        USE_ANOTHER_SERVER = 156,
        /// The client should use another server permanently.
        SERVER_MOVED = 157,
        /// Connections are made too frequently.
        CONNECTION_RATE_EXCEEDED = 159,
    }
}

codes! {
    /// How an MQTT session ended: the reason code of the DISCONNECT.
    MqttDisconnectReasonCode {
        /// The session ended normally.
        NORMAL_DISCONNECTION = 0,
        /// The session ended normally, and the will is to be published.
        DISCONNECT_WITH_WILL_MESSAGE = 4,
        /// No reason is given.
        UNSPECIFIED_ERROR = 128,
        /// A packet could not be read.
        MALFORMED_PACKET = 129,
        /// A packet broke the protocol.
        PROTOCOL_ERROR = 130,
        /// A packet was valid, but was not accepted.
        IMPLEMENTATION_SPECIFIC_ERROR = 131,
        /// A request was not allowed.
        NOT_AUTHORIZED = 135,
        /// The server is busy.
        SERVER_BUSY = 137,
        /// The server is shutting down.
        SERVER_SHUTTING_DOWN = 139,
        /// Nothing was received from the client for one and a half times the keep-alive time.
        KEEP_ALIVE_TIMEOUT = 141,
        /// Another connection uses the same client id.
        SESSION_TAKEN_OVER = 142,
        /// A topic filter is not allowed.
        TOPIC_FILTER_INVALID = 143,
        /// A topic is not allowed.
        TOPIC_NAME_INVALID = 144,
        /// There were more unacknowledged publications than agreed.
        RECEIVE_MAXIMUM_EXCEEDED = 147,
        /// A topic alias is not allowed.
        TOPIC_ALIAS_INVALID = 148,
        /// A packet was too large.
        PACKET_TOO_LARGE = 149,
        /// The message rate is too high.
        MESSAGE_RATE_TOO_HIGH = 150,
        /// A limit was reached.
        QUOTA_EXCEEDED = 151,
        /// An administrator ended the session.
        ADMINISTRATIVE_ACTION = 152,
        /// A payload did not match its declared format.
        PAYLOAD_FORMAT_INVALID = 153,
        /// Retained messages are not supported.
        RETAIN_NOT_SUPPORTED = 154,
        /// A QoS is not supported.
        QOS_NOT_SUPPORTED = 155,
        /// The client should use another server temporarily.
        USE_ANOTHER_SERVER = 156,
        /// The client should use another server permanently.
        SERVER_MOVED = 157,
        /// Shared subscriptions are not supported.
        SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 158,
        /// Connections are made too frequently.
        CONNECTION_RATE_EXCEEDED = 159,
        /// The connection reached its maximum duration.
        MAXIMUM_CONNECT_TIME = 160,
        /// Subscription identifiers are not supported.
        SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 161,
        /// Wildcards in topic filters are not supported.
        WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 162,
    }
}

/// Why an MQTT client is refused, in either version of the protocol: codes below 128 are those of MQTT 3.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MqttConnectCode(u8);

impl MqttConnectCode {
    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The HTTP status for the code, as in the official library.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self.0 {
            1 | 2 | 129 | 131..=133 | 140 | 144 | 149 | 153..=155 => 400,
            4 | 5 | 134 | 135 => 401,
            138 => 403,
            151 | 159 => 429,
            3 => 503,
            _ => 500,
        }
    }

    /// The code for an HTTP status, as in the official library. `protocol_version` is 4 for MQTT 3.1.1 and 5 for MQTT 5.0.
    #[must_use]
    pub const fn from_http_status(status: u16, protocol_version: u8) -> Self {
        Self(match (protocol_version, status) {
            (4, 400) => MqttV311ConnectReturnCode::BAD_USERNAME_OR_PASSWORD.0,
            (4, 401) => MqttV311ConnectReturnCode::NOT_AUTHORIZED.0,
            (4, _) => MqttV311ConnectReturnCode::SERVER_UNAVAILABLE.0,
            (5, 400) => MqttV500ConnectReasonCode::BAD_USER_NAME_OR_PASSWORD.0,
            (5, 401) => MqttV500ConnectReasonCode::NOT_AUTHORIZED.0,
            (5, _) => MqttV500ConnectReasonCode::UNSPECIFIED_ERROR.0,
            _ => MqttV311ConnectReturnCode::UNACCEPTABLE_PROTOCOL_VERSION.0,
        })
    }
}

impl From<MqttV311ConnectReturnCode> for MqttConnectCode {
    fn from(code: MqttV311ConnectReturnCode) -> Self {
        Self(code.0)
    }
}

impl From<MqttV500ConnectReasonCode> for MqttConnectCode {
    fn from(code: MqttV500ConnectReasonCode) -> Self {
        Self(code.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_map_as_in_the_official_library() {
        for (codes, status) in [
            (
                &[1, 2, 129, 131, 132, 133, 140, 144, 149, 153, 154, 155][..],
                400,
            ),
            (&[4, 5, 134, 135], 401),
            (&[138], 403),
            (&[151, 159], 429),
            (&[0, 6, 127, 128, 130, 136, 137, 156, 157, 158, 255], 500),
            (&[3], 503),
        ] {
            for code in codes {
                assert_eq!(MqttConnectCode(*code).http_status(), status, "{code}");
            }
        }
        for (status, version, code) in [
            (400, 4, 4),
            (401, 4, 5),
            (500, 4, 3),
            (403, 4, 3),
            (400, 5, 134),
            (401, 5, 135),
            (500, 5, 128),
            (403, 5, 128),
            (400, 3, 1),
        ] {
            let found = MqttConnectCode::from_http_status(status, version);
            assert_eq!(found.get(), code, "{status} {version}");
        }
    }
}
