//! What the handlers saw, in the words of the official package.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value, json};
use webpubsub_axum::{
    ConnectRequest, ConnectedRequest, ConnectionContext, DisconnectedRequest, Payload,
    UserEventRequest, WebPubSubClientProtocol,
};

/// By connection id, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<BTreeMap<String, Vec<Value>>>>);

impl Log {
    pub(crate) fn connect(&self, request: &ConnectRequest) {
        let mut entry = Map::from_iter([
            ("claims".to_owned(), value(request.claims())),
            ("query".to_owned(), value(request.queries())),
            ("headers".to_owned(), value(request.headers())),
            ("subprotocols".to_owned(), value(request.subprotocols())),
            (
                "clientCertificates".to_owned(),
                value(request.client_certificates()),
            ),
        ]);
        if let Some(mqtt) = request.mqtt() {
            entry.insert("mqtt".to_owned(), value(mqtt));
        }
        self.note(&request.context, entry);
    }

    pub(crate) fn connected(&self, request: &ConnectedRequest) {
        self.note(&request.context, Map::new());
    }

    pub(crate) fn disconnected(&self, request: &DisconnectedRequest) {
        let mut entry = Map::new();
        if let Some(reason) = &request.reason {
            entry.insert("reason".to_owned(), json!(reason));
        }
        if let Some(mqtt) = &request.mqtt {
            entry.insert("mqtt".to_owned(), value(mqtt));
        }
        self.note(&request.context, entry);
    }

    pub(crate) fn group(&self, context: &ConnectionContext, group: &str) {
        self.note(
            context,
            Map::from_iter([("group".to_owned(), json!(group))]),
        );
    }

    pub(crate) fn user_event(&self, request: &UserEventRequest) {
        let data = match &request.data {
            Payload::Text(text) => json!(text.to_string()),
            Payload::Json(text) => serde_json::from_str(text).expect("it was checked"),
            Payload::Binary(bytes) | Payload::Protobuf(bytes) => {
                json!(BASE64_STANDARD.encode(bytes))
            }
        };
        let data_type = json!(request.data_type.as_str());
        let entry = [
            ("data".to_owned(), data),
            ("dataType".to_owned(), data_type),
        ];
        self.note(&request.context, Map::from_iter(entry));
    }

    pub(crate) fn entries(&self) -> Value {
        json!(*self.0.lock())
    }

    fn note(&self, context: &ConnectionContext, mut entry: Map<String, Value>) {
        let mut shown = json!({
            "hub": context.hub(),
            "connectionId": context.connection_id(),
            "eventName": context.event_name(),
            "origin": context.origin(),
            "states": context.states(),
            "clientProtocol": match context.client_protocol() {
                WebPubSubClientProtocol::Mqtt => "mqtt",
                _ => "default",
            },
        });
        if let Some(user) = context.user_id() {
            shown["userId"] = json!(user);
        }
        if let Some(subprotocol) = context.subprotocol() {
            shown["subprotocol"] = json!(subprotocol);
        }
        if let Some(mqtt) = context.mqtt() {
            shown["mqtt"] = json!({ "physicalConnectionId": mqtt.physical_connection_id });
            if let Some(session) = &mqtt.session_id {
                shown["mqtt"]["sessionId"] = json!(session);
            }
        }
        entry.insert("context".to_owned(), shown);
        let mut log = self.0.lock();
        let entries = log.entry(context.connection_id().to_owned()).or_default();
        entries.push(Value::Object(entry));
    }
}

fn value(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).expect("texts and lists serialise")
}
