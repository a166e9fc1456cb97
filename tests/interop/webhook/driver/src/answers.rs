//! What the handlers answer: steps in JSON, as both sides read them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use webpubsub_axum::mqtt::{MqttUserProperty, MqttV311ConnectReturnCode};
use webpubsub_axum::{ConnectResponse, UserEventResponse, payload};

/// Values as text: they keep the order of their members.
type Step = Vec<Box<RawValue>>;

/// The first line of the input.
#[derive(Clone, Deserialize)]
pub(crate) struct Setup {
    key: String,
    /// Steps by the name of a user event.
    events: BTreeMap<String, Vec<Step>>,
}

impl Setup {
    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    pub(crate) fn user_event(&self, name: &str) -> UserEventResponse {
        let Some((last, states)) = self.events.get(name).and_then(|steps| steps.split_last())
        else {
            return UserEventResponse::empty();
        };
        let answer = match verb(last).as_str() {
            "fail" => UserEventResponse::fail(status(last), detail(last)),
            _ => match (argument::<String>(last, 1), argument::<String>(last, 2)) {
                (None, _) => UserEventResponse::empty(),
                (Some(data), Some(kind)) if kind == "text" => UserEventResponse::success(data),
                (Some(data), Some(kind)) if kind == "json" => {
                    let raw: &RawValue = serde_json::from_str(&data).expect("JSON");
                    UserEventResponse::success(payload::Json(raw))
                }
                (Some(data), _) => {
                    UserEventResponse::success(BASE64_STANDARD.decode(data).expect("base64"))
                }
            },
        };
        states.iter().fold(answer, |answer, step| {
            let (name, value) = state(step);
            answer.state(name, value)
        })
    }
}

/// The answer to `connect` that the client asks for.
pub(crate) fn connect(wish: Option<&str>) -> ConnectResponse {
    let steps: Vec<Step> = match wish {
        Some(text) => serde_json::from_str(text).expect("steps"),
        None => return ConnectResponse::accept(),
    };
    let (last, states) = steps.split_last().expect("a step");
    let answer = match verb(last).as_str() {
        "fail" => ConnectResponse::fail(status(last), detail(last)),
        "failWith" => fail_with(last),
        _ => accept(argument(last, 1).unwrap_or_default()),
    };
    let with_state = |answer: ConnectResponse, step| {
        let (name, value) = state(step);
        answer.state(name, value)
    };
    states.iter().fold(answer, with_state)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Success {
    groups: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    user_id: Option<String>,
    subprotocol: Option<String>,
    mqtt: Mqtt,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Mqtt {
    code: u8,
    reason: Option<String>,
    user_properties: Vec<MqttUserProperty>,
}

fn accept(success: Success) -> ConnectResponse {
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
    for MqttUserProperty { name, value } in success.mqtt.user_properties {
        answer = answer.mqtt_user_property(name, value);
    }
    answer
}

fn fail_with(step: &Step) -> ConnectResponse {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Failure {
        code: u16,
        detail: String,
        mqtt: Option<Mqtt>,
    }
    let failure: Failure = argument(step, 1).expect("a failure");
    match failure.mqtt {
        None => {
            let status = StatusCode::from_u16(failure.code).expect("a status");
            ConnectResponse::fail(status, failure.detail)
        }
        // Any number: the type for one version takes those of the other as well.
        Some(mqtt) => ConnectResponse::fail_with(
            MqttV311ConnectReturnCode(mqtt.code),
            mqtt.reason.as_deref(),
            mqtt.user_properties,
        ),
    }
}

fn verb(step: &Step) -> String {
    argument(step, 0).expect("a verb")
}

fn status(step: &Step) -> StatusCode {
    let code = argument(step, 1).expect("a status");
    StatusCode::from_u16(code).expect("a status")
}

fn detail(step: &Step) -> String {
    argument(step, 2).unwrap_or_default()
}

fn state(step: &Step) -> (String, &RawValue) {
    let name = argument(step, 1).expect("a name");
    (name, step.get(2).expect("a value"))
}

fn argument<T: DeserializeOwned>(step: &Step, index: usize) -> Option<T> {
    let raw = step.get(index)?;
    Some(serde_json::from_str(raw.get()).expect("the right kind of value"))
}
