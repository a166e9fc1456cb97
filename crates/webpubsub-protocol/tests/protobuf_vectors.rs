//! `spec/vectors/protobuf.json` against the generated protobuf types: each vector decodes to the
//! message that it names, and encodes back to the same bytes or to its canonical form.
//!
//! The vectors that a codec must refuse are checked as far as the types reach: broken syntax does
//! not decode, and a frame without a known member has no message.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::{Map, Value, json};
use webpubsub_protocol::{
    bytes::Bytes,
    generated::webpubsub::{
        DownstreamMessage, GroupStateItem, MessageData, StreamInfo, UpstreamMessage,
        downstream_message as down, downstream_message::system_message,
        group_state_item::GroupState, message_data::Data, upstream_message as up,
    },
};

// req: S-12-1
#[test]
fn vectors_decode_to_the_message_they_name() {
    let vectors = vectors("vectors");
    assert!(
        vectors.len() >= 100,
        "only {} vectors were read",
        vectors.len()
    );
    for vector in &vectors {
        let name = text(vector, "name");
        let (message, encoded) = match text(vector, "direction") {
            "up" => reencode(name, vector, up_frame),
            "down" => reencode(name, vector, down_frame),
            other => panic!("{name}: unknown direction `{other}`"),
        };
        assert_eq!(message, vector["message"], "{name}");
        let canonical = vector.get("canonical").unwrap_or(&vector["hex"]);
        assert_eq!(&json!(encoded), canonical, "{name}: canonical form");
    }
}

#[test]
fn refused_vectors_are_refused_as_far_as_the_types_reach() {
    let vectors = vectors("refuse");
    assert!(
        vectors.len() >= 20,
        "only {} vectors were read",
        vectors.len()
    );
    for vector in &vectors {
        let name = text(vector, "name");
        let decoded = UpstreamMessage::decode(bytes(vector));
        match text(vector, "because") {
            "syntax" => assert!(decoded.is_err(), "{name}: {decoded:?}"),
            "no member" => assert_eq!(decoded.map(|frame| frame.message), Ok(None), "{name}"),
            // The frame codec refuses these by their contents.
            "name" | "payload" | "ttl" | "metadata" | "stream" => {
                assert!(decoded.is_ok_and(|frame| frame.message.is_some()), "{name}");
            }
            other => panic!("{name}: unknown reason `{other}`"),
        }
    }
}

#[test]
fn unknown_members_are_skipped() {
    let known = UpstreamMessage {
        message: Some(up::Message::PingMessage(up::PingMessage {})),
    };
    let mut frame = known.encode_to_vec();
    frame.extend_from_slice(&[0xe2, 0x05, 0x01, 0x00]);
    assert_eq!(UpstreamMessage::decode(frame.as_slice()), Ok(known));
}

fn vectors(list: &str) -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("vectors/protobuf.json")).expect("the vectors are JSON");
    file[list].as_array().expect("a list of vectors").clone()
}

fn reencode<M: Message + Default>(
    name: &str,
    vector: &Value,
    describe: fn(&M) -> Value,
) -> (Value, String) {
    let message = M::decode(bytes(vector)).unwrap_or_else(|error| panic!("{name}: {error}"));
    (describe(&message), hex(&message.encode_to_vec()))
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{member}` in {vector}"))
}

fn bytes(vector: &Value) -> Bytes {
    let digits = text(vector, "hex");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object of members that are always present, to which `with` adds those that are set.
struct Object(Map<String, Value>);

impl Object {
    fn new(always: Value) -> Self {
        match always {
            Value::Object(members) => Self(members),
            other => panic!("not an object: {other}"),
        }
    }

    fn with<T>(mut self, name: &str, value: Option<T>, describe: impl FnOnce(T) -> Value) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), describe(value));
        }
        self
    }

    fn metadata(self, metadata: &BTreeMap<String, String>) -> Self {
        self.with(
            "metadata",
            Some(metadata).filter(|metadata| !metadata.is_empty()),
            |metadata| json!(metadata),
        )
    }

    fn named(self, name: &str) -> Value {
        json!({ name: self.0 })
    }
}

/// 64-bit integers are written as text, which every JSON reader takes without loss.
fn long(value: impl ToString) -> Value {
    json!(value.to_string())
}

fn up_frame(frame: &UpstreamMessage) -> Value {
    use up::Message as M;
    match frame.message.as_ref().expect("a vector has a message") {
        M::SendToGroupMessage(m) => Object::new(json!({ "group": m.group }))
            .with("ack_id", m.ack_id, long)
            .with("data", m.data.as_ref(), payload)
            .with("no_echo", m.no_echo, Value::from)
            .with("ttl_seconds", m.ttl_seconds, Value::from)
            .metadata(&m.metadata)
            .with("stream", m.stream.as_ref(), stream_start)
            .named("send_to_group_message"),
        M::EventMessage(m) => Object::new(json!({ "event": m.event }))
            .with("data", m.data.as_ref(), payload)
            .with("ack_id", m.ack_id, long)
            .metadata(&m.metadata)
            .with("stream", m.stream.as_ref(), stream_start)
            .named("event_message"),
        M::JoinGroupMessage(m) => group(&m.group, m.ack_id).named("join_group_message"),
        M::LeaveGroupMessage(m) => group(&m.group, m.ack_id).named("leave_group_message"),
        M::SequenceAckMessage(m) => {
            json!({ "sequence_ack_message": { "sequence_id": long(m.sequence_id) } })
        }
        M::PingMessage(up::PingMessage {}) => json!({ "ping_message": {} }),
        M::InvokeEventMessage(m) => {
            Object::new(json!({ "event": m.event, "invocation_id": m.invocation_id }))
                .with("data", m.data.as_ref(), payload)
                .metadata(&m.metadata)
                .with("stream", m.stream.as_ref(), stream_start)
                .named("invoke_event_message")
        }
        M::CancelInvocationMessage(m) => {
            json!({ "cancel_invocation_message": { "invocation_id": m.invocation_id } })
        }
        M::StreamDataMessage(m) => Object::new(json!({ "stream_id": m.stream_id }))
            .with("stream_sequence_id", m.stream_sequence_id, long)
            .with("data", m.data.as_ref(), payload)
            .named("stream_data_message"),
        M::StreamEndMessage(m) => Object::new(json!({ "stream_id": m.stream_id }))
            .with("error", m.error.as_ref(), |error| {
                let error = Object::new(json!({}))
                    .with("message", error.message.as_deref(), Value::from)
                    .with(
                        "user_error_code",
                        error.user_error_code.as_deref(),
                        Value::from,
                    );
                Value::Object(error.0)
            })
            .named("stream_end_message"),
        M::SetGroupStateMessage(m) => group(&m.group, m.ack_id)
            .with("state", m.state.as_ref(), group_state)
            .named("set_group_state_message"),
        M::SubscribeGroupStateMessage(m) => {
            group(&m.group, m.ack_id).named("subscribe_group_state_message")
        }
        M::UnsubscribeGroupStateMessage(m) => {
            group(&m.group, m.ack_id).named("unsubscribe_group_state_message")
        }
    }
}

fn group(group: &str, ack_id: Option<u64>) -> Object {
    Object::new(json!({ "group": group })).with("ack_id", ack_id, long)
}

fn down_frame(frame: &DownstreamMessage) -> Value {
    use down::Message as M;
    match frame.message.as_ref().expect("a vector has a message") {
        M::AckMessage(m) => Object::new(json!({ "ack_id": long(m.ack_id), "success": m.success }))
            .with(
                "error",
                m.error.as_ref(),
                |e| json!({ "name": e.name, "message": e.message }),
            )
            .named("ack_message"),
        M::DataMessage(m) => Object::new(json!({ "from": m.from }))
            .with("group", m.group.as_deref(), Value::from)
            .with("data", m.data.as_ref(), payload)
            .with("sequence_id", m.sequence_id, long)
            .metadata(&m.metadata)
            .with("stream", m.stream.as_ref(), stream)
            .named("data_message"),
        M::SystemMessage(m) => json!({ "system_message": system(m) }),
        M::PongMessage(down::PongMessage {}) => json!({ "pong_message": {} }),
        M::InvokeResponseMessage(m) => {
            Object::new(json!({ "invocation_id": m.invocation_id, "success": m.success }))
                .with("data", m.data.as_ref(), payload)
                .with(
                    "error",
                    m.error.as_ref(),
                    |e| json!({ "name": e.name, "message": e.message }),
                )
                .metadata(&m.metadata)
                .named("invoke_response_message")
        }
        M::StreamAckMessage(m) => json!({ "stream_ack_message": {
            "stream_id": m.stream_id, "expected_sequence_id": long(m.expected_sequence_id),
        } }),
        M::StreamNackMessage(m) => json!({ "stream_nack_message": {
            "stream_id": m.stream_id, "name": m.name, "message": m.message,
            "expected_sequence_id": long(m.expected_sequence_id),
        } }),
        M::StreamClosedMessage(m) => Object::new(json!({ "stream_id": m.stream_id }))
            .with(
                "error",
                m.error.as_ref(),
                |e| json!({ "name": e.name, "message": e.message }),
            )
            .named("stream_closed_message"),
        M::GroupStateUpdateMessage(m) => {
            group_states(&m.group, &m.items, m.sequence_id).named("group_state_update_message")
        }
        M::GroupStateSnapshotMessage(m) => {
            group_states(&m.group, &m.items, m.sequence_id).named("group_state_snapshot_message")
        }
    }
}

fn system(message: &down::SystemMessage) -> Value {
    match message
        .message
        .as_ref()
        .expect("a vector has a system message")
    {
        system_message::Message::ConnectedMessage(m) => {
            Object::new(json!({ "connection_id": m.connection_id, "user_id": m.user_id }))
                .with(
                    "reconnection_token",
                    m.reconnection_token.as_deref(),
                    Value::from,
                )
                .named("connected_message")
        }
        system_message::Message::DisconnectedMessage(m) => {
            json!({ "disconnected_message": { "reason": m.reason } })
        }
    }
}

fn payload(data: &MessageData) -> Value {
    match &data.data {
        None => json!({}),
        Some(Data::TextData(text)) => json!({ "text_data": text }),
        Some(Data::BinaryData(bytes)) => json!({ "binary_data": hex(bytes) }),
        Some(Data::ProtobufData(any)) => json!({ "protobuf_data": hex(any) }),
        Some(Data::JsonData(json)) => json!({ "json_data": json }),
    }
}

fn stream_start(start: &up::StreamStartInfo) -> Value {
    let object = Object::new(json!({ "stream_id": start.stream_id }));
    Value::Object(
        object
            .with("idle_timeout_ms", start.idle_timeout_ms, Value::from)
            .0,
    )
}

fn stream(stream: &StreamInfo) -> Value {
    let object = Object::new(json!({
        "stream_id": stream.stream_id, "stream_sequence_id": long(stream.stream_sequence_id),
    }));
    let object = object
        .with("end_of_stream", stream.end_of_stream, Value::from)
        .with("error", stream.error.as_ref(), |error| {
            json!({
                "name": error.name, "message": error.message,
                "user_error_code": error.user_error_code,
            })
        });
    Value::Object(object.0)
}

fn group_states(group: &str, items: &[GroupStateItem], sequence_id: Option<u64>) -> Object {
    let items: Vec<_> = items.iter().map(group_state_item).collect();
    Object::new(json!({ "group": group }))
        .with(
            "items",
            Some(items).filter(|items| !items.is_empty()),
            Value::from,
        )
        .with("sequence_id", sequence_id, long)
}

fn group_state_item(item: &GroupStateItem) -> Value {
    let object = Object::new(json!({
        "connection_id": item.connection_id, "updated_at": long(item.updated_at),
    }));
    let object = object.with("user_id", item.user_id.as_deref(), Value::from);
    Value::Object(object.with("state", item.state.as_ref(), group_state).0)
}

fn group_state(state: &GroupState) -> Value {
    json!({ "entries": state.entries })
}
