//! Bodies of system events and of the answers to `connect`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::mqtt::{MqttConnectCode, MqttDisconnectPacket, MqttUserProperty};

/// Names with a list of values each, as claims, query parameters and headers are sent.
pub type Lists = BTreeMap<String, Vec<String>>;

/// The body of `connect`. `Debug` shows the names of claims, parameters and headers, not their values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectData {
    /// MQTT only, see [`MqttConnectData`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConnectData>,
    /// The claims of the client's token, by their JWT names.
    #[serde(default, deserialize_with = "or_default")]
    pub claims: Lists,
    /// The query of the client's request, without its token.
    #[serde(default, deserialize_with = "or_default")]
    pub query: Lists,
    /// The headers of the client's request, without its token.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: Lists,
    /// The subprotocols that the client offers, in its order.
    #[serde(default, deserialize_with = "or_default")]
    pub subprotocols: Vec<String>,
    /// The certificates that the client showed.
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

/// What the CONNECT packet of an MQTT client says. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectData {
    /// 4 for MQTT 3.1.1, 5 for MQTT 5.0.
    pub protocol_version: u8,
    /// The user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password: base64 of its bytes.
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

/// The answer to `connect`: what it changes. Members that are `None` keep what the client's token says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectOverrides {
    /// The groups to join at once, in place of the token's. An empty list changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The roles, in place of the token's; an empty list takes all away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The user, in place of the token's; empty makes the connection anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The subprotocol to speak. The service ignores case in the name of this member, and other services' samples use
    /// `subProtocol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
    /// MQTT only: what goes into the CONNACK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttConnectReply>,
}

/// What an accepted MQTT client learns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectReply {
    /// User properties of the CONNACK; MQTT 5.0 only.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub user_properties: Vec<MqttUserProperty>,
}

/// What a refused MQTT client learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MqttConnectFailure {
    /// The code of the CONNACK.
    pub code: MqttConnectCode,
    /// The reason, in words; MQTT 5.0 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// User properties of the CONNACK; MQTT 5.0 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_properties: Option<Vec<MqttUserProperty>>,
}

/// The body of `disconnected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisconnectedData {
    /// Why, in the service's words; may be empty.
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
    /// Whether the client began it.
    #[serde(default)]
    pub initiated_by_client: bool,
    /// The DISCONNECT packet; `None` when there was none.
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

/// `null` is as good as an absent member.
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
