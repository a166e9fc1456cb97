//! The connection that an event is about.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName};
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
    texts: Texts,
    hub: Piece,
    connection_id: Piece,
    user_id: Option<Piece>,
    event_name: Piece,
    event_id: Option<Piece>,
    origin: Option<Piece>,
    signature: Option<Piece>,
    states: ConnectionState,
    subprotocol: Option<Piece>,
    mqtt: Option<MqttConnectionContext>,
    traceparent: Option<Piece>,
}

/// The texts of a context, one behind the other: one allocation for each event in place of nearly a dozen.
struct Texts(String);

/// A part of the texts.
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
}

impl Texts {
    fn add(&mut self, text: &str) -> Piece {
        let start = self.0.len();
        self.0.push_str(text);
        let end = self.0.len();
        Piece { start, end }
    }

    fn get(&self, piece: Piece) -> &str {
        &self.0[piece.start..piece.end]
    }
}

impl Fields {
    fn text(&self, piece: Piece) -> &str {
        self.texts.get(piece)
    }

    fn optional(&self, piece: Option<Piece>) -> Option<&str> {
        piece.map(|piece| self.text(piece))
    }
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
        self.0.text(self.0.hub)
    }

    /// The id of the connection.
    #[must_use]
    pub fn connection_id(&self) -> &str {
        self.0.text(self.0.connection_id)
    }

    /// The id of the user; `None` for an anonymous connection. In a `connect` event, the user that the token of the client
    /// names, if any.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.optional(self.0.user_id)
    }

    /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or the name of a user event.
    #[must_use]
    pub fn event_name(&self) -> &str {
        self.0.text(self.0.event_name)
    }

    /// The number of the event within its connection, in decimal. If the service sends an event again, the number is the
    /// same.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.0.optional(self.0.event_id)
    }

    /// The host name of the endpoint that sent the event. The signature does not cover it.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.0.optional(self.0.origin).unwrap_or_default()
    }

    /// The signature as received. It was checked before the handler ran, unless the check is turned off.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.0.optional(self.0.signature)
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
        self.0.optional(self.0.subprotocol)
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
        self.0.optional(self.0.traceparent)
    }

    pub(crate) fn read(event: &EventType, headers: &HeaderMap) -> Result<Self, HeaderRejection> {
        let mut reader = Reader {
            headers,
            texts: Texts(String::with_capacity(TEXT_BYTES)),
        };
        let subprotocol = reader.optional(&names::CE_SUBPROTOCOL)?;
        let is_mqtt = subprotocol.is_some_and(|name| is_mqtt(reader.texts.get(name)));
        let owned = |name| {
            let text = non_empty(headers, name)?;
            Ok(text.map(str::to_owned))
        };
        let mqtt = match owned(&names::CE_PHYSICAL_CONNECTION_ID)? {
            Some(physical_connection_id) if is_mqtt => Some(MqttConnectionContext {
                physical_connection_id,
                session_id: owned(&names::CE_SESSION_ID)?,
            }),
            _ => None,
        };
        let hub = reader.required(&names::CE_HUB)?;
        let connection_id = reader.required(&names::CE_CONNECTION_ID)?;
        let user_id = reader.optional(&names::CE_USER_ID)?;
        let event_name = match reader.optional(&names::CE_EVENT_NAME)? {
            Some(name) => name,
            None => reader.texts.add(event.name()),
        };
        let event_id = reader.optional(&names::CE_ID)?;
        let origin = reader.optional(&names::WEBHOOK_REQUEST_ORIGIN)?;
        let signature = reader.optional(&names::CE_SIGNATURE)?;
        let states = states(headers)?;
        let traceparent = traceparent(headers).map(|text| reader.texts.add(text));
        Ok(Self(Arc::new(Fields {
            texts: reader.texts,
            hub,
            connection_id,
            user_id,
            event_name,
            event_id,
            origin,
            signature,
            states,
            subprotocol,
            mqtt,
            traceparent,
        })))
    }
}

/// What the texts of most events take up, in bytes.
const TEXT_BYTES: usize = 256;

/// Gathers the texts of headers.
struct Reader<'a> {
    headers: &'a HeaderMap,
    texts: Texts,
}

impl Reader<'_> {
    fn required(&mut self, name: &'static HeaderName) -> Result<Piece, HeaderRejection> {
        let text = header::required(self.headers, name)?;
        Ok(self.texts.add(text))
    }

    fn optional(&mut self, name: &'static HeaderName) -> Result<Option<Piece>, HeaderRejection> {
        let text = non_empty(self.headers, name)?;
        Ok(text.map(|text| self.texts.add(text)))
    }
}

fn non_empty<'a>(
    headers: &'a HeaderMap,
    name: &'static HeaderName,
) -> Result<Option<&'a str>, HeaderRejection> {
    let text = header::text(headers, name)?;
    Ok(text.filter(|text| !text.is_empty()))
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
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    const LONGEST: usize = 128;
    let text = header::text(headers, &names::TRACEPARENT).ok()??;
    let fits = text.len() <= LONGEST && text.split('-').count() >= 4;
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (fits && is_plain).then_some(text)
}

impl fmt::Debug for ConnectionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &*self.0;
        f.debug_struct("ConnectionContext")
            .field("hub", &self.hub())
            .field("connection_id", &self.connection_id())
            .field("user_id", &self.user_id())
            .field("event_name", &self.event_name())
            .field("event_id", &self.event_id())
            .field("origin", &self.origin())
            .field("signature", &fields.signature.map(|_| "redacted"))
            .field("states", &fields.states)
            .field("subprotocol", &self.subprotocol())
            .field("client_protocol", &self.client_protocol())
            .field("mqtt", &fields.mqtt)
            .field("traceparent", &self.traceparent())
            .finish()
    }
}
