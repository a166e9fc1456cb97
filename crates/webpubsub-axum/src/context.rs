//! What every event says about its connection.

use std::{fmt, sync::Arc};

use http::HeaderMap;
use serde::de::DeserializeOwned;
use webpubsub_protocol::cloud_event::{ConnectionState, EventType, header as names};

use crate::{
    header,
    rejection::{HeaderProblem, HeaderRejection},
};

/// The connection that an event is about. Also an extractor; cloning shares it.
///
/// Only [`connection_id`](Self::connection_id) is covered by the signature: whoever saw one event of a connection can
/// forge the rest for that connection. `Debug` hides the signature and the values of the state.
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

/// The kind of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebPubSubClientProtocol {
    /// A WebSocket client.
    Default,
    /// An MQTT client.
    Mqtt,
}

/// What an MQTT connection has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MqttConnectionContext {
    /// The id of the network connection; one session may have several, one after the other.
    pub physical_connection_id: String,
    /// The id of the session; `None` on `connect`.
    pub session_id: Option<String>,
}

/// The connection state is not what the handler reads it as. Never shows the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection state is not of the type that it is read as")]
pub struct StateMismatch;

impl ConnectionContext {
    /// The hub, in the spelling of the service.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.0.hub
    }

    /// The id of the connection.
    #[must_use]
    pub fn connection_id(&self) -> &str {
        &self.0.connection_id
    }

    /// The user; `None` for an anonymous connection, and on `connect` unless the client's token names one.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }

    /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or that of the user event.
    #[must_use]
    pub fn event_name(&self) -> &str {
        &self.0.event_name
    }

    /// The number of the event within its connection. When the service repeats an event, it repeats the number.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.0.event_id.as_deref()
    }

    /// The host of the service that sent the event. Not covered by the signature.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The signature as it was sent. It is checked before a handler runs, unless that was turned off.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.0.signature.as_deref()
    }

    /// What answers to earlier events stored with the connection.
    #[must_use]
    pub fn states(&self) -> &ConnectionState {
        &self.0.states
    }

    /// The state as one value; `None` when nothing was stored. To read one value of it, use [`states`](Self::states).
    ///
    /// # Errors
    ///
    /// When the state is not a `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, StateMismatch> {
        let states = self.states();
        match states.is_empty() {
            true => Ok(None),
            false => states.read().map(Some).map_err(|_| StateMismatch),
        }
    }

    /// The subprotocol that the client speaks; `None` on `connect`, and for clients without one.
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

    /// What an MQTT connection has besides; `None` for all others.
    #[must_use]
    pub fn mqtt(&self) -> Option<&MqttConnectionContext> {
        self.0.mqtt.as_ref()
    }

    /// The W3C trace context of the request.
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
        let subprotocol = optional(names::CE_SUBPROTOCOL)?;
        let mqtt = match optional(names::CE_PHYSICAL_CONNECTION_ID)? {
            Some(physical_connection_id) if subprotocol.as_deref().is_some_and(is_mqtt) => {
                let session_id = optional(names::CE_SESSION_ID)?;
                Some(MqttConnectionContext {
                    physical_connection_id,
                    session_id,
                })
            }
            _ => None,
        };
        Ok(Self(Arc::new(Fields {
            hub: required(names::CE_HUB)?,
            connection_id: required(names::CE_CONNECTION_ID)?,
            user_id: optional(names::CE_USER_ID)?,
            event_name: optional(names::CE_EVENT_NAME)?.unwrap_or_else(|| event.name().to_owned()),
            event_id: optional(names::CE_ID)?,
            origin: optional(names::WEBHOOK_REQUEST_ORIGIN)?.unwrap_or_default(),
            signature: optional(names::CE_SIGNATURE)?,
            states: states(headers)?,
            subprotocol,
            mqtt,
            traceparent: traceparent(headers),
        })))
    }
}

/// Whether the headers are those of an MQTT event, as far as that can be read.
pub(crate) fn is_mqtt_event(headers: &HeaderMap) -> bool {
    headers.contains_key(names::CE_PHYSICAL_CONNECTION_ID)
        && header::joined(headers, names::CE_SUBPROTOCOL).is_some_and(|name| is_mqtt(&name))
}

fn is_mqtt(subprotocol: &str) -> bool {
    subprotocol.to_lowercase().contains("mqtt")
}

fn states(headers: &HeaderMap) -> Result<ConnectionState, HeaderRejection> {
    let name = names::CE_CONNECTION_STATE;
    let text = header::text(headers, name)?.unwrap_or_default();
    let problem = HeaderProblem::NotState;
    ConnectionState::from_header(text).map_err(|_| HeaderRejection { name, problem })
}

/// The trace context, when it is one: 00-<trace>-<span>-<flags>. Anything else is no reason to refuse an event.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 128;
    let text = header::text(headers, "traceparent").ok()??;
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
