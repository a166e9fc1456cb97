//! The response to `connect`.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use webpubsub_protocol::cloud_event::{
    ConnectOverrides, MqttConnectFailure, MqttConnectReply,
    mqtt::{MqttConnectCode, MqttUserProperty},
};

use super::{failure, json, state::StateChanges};
use crate::rejection::AnswerError;

/// The response to a `connect` event: whether the client may connect, and as which user.
///
/// ```
/// use http::StatusCode;
/// use webpubsub_axum::ConnectResponse;
///
/// let welcome = ConnectResponse::accept().user_id("ana").groups(["room-7"]).state("visits", &1);
/// let refused = ConnectResponse::fail(StatusCode::UNAUTHORIZED, "log in first");
/// ```
///
/// Values that are set on a failure have no effect. If a value cannot be sent, the response becomes a 500 with an
/// [`AnswerError`], which refuses the client.
#[derive(Debug, Clone)]
#[must_use]
pub struct ConnectResponse {
    decision: Decision,
    state: StateChanges,
    error: Option<AnswerError>,
}

#[derive(Debug, Clone)]
enum Decision {
    Accept(ConnectOverrides),
    Fail { status: StatusCode, detail: String },
    FailMqtt(MqttConnectFailure),
}

impl Default for ConnectResponse {
    fn default() -> Self {
        Self::accept()
    }
}

impl ConnectResponse {
    /// Accepts the client. User, groups and roles are those of its token, unless you set others.
    pub fn accept() -> Self {
        Self::new(Decision::Accept(ConnectOverrides::default()))
    }

    /// Refuses the client with a status from 400 to 599. A WebSocket client sees the status but not the detail. An MQTT
    /// client sees both, the status as the code of its CONNACK packet. For 408 and 5xx the service sends the event again.
    pub fn fail(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(Decision::Fail { status, detail })
    }

    /// Refuses an MQTT client with a CONNACK code and, for MQTT 5.0, a reason and user properties. The HTTP status follows
    /// from the code.
    pub fn fail_with(
        code: impl Into<MqttConnectCode>,
        reason: Option<&str>,
        user_properties: impl IntoIterator<Item = MqttUserProperty>,
    ) -> Self {
        let user_properties: Vec<_> = user_properties.into_iter().collect();
        Self::new(Decision::FailMqtt(MqttConnectFailure {
            code: code.into(),
            reason: reason.map(str::to_owned),
            user_properties: (!user_properties.is_empty()).then_some(user_properties),
        }))
    }

    /// Sets the user id, in place of the one in the token. An empty id makes the connection anonymous.
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        let user_id = user_id.into();
        if user_id.chars().any(char::is_control) {
            self.error.get_or_insert(AnswerError::UserId);
        }
        self.change(|overrides| overrides.user_id = Some(user_id))
    }

    /// Sets the groups that the connection joins when it opens, in place of those in the token. An empty list changes
    /// nothing.
    pub fn groups<G: Into<String>>(self, groups: impl IntoIterator<Item = G>) -> Self {
        let groups = groups.into_iter().map(Into::into).collect();
        self.change(|overrides| overrides.groups = Some(groups))
    }

    /// Sets the roles, for example `webpubsub.sendToGroup.room-7`, in place of those in the token. An empty list removes all
    /// roles.
    pub fn roles<R: Into<String>>(self, roles: impl IntoIterator<Item = R>) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        self.change(|overrides| overrides.roles = Some(roles))
    }

    /// Selects one of the subprotocols that the client offers.
    pub fn subprotocol(self, subprotocol: impl Into<String>) -> Self {
        let subprotocol = subprotocol.into();
        self.change(|overrides| overrides.subprotocol = Some(subprotocol))
    }

    /// Adds a user property to the CONNACK packet of an MQTT 5.0 client.
    pub fn mqtt_user_property(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.change(|overrides| {
            let mqtt = overrides.mqtt.get_or_insert_with(MqttConnectReply::default);
            mqtt.user_properties.push(MqttUserProperty { name, value });
        })
    }

    /// Stores a value with the connection, under a name. Values stored under other names are kept.
    pub fn state<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        if let Err(error) = self.state.set(name.into(), value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Stores each member of a value that serialises to a JSON object with the connection. Values stored under other names
    /// are kept.
    pub fn states<T: Serialize + ?Sized>(mut self, values: &T) -> Self {
        if let Err(error) = self.state.set_all(values) {
            self.error.get_or_insert(error);
        }
        self
    }

    fn new(decision: Decision) -> Self {
        Self {
            decision,
            state: StateChanges::default(),
            error: None,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut ConnectOverrides)) -> Self {
        if let Decision::Accept(overrides) = &mut self.decision {
            change(overrides);
        }
        self
    }
}

impl IntoResponse for ConnectResponse {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Refusal {
            mqtt: MqttConnectFailure,
        }

        if let Some(error) = self.error {
            return error.into_response();
        }
        match self.decision {
            Decision::Accept(overrides) => {
                let response = if overrides == ConnectOverrides::default() {
                    (StatusCode::NO_CONTENT, Body::empty()).into_response()
                } else {
                    json(StatusCode::OK, &overrides)
                };
                self.state.attach_to(response)
            }
            Decision::Fail { status, detail } => failure(status, detail),
            Decision::FailMqtt(mqtt) => {
                let status = StatusCode::from_u16(mqtt.code.http_status());
                json(
                    status.expect("the table holds statuses only"),
                    &Refusal { mqtt },
                )
            }
        }
    }
}
