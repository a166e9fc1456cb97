//! The bodies of system events, and of the responses to `connect`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::mqtt::{MqttConnectCode, MqttDisconnectPacket, MqttUserProperty};

/// Names, each with a list of values: the form of claims, query parameters and headers.
pub type Lists = BTreeMap<String, Vec<String>>;

/// The body of `connect`. `Debug` shows the names of claims, parameters and headers, not their values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectData {
    /// MQTT only, see [`MqttConnectData`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConnectData>,
    /// The claims of the client's token, by their names in the JWT.
    #[serde(default, deserialize_with = "or_default")]
    pub claims: Lists,
    /// The query parameters of the client's request, except its access token.
    #[serde(default, deserialize_with = "or_default")]
    pub query: Lists,
    /// The headers of the client's request, except its access token.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: Lists,
    /// The subprotocols that the client offers, in the order of its preference.
    #[serde(default, deserialize_with = "or_default")]
    pub subprotocols: Vec<String>,
    /// The certificates that the client presented.
    #[serde(default, deserialize_with = "or_default")]
    pub client_certificates: Vec<Certificate>,
}

/// A certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The fingerprint, in hexadecimal digits.
    pub thumbprint: String,
    /// The certificate as PEM; older versions of the service do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// The contents of the CONNECT packet of an MQTT client. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectData {
    /// 4 for MQTT 3.1.1, 5 for MQTT 5.0.
    pub protocol_version: u8,
    /// The user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// User properties; MQTT 5.0 only.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub user_properties: Vec<MqttUserProperty>,
}

/// The response to `connect`. Members that are `None` leave the values of the client's token unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectOverrides {
    /// The groups that the connection joins when it opens, in place of those in the token. An empty list changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The roles, in place of those in the token. An empty list removes all roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The user id, in place of the one in the token. An empty id makes the connection anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The selected subprotocol. The service ignores case in the name of this member, and some samples use `subProtocol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
    /// The contents of the CONNACK packet; MQTT only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConnectReply>,
}

/// The response to an MQTT client that is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectReply {
    /// The user properties of the CONNACK packet; MQTT 5.0 only.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub user_properties: Vec<MqttUserProperty>,
}

/// The response to an MQTT client that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectFailure {
    /// The code of the CONNACK packet.
    pub code: MqttConnectCode,
    /// The reason, as text; MQTT 5.0 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The user properties of the CONNACK packet; MQTT 5.0 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_properties: Option<Vec<MqttUserProperty>>,
}

/// The body of `disconnected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisconnectedData {
    /// The reason that the service gives. May be empty.
    #[serde(default)]
    pub reason: Option<String>,
    /// MQTT only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttDisconnectedData>,
}

/// How an MQTT session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttDisconnectedData {
    /// Whether the client ended it.
    #[serde(default)]
    pub initiated_by_client: bool,
    /// The DISCONNECT packet; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnect_packet: Option<MqttDisconnectPacket>,
}

/// The body of `joined` and `left`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupData {
    /// The group.
    pub group: String,
}

impl fmt::Debug for ConnectData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |lists: &Lists| lists.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("ConnectData")
            .field("mqtt", &self.mqtt)
            .field("claims", &names(&self.claims))
            .field("query", &names(&self.query))
            .field("headers", &names(&self.headers))
            .field("subprotocols", &self.subprotocols)
            .field("client_certificates", &self.client_certificates.len())
            .finish()
    }
}

impl fmt::Debug for MqttConnectData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttConnectData")
            .field("protocol_version", &self.protocol_version)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "redacted"))
            .field("user_properties", &self.user_properties)
            .finish()
    }
}

/// Treats `null` like an absent member.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_is_written_as_the_service_does() {
        let data = ConnectData {
            claims: Lists::from([("sub".into(), vec!["user1".into()])]),
            subprotocols: vec!["json.webpubsub.azure.v1".into()],
            ..ConnectData::default()
        };
        assert_eq!(
            serde_json::to_string(&data).unwrap(),
            r#"{"claims":{"sub":["user1"]},"query":{},"headers":{},"subprotocols":["json.webpubsub.azure.v1"],"clientCertificates":[]}"#
        );
    }

    #[test]
    fn absent_and_null_members_are_empty() {
        for body in [
            "{}",
            r#"{"claims":null,"query":null,"headers":null,"subprotocols":null,"clientCertificates":null,"mqtt":null}"#,
        ] {
            assert_eq!(
                serde_json::from_str::<ConnectData>(body).unwrap(),
                ConnectData::default()
            );
        }
        let disconnected: DisconnectedData = serde_json::from_str(r#"{"reason":null}"#).unwrap();
        assert_eq!(disconnected.reason, None);
    }

    #[test]
    fn debug_shows_no_values() {
        let data: ConnectData = serde_json::from_str(
            r#"{"claims":{"c":["private"]},"query":{"q":["private"]},"headers":{"h":["private"]},
                "mqtt":{"protocolVersion":5,"username":"u","password":"private"}}"#,
        )
        .unwrap();
        let shown = format!("{data:?}");
        assert!(
            !shown.contains("private") && shown.contains("\"h\""),
            "{shown}"
        );
    }
}
