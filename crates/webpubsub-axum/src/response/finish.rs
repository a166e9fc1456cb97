//! Completes the response of a handler with what only its caller knows: the state so far, and the kind of client.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use webpubsub_protocol::cloud_event::{
    MqttConnectFailure, data_type, header as names, mqtt::MqttConnectCode,
};

use super::{JSON, json, state::StateChanges};
use crate::{
    event::{Event, EventData},
    rejection::Rejection,
};

/// The maximum length of the reason for an MQTT client, in bytes.
const LONGEST_REASON: usize = 16 * 1024;

/// Turns the response of a handler into the one that the official library would send.
pub(crate) async fn finish(event: &Event, mut response: Response) -> Response {
    if !response.status().is_success() {
        return match &event.data {
            EventData::Connect(data) => match &data.mqtt {
                Some(mqtt) if event.context.mqtt().is_some() => {
                    refuse_mqtt(mqtt.protocol_version, response).await
                }
                _ => response,
            },
            _ => response,
        };
    }
    if let Some(StateChanges(changes)) = response.extensions_mut().remove() {
        let mut state = event.context.states().clone();
        state.merge(changes);
        let value = HeaderValue::try_from(state.to_header());
        let value = value.expect("base64 is visible ASCII");
        response
            .headers_mut()
            .insert(names::CE_CONNECTION_STATE, value);
    }
    match &event.data {
        EventData::Connect(_) => content_type_of_connect(&mut response),
        _ => content_type_of_user_event(&mut response),
    }
    response
}

fn content_type_of_connect(response: &mut Response) {
    let is_empty = response.body().size_hint().exact() == Some(0);
    if is_empty {
        response.headers_mut().remove(header::CONTENT_TYPE);
        if response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
    } else {
        complete_json(response);
    }
}

fn content_type_of_user_event(response: &mut Response) {
    complete_json(response);
    match response.headers().get(header::CONTENT_TYPE) {
        None => {
            let binary = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, binary);
        }
        Some(value) if value.to_str().ok().and_then(data_type).is_none() => {
            tracing::warn!(
                "the service does not accept a response with the content type {value:?}: the event will fail"
            );
        }
        Some(_) => {}
    }
}

fn complete_json(response: &mut Response) {
    let content_type = response.headers_mut().get_mut(header::CONTENT_TYPE);
    if let Some(value) = content_type.filter(|value| *value == "application/json") {
        *value = JSON;
    }
}

/// Turns a failure into one that an MQTT client understands, unless it already is.
async fn refuse_mqtt(protocol_version: u8, response: Response) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| *value == JSON) {
        return response;
    }
    let (parts, body) = response.into_parts();
    // If this crate rejected the response, the reason is for the log of the server, not for the client.
    let reason = match parts.extensions.get::<Rejection>() {
        Some(_) => None,
        None => text(body).await,
    };
    let mqtt = MqttConnectFailure {
        code: MqttConnectCode::from_http_status(parts.status.as_u16(), protocol_version),
        reason: reason.filter(|reason| !reason.is_empty()),
        user_properties: None,
    };
    let refusal = std::collections::BTreeMap::from([("mqtt", mqtt)]);
    let (head, body) = json(parts.status, &refusal).into_parts();
    let mut response = Response::from_parts(parts, body);
    response.headers_mut().extend(head.headers);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

async fn text(body: Body) -> Option<String> {
    let body = Limited::new(body, LONGEST_REASON).collect().await.ok()?;
    String::from_utf8(body.to_bytes().into()).ok()
}
