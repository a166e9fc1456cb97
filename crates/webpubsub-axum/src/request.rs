//! Extractors for system events.

use std::{fmt, sync::Arc};

use axum::extract::FromRequestParts;
use http::request::Parts;
use webpubsub_protocol::cloud_event::{
    Certificate, ConnectData, Lists, MqttConnectData, MqttDisconnectedData,
};

use crate::{
    context::ConnectionContext,
    event::{Event, EventData},
    rejection::ExtractRejection,
};

/// The `connect` event: a client wants to connect. `Debug` shows the names of claims, query parameters and headers, but not
/// their values.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The connection.
    pub context: ConnectionContext,
    data: Arc<ConnectData>,
}

/// The `connected` event: a connection was established.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectedRequest {
    /// The connection.
    pub context: ConnectionContext,
}

/// The `disconnected` event: a connection ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DisconnectedRequest {
    /// The connection.
    pub context: ConnectionContext,
    /// The reason that the service gives. May be empty.
    pub reason: Option<String>,
    /// How the session ended; MQTT clients only.
    pub mqtt: Option<MqttDisconnectedData>,
}

/// The `joined` event: a connection joined a group.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupJoinedRequest {
    /// The connection.
    pub context: ConnectionContext,
    /// The group.
    pub group: String,
}

/// The `left` event: a connection left a group.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupLeftRequest {
    /// The connection.
    pub context: ConnectionContext,
    /// The group.
    pub group: String,
}

impl ConnectRequest {
    /// The claims of the client's token, by their names in the JWT.
    #[must_use]
    pub fn claims(&self) -> &Lists {
        &self.data.claims
    }

    /// The first value of a claim.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        first(self.claims(), name)
    }

    /// The query parameters of the client's request, except its access token.
    #[must_use]
    pub fn queries(&self) -> &Lists {
        &self.data.query
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        first(self.queries(), name)
    }

    /// The headers of the client's request, except its access token.
    #[must_use]
    pub fn headers(&self) -> &Lists {
        &self.data.headers
    }

    /// The first value of a header of the client's request. Names are compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers().iter();
        let (_, values) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    }

    /// The subprotocols that the client offers, in the order of its preference.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.data.subprotocols
    }

    /// The certificates that the client presented.
    #[must_use]
    pub fn client_certificates(&self) -> &[Certificate] {
        &self.data.client_certificates
    }

    /// The contents of the CONNECT packet; MQTT clients only.
    #[must_use]
    pub fn mqtt(&self) -> Option<&MqttConnectData> {
        self.data.mqtt.as_ref()
    }
}

fn first<'a>(lists: &'a Lists, name: &str) -> Option<&'a str> {
    lists.get(name)?.first().map(String::as_str)
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |lists: &Lists| lists.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("ConnectRequest")
            .field("context", &self.context)
            .field("claims", &names(self.claims()))
            .field("queries", &names(self.queries()))
            .field("headers", &names(self.headers()))
            .field("subprotocols", &self.subprotocols())
            .field("client_certificates", &self.client_certificates().len())
            .field("mqtt", &self.mqtt())
            .finish()
    }
}

impl ConnectionContext {
    fn of(event: &Event) -> Option<Self> {
        Some(event.context.clone())
    }
}

impl ConnectRequest {
    fn of(event: &Event) -> Option<Self> {
        let EventData::Connect(data) = &event.data else {
            return None;
        };
        Some(Self {
            context: event.context.clone(),
            data: Arc::clone(data),
        })
    }
}

impl ConnectedRequest {
    fn of(event: &Event) -> Option<Self> {
        let context = event.context.clone();
        matches!(event.data, EventData::Connected).then_some(Self { context })
    }
}

impl DisconnectedRequest {
    fn of(event: &Event) -> Option<Self> {
        let EventData::Disconnected(data) = &event.data else {
            return None;
        };
        Some(Self {
            context: event.context.clone(),
            reason: data.reason.clone(),
            mqtt: data.mqtt.clone(),
        })
    }
}

impl GroupJoinedRequest {
    fn of(event: &Event) -> Option<Self> {
        let EventData::GroupJoined(data) = &event.data else {
            return None;
        };
        Some(Self {
            context: event.context.clone(),
            group: data.group.clone(),
        })
    }
}

impl GroupLeftRequest {
    fn of(event: &Event) -> Option<Self> {
        let EventData::GroupLeft(data) = &event.data else {
            return None;
        };
        Some(Self {
            context: event.context.clone(),
            group: data.group.clone(),
        })
    }
}

/// These extractors read extensions only, so they can be at any position among the arguments of a handler.
macro_rules! extractors {
    ($($name:ident),*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ExtractRejection;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
                let extractor = stringify!($name);
                let event: Arc<Event> = Event::current(&parts.extensions, extractor)?;
                Self::of(&event).ok_or(ExtractRejection::OtherEvent { extractor })
            }
        }
    )*};
}

extractors!(
    ConnectionContext,
    ConnectRequest,
    ConnectedRequest,
    DisconnectedRequest,
    GroupJoinedRequest,
    GroupLeftRequest
);
