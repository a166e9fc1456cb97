//! What is told to scripts.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use webpubsub_client::{
    Acknowledged, Event, Fragment, FrameError, GroupStreamError, Payload, SendError, SequenceId,
    StateChange, StreamInfo,
};

/// The client's own name for the failure of a stream whose connection is over.
const LOST: &str = "ConnectionLost";

/// Tells what happens to one client.
#[derive(Clone)]
pub(crate) struct Reporter {
    client: String,
}

impl Reporter {
    pub(crate) const fn new(client: String) -> Self {
        Self { client }
    }

    pub(crate) fn result(&self, id: &str, outcome: &Value) {
        self.print("result", &json!({ "id": id, "outcome": outcome }));
    }

    pub(crate) fn synced(&self, number: u64) {
        self.print("synced", &json!(number));
    }

    /// Tells an event of the application; not those in which a connection is still being made.
    pub(crate) fn event(&self, event: &Event) {
        let told = match event {
            Event::Connected {
                connection_id,
                user_id,
            } => {
                json!({ "kind": "connected", "connectionId": &**connection_id, "userId": user_id.as_deref() })
            }
            Event::Disconnected {
                connection_id,
                message,
                ..
            } => {
                json!({ "kind": "disconnected", "connectionId": &**connection_id, "message": message })
            }
            Event::Stopped { .. } => json!({ "kind": "stopped" }),
            Event::GroupMessage(message) => {
                let mut told = message_of(
                    &message.payload,
                    message.sequence_id,
                    message.stream.as_deref(),
                );
                told.insert("kind".into(), "group-message".into());
                told.insert("group".into(), message.group.as_str().into());
                told.insert("fromUserId".into(), message.from_user_id.as_deref().into());
                told.into()
            }
            Event::ServerMessage(message) => {
                let mut told = message_of(&message.payload, message.sequence_id, None);
                told.insert("kind".into(), "server-message".into());
                told.into()
            }
            Event::RejoinGroupFailed { group, error } => json!({
                "kind": "rejoin-group-failed",
                "group": group.as_str(),
                "name": &*error.name,
                "message": error.message.as_deref(),
            }),
            Event::GroupStateChanged { group, changes } => json!({
                "kind": "group-state",
                "group": group.as_str(),
                "changes": changes.iter().map(state_change).collect::<Value>(),
            }),
            _ => return,
        };
        self.print("event", &told);
    }

    pub(crate) fn stream_failed(&self, stream_id: &str, error: &FrameError) {
        let (kind, message) = ("stream-failed", error.message.as_deref());
        self.print(
            "event",
            &match &*error.name {
                LOST => json!({ "kind": kind, "streamId": stream_id, "lost": true }),
                name => {
                    json!({ "kind": kind, "streamId": stream_id, "name": name, "message": message })
                }
            },
        );
    }

    pub(crate) fn stream_opened(&self, name: &str) {
        self.stream(name, json!({ "opened": true }));
    }

    pub(crate) fn stream_ended(&self, name: &str) {
        self.stream(name, json!({ "ended": true }));
    }

    pub(crate) fn fragment(&self, name: &str, fragment: &Result<Fragment, GroupStreamError>) {
        let told = match fragment {
            Ok(fragment) => {
                let mut told = data(&fragment.payload);
                told.insert("number".into(), fragment.number.into());
                told.insert("fromUserId".into(), fragment.from_user_id.as_deref().into());
                told.into()
            }
            Err(GroupStreamError::Failed(error)) => json!({
                "failed": &*error.name,
                "message": error.message.as_deref(),
                "userErrorCode": error.user_error_code.as_deref(),
            }),
            Err(GroupStreamError::IdleTimeout) => json!({ "failed": "IdleTimeout" }),
            Err(GroupStreamError::Gap { missing }) => json!({ "missing": missing }),
            Err(_) => json!({ "failed": "stopped" }),
        };
        self.stream(name, told);
    }

    fn stream(&self, name: &str, what: Value) {
        self.print("stream", &json!({ "name": name, "what": what }));
    }

    fn print(&self, what: &str, told: &impl Serialize) {
        println!("{}", json!({ "client": self.client, what: told }));
    }
}

fn state_change(change: &StateChange) -> Value {
    match change {
        StateChange::Set(member) => json!({
            "connectionId": &*member.connection_id,
            "userId": member.user_id.as_deref(),
            "state": member.state.iter().cloned().collect::<BTreeMap<_, _>>(),
        }),
        StateChange::Cleared { connection_id } => json!({ "connectionId": &**connection_id }),
    }
}

/// What became of a request that is acknowledged.
pub(crate) fn acknowledged(result: Result<Acknowledged, SendError>) -> Value {
    match result {
        Ok(Acknowledged::Duplicate { ack_id }) => {
            json!({ "outcome": "duplicate", "ackId": ack_id.0 })
        }
        Ok(Acknowledged::Accepted { ack_id }) => {
            json!({ "outcome": "accepted", "ackId": ack_id.map(|id| id.0) })
        }
        Ok(_) => json!({ "outcome": "accepted" }),
        Err(error) => failure(&error),
    }
}

/// Why a request failed.
pub(crate) fn failure(error: &SendError) -> Value {
    match error {
        SendError::Rejected { error, .. } if error.name == LOST => json!({ "outcome": "lost" }),
        SendError::Rejected { error, ack_id } => json!({
            "outcome": "rejected",
            "name": (!error.name.is_empty()).then_some(&*error.name),
            "message": error.message.as_deref(),
            "ackId": ack_id.map(|id| id.0),
        }),
        SendError::Lost(_) => json!({ "outcome": "lost" }),
        _ => json!({ "outcome": "failed" }),
    }
}

/// Data type and data of a payload, bytes as base64.
pub(crate) fn data(payload: &Payload) -> Map<String, Value> {
    let value = match payload {
        Payload::Text(text) => json!(&**text),
        Payload::Json(text) => {
            let document: &RawValue =
                serde_json::from_str(text).expect("a JSON payload is one JSON value");
            // Kept as text, since numbers and members must not change on their way.
            json!({ "document": document.get() })
        }
        Payload::Binary(bytes) | Payload::Protobuf(bytes) => json!(BASE64_STANDARD.encode(bytes)),
    };
    let mut told = Map::new();
    told.insert("dataType".into(), payload.data_type().as_str().into());
    told.insert("data".into(), value);
    told
}

fn message_of(
    payload: &Payload,
    sequence_id: Option<SequenceId>,
    stream: Option<&StreamInfo>,
) -> Map<String, Value> {
    let mut told = data(payload);
    told.insert("sequenceId".into(), sequence_id.map(|id| id.0).into());
    if let Some(stream) = stream {
        let error = stream.error.as_ref().map(|error| {
            json!({
                "name": &*error.name,
                "message": error.message.as_deref(),
                "userErrorCode": error.user_error_code.as_deref(),
            })
        });
        let place = json!({
            "streamId": &*stream.stream_id,
            "streamSequenceId": stream.stream_sequence_id,
            "endOfStream": stream.end_of_stream.then_some(true),
            "error": error,
        });
        told.insert("stream".into(), place);
    }
    told
}
