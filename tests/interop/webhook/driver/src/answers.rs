//! What the handlers answer: steps in JSON, as both sides read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use webpubsub_axum::mqtt::{MqttUserProperty, MqttV311ConnectReturnCode};
use webpubsub_axum::{ConnectResponse, UserEventResponse};

type Steps = Vec<Vec<Value>>;

/// The first line of the input.
#[derive(Clone, Deserialize)]
pub(crate) struct Setup {
    key: Arc<str>,
    /// Steps by the name of a user event.
    events: Arc<BTreeMap<String, Steps>>,
}

impl Setup {
    pub(crate) fn key(&self) -> String {
        self.key.to_string()
    }

    pub(crate) fn user_event(&self, name: &str) -> UserEventResponse {
        let default = vec![vec![Value::from("success")]];
        let steps = self.events.get(name).unwrap_or(&default);
        let mut states = Vec::new();
        for step in steps {
            let argument = |index: usize| step.get(index);
            let text = |index: usize| argument(index).and_then(Value::as_str);
            let answer = match text(0) {
                Some("state") => {
                    states.push((text(1).expect("a name"), argument(2).expect("a value")));
                    continue;
                }
                Some("fail") => UserEventResponse::fail(status(argument(1)), text(2).unwrap_or_default()),
                _ => match (text(1), text(2)) {
                    (Some(data), Some("text")) => UserEventResponse::text(data),
                    (Some(data), Some("json")) => {
                        let raw: &RawValue = serde_json::from_str(data).expect("JSON");
                        UserEventResponse::json(raw)
                    }
                    (Some(data), _) => {
                        UserEventResponse::binary(BASE64_STANDARD.decode(data).expect("base64"))
                    }
                    (None, _) => UserEventResponse::empty(),
                },
            };
            let with_state = |answer: UserEventResponse, (name, value)| answer.state(name, value);
            return states.into_iter().fold(answer, with_state);
        }
        unreachable!("the last step answers")
    }
}

/// The answer to `connect` that the client asks for.
pub(crate) fn connect(wish: Option<&str>) -> Response {
    let steps: Steps = match wish {
        Some(text) => serde_json::from_str(text).expect("steps"),
        None => vec![vec![Value::from("success")]],
    };
    let mut states = Vec::new();
    for step in &steps {
        let argument = |index: usize| step.get(index);
        let text = |index: usize| argument(index).and_then(Value::as_str);
        let answer = match text(0) {
            Some("state") => {
                states.push((text(1).expect("a name"), argument(2).expect("a value")));
                continue;
            }
            Some("fail") => ConnectResponse::fail(status(argument(1)), text(2).unwrap_or_default()),
            Some("failWith") => fail_with(argument(1).expect("a failure")),
            // What `accept` without changes does not say.
            _ if argument(1).is_some_and(|value| *value == serde_json::json!({})) && states.is_empty() => {
                return Json(serde_json::json!({})).into_response();
            }
            _ => accept(argument(1)),
        };
        let with_state = |answer: ConnectResponse, (name, value)| answer.state(name, value);
        return states.into_iter().fold(answer, with_state).into_response();
    }
    unreachable!("the last step answers")
}

fn accept(response: Option<&Value>) -> ConnectResponse {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Success {
        groups: Option<Vec<String>>,
        roles: Option<Vec<String>>,
        user_id: Option<String>,
        subprotocol: Option<String>,
        mqtt: Option<Properties>,
    }
    let success: Success = match response {
        Some(value) => serde_json::from_value(value.clone()).expect("a response"),
        None => Success::default(),
    };
    let mut answer = ConnectResponse::accept();
    if let Some(groups) = success.groups {
        answer = answer.groups(groups);
    }
    if let Some(roles) = success.roles {
        answer = answer.roles(roles);
    }
    if let Some(user) = success.user_id {
        answer = answer.user_id(user);
    }
    if let Some(subprotocol) = success.subprotocol {
        answer = answer.subprotocol(subprotocol);
    }
    for MqttUserProperty { name, value } in success.mqtt.unwrap_or_default().user_properties {
        answer = answer.mqtt_user_property(name, value);
    }
    answer
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    code: u8,
    reason: Option<String>,
    user_properties: Vec<MqttUserProperty>,
}

fn fail_with(failure: &Value) -> ConnectResponse {
    if failure["mqtt"].is_null() {
        let detail = failure["detail"].as_str().unwrap_or_default();
        return ConnectResponse::fail(status(failure.get("code")), detail);
    }
    let properties = serde_json::from_value(failure["mqtt"].clone());
    let Properties { code, reason, user_properties } = properties.expect("a failure");
    // Any number: the newtype of one version takes those of the other as well.
    ConnectResponse::fail_with(MqttV311ConnectReturnCode(code), reason.as_deref(), user_properties)
}

fn status(code: Option<&Value>) -> StatusCode {
    let code = code.and_then(Value::as_u64).expect("a status");
    let code = u16::try_from(code).expect("a status");
    StatusCode::from_u16(code).expect("a status")
}
