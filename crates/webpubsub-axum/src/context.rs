//! The connection that an event is about.

use std::{fmt, sync::Arc};

use http::HeaderMap;
use serde::de::DeserializeOwned;
use webpubsub_protocol::cloud_event::{ConnectionState, EventType};

use crate::{
    header::{self, names},
    rejection::{HeaderProblem, HeaderRejection},
};

/// The connection that an event is about, as described by the headers of the request. Every event has one; it is also an
/// extractor of its own. Cloning is cheap.
///
/// The signature covers [`connection_id`](Self::connection_id) only: whoever has seen one event of a connection can forge
/// everything else for that connection. `Debug` hides the signature and the values of the state.
#[derive(Clone)]
pub struct ConnectionContext(Arc<Fields>);

struct Fields {
    hub: String,
    connection_id: String,
    user_id: Option<String>,
    event_name: String,
    event_id: Option<String>,
    origin: String,
    signature: Option<String>,
    states: ConnectionState,
    subprotocol: Option<String>,
    mqtt: Option<MqttConnectionContext>,
    traceparent: Option<String>,
}

/// The kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebPubSubClientProtocol {
    /// A WebSocket client.
    Default,
    /// An MQTT client.
    Mqtt,
}

/// The ids of an MQTT connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MqttConnectionContext {
    /// The id of the network connection. A session can outlive several network connections, one after the other.
    pub physical_connection_id: String,
    /// The id of the session; `None` for `connect` events.
    pub session_id: Option<String>,
}

/// The connection state cannot be read as the requested type. The error never contains the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection state cannot be read as the requested type")]
pub struct StateMismatch;

impl ConnectionContext {
    /// The name of the hub, in the spelling of the service.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.0.hub
    }

    /// The id of the connection.
    #[must_use]
    pub fn connection_id(&self) -> &str {
        &self.0.connection_id
    }

    /// The id of the user; `None` for an anonymous connection. In a `connect` event, the user that the token of the client
    /// names, if any.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }

    /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or the name of a user event.
    #[must_use]
    pub fn event_name(&self) -> &str {
        &self.0.event_name
    }

    /// The number of the event within its connection, in decimal. If the service sends an event again, the number is the
    /// same.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.0.event_id.as_deref()
    }

    /// The host name of the endpoint that sent the event. The signature does not cover it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The signature as received. It was checked before the handler ran, unless the check is turned off.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.0.signature.as_deref()
    }

    /// The values that responses to earlier events stored with the connection.
    #[must_use]
    pub fn states(&self) -> &ConnectionState {
        &self.0.states
    }

    /// Deserializes the whole state; `None` if nothing was stored. To read a single value, use [`states`](Self::states).
    ///
    /// # Errors
    ///
    /// If the state cannot be deserialized as `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, StateMismatch> {
        let states = self.states();
        match states.is_empty() {
            true => Ok(None),
            false => states.read().map(Some).map_err(|_| StateMismatch),
        }
    }

    /// The subprotocol of the connection; `None` in `connect` events, and for clients without a subprotocol.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol.as_deref()
    }

    /// The kind of client.
    #[must_use]
    pub fn client_protocol(&self) -> WebPubSubClientProtocol {
        match self.0.mqtt {
            Some(_) => WebPubSubClientProtocol::Mqtt,
            None => WebPubSubClientProtocol::Default,
        }
    }

    /// The ids of an MQTT connection; `None` for other clients.
    #[must_use]
    pub fn mqtt(&self) -> Option<&MqttConnectionContext> {
        self.0.mqtt.as_ref()
    }

    /// The W3C trace context of the request, if it has a valid one.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    pub(crate) fn read(event: &EventType, headers: &HeaderMap) -> Result<Self, HeaderRejection> {
        let optional = |name| {
            let text = header::text(headers, name)?;
            Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
        };
        let required = |name| header::required(headers, name).map(str::to_owned);
        let subprotocol = optional(&names::CE_SUBPROTOCOL)?;
        let mqtt = match optional(&names::CE_PHYSICAL_CONNECTION_ID)? {
            Some(physical_connection_id) if subprotocol.as_deref().is_some_and(is_mqtt) => {
                let session_id = optional(&names::CE_SESSION_ID)?;
                Some(MqttConnectionContext {
                    physical_connection_id,
                    session_id,
                })
            }
            _ => None,
        };
        Ok(Self(Arc::new(Fields {
            hub: required(&names::CE_HUB)?,
            connection_id: required(&names::CE_CONNECTION_ID)?,
            user_id: optional(&names::CE_USER_ID)?,
            event_name: optional(&names::CE_EVENT_NAME)?.unwrap_or_else(|| event.name().to_owned()),
            event_id: optional(&names::CE_ID)?,
            origin: optional(&names::WEBHOOK_REQUEST_ORIGIN)?.unwrap_or_default(),
            signature: optional(&names::CE_SIGNATURE)?,
            states: states(headers)?,
            subprotocol,
            mqtt,
            traceparent: traceparent(headers),
        })))
    }
}

/// Whether the headers are those of an MQTT event. Headers that cannot be read count as absent.
pub(crate) fn is_mqtt_event(headers: &HeaderMap) -> bool {
    headers.contains_key(&names::CE_PHYSICAL_CONNECTION_ID)
        && header::joined(headers, &names::CE_SUBPROTOCOL).is_some_and(|name| is_mqtt(&name))
}

fn is_mqtt(subprotocol: &str) -> bool {
    subprotocol.to_lowercase().contains("mqtt")
}

fn states(headers: &HeaderMap) -> Result<ConnectionState, HeaderRejection> {
    let name = &names::CE_CONNECTION_STATE;
    let text = header::text(headers, name)?.unwrap_or_default();
    ConnectionState::from_header(text).map_err(|_| HeaderRejection {
        name: name.as_str(),
        problem: HeaderProblem::NotState,
    })
}

/// The trace context, if it has the form 00-<trace>-<span>-<flags>. An event with a malformed one is still handled.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 128;
    let text = header::text(headers, &names::TRACEPARENT).ok()??;
    let fits = text.len() <= LONGEST && text.split('-').count() >= 4;
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (fits && is_plain).then(|| text.to_owned())
}

impl fmt::Debug for ConnectionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &*self.0;
        f.debug_struct("ConnectionContext")
            .field("hub", &fields.hub)
            .field("connection_id", &fields.connection_id)
            .field("user_id", &fields.user_id)
            .field("event_name", &fields.event_name)
            .field("event_id", &fields.event_id)
            .field("origin", &fields.origin)
            .field("signature", &fields.signature.as_ref().map(|_| "redacted"))
            .field("states", &fields.states)
            .field("subprotocol", &fields.subprotocol)
            .field("client_protocol", &self.client_protocol())
            .field("mqtt", &fields.mqtt)
            .field("traceparent", &fields.traceparent)
            .finish()
    }
}
