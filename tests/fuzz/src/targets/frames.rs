//! Frames: what is decoded survives each form, within the limits of the service.

use bytes::Bytes;
use webpubsub_protocol::frame::{
    ClientFrame, DecodeError, Message, SequenceId, ServerFrame, json, protobuf,
};
use webpubsub_protocol::limits::{
    GROUP_NAME_UNITS, JSON_PAYLOAD_DEPTH, MESSAGE_TTL_SECONDS, METADATA_TOTAL_BYTES,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

use crate::check;

/// Bytes of memory for each byte of a frame. The most is taken by maps with empty keys and values.
const FACTOR: usize = 100;

/// An error of a decoder has no payload: all that it can hold is the name of a member.
const ERROR_BYTES: usize = 120;

pub(super) fn json_client(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    let decoded = check::frugal(input.len(), FACTOR, || json::decode_client(frame));
    let Some(frame) = client(decoded) else {
        return;
    };
    let text = json::encode_client(&frame);
    assert_eq!(json::decode_client(text), Ok(frame.clone()));
    // Protobuf cannot say all of it; what it can say, it says for good.
    let bytes = protobuf::encode_client(&frame);
    if let Ok(again) = protobuf::decode_client(bytes.clone()) {
        assert_eq!(protobuf::encode_client(&again), bytes);
    }
}

pub(super) fn protobuf_client(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    let decoded = check::frugal(input.len(), FACTOR, || protobuf::decode_client(frame));
    let Some(frame) = client(decoded) else {
        return;
    };
    let bytes = protobuf::encode_client(&frame);
    assert_eq!(protobuf::decode_client(bytes), Ok(frame.clone()));
    let text = json::encode_client(&frame);
    assert_eq!(json::decode_client(text), Ok(frame));
}

pub(super) fn json_server(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    let decoded = check::frugal(input.len(), FACTOR, || json::decode_server(frame));
    let Some(frame) = server(decoded) else {
        return;
    };
    let text = json::encode_server(&frame);
    assert_eq!(json::decode_server(text), Ok(frame.clone()));
    if let Ok(again) = protobuf::decode_server(protobuf::encode_server(&frame)) {
        let bytes = protobuf::encode_server(&again);
        assert_eq!(protobuf::decode_server(bytes), Ok(again));
    }
    if let ServerFrame::Message(message) = frame {
        let id = SequenceId(message.sequence_id.map_or(7, |id| id.0));
        let body = json::encode_message(&message);
        let whole = ServerFrame::Message(numbered(message, id));
        assert_eq!(json::number_message(&body, id), json::encode_server(&whole));
    }
}

pub(super) fn protobuf_server(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    let decoded = check::frugal(input.len(), FACTOR, || protobuf::decode_server(frame));
    let Some(frame) = server(decoded) else {
        return;
    };
    let bytes = protobuf::encode_server(&frame);
    assert_eq!(protobuf::decode_server(bytes), Ok(frame.clone()));
    let text = json::encode_server(&frame);
    json::decode_server(text).expect("JSON can say what protobuf can");
    if let ServerFrame::Message(message) = frame {
        let id = SequenceId(message.sequence_id.map_or(7, |id| id.0));
        let body = protobuf::encode_message(&message);
        let whole = ServerFrame::Message(numbered(message, id));
        let numbered = protobuf::number_message(&body, id);
        assert_eq!(numbered, protobuf::encode_server(&whole));
    }
}

fn numbered(message: Message, id: SequenceId) -> Message {
    Message {
        sequence_id: Some(id),
        ..message
    }
}

/// A frame that can be written again: all of it could be read, and its limits hold.
fn client(decoded: Result<ClientFrame, DecodeError>) -> Option<ClientFrame> {
    let frame = decoded
        .inspect_err(|error| check::error(error, ERROR_BYTES))
        .ok()?;
    // The Debug form is for logs.
    let _ = format!("{frame:?}");
    let part = match &frame {
        ClientFrame::OpenStream {
            start: Err(error), ..
        }
        | ClientFrame::StreamData {
            fragment: Err(error),
            ..
        }
        | ClientFrame::Invoke {
            call: Err(error), ..
        } => Some(error),
        _ => None,
    };
    if let Some(error) = part {
        check::error(error, ERROR_BYTES);
        // There is nothing to write in its place, but whoever writes it must not panic.
        let _ = (json::encode_client(&frame), protobuf::encode_client(&frame));
        return None;
    }
    match &frame {
        ClientFrame::SendToGroup {
            group: name,
            ttl_seconds,
            metadata: entries,
            payload: data,
            ..
        } => {
            group(name);
            metadata(entries);
            payload(data);
            assert!(*ttl_seconds <= MESSAGE_TTL_SECONDS);
        }
        ClientFrame::Event {
            metadata: entries,
            payload: data,
            ..
        } => {
            metadata(entries);
            payload(data);
        }
        ClientFrame::StreamData {
            fragment: Ok(Some((_, data))),
            ..
        } => payload(data),
        ClientFrame::Invoke { call: Ok(call), .. } => {
            metadata(&call.metadata);
            call.payload.iter().for_each(payload);
        }
        ClientFrame::JoinGroup { group: name, .. }
        | ClientFrame::LeaveGroup { group: name, .. }
        | ClientFrame::SetGroupState { group: name, .. } => group(name),
        _ => {}
    }
    Some(frame)
}

fn server(decoded: Result<ServerFrame, DecodeError>) -> Option<ServerFrame> {
    let frame = decoded
        .inspect_err(|error| check::error(error, ERROR_BYTES))
        .ok()?;
    let _ = format!("{frame:?}");
    if let ServerFrame::Message(message) = &frame {
        metadata(&message.metadata);
        payload(&message.payload);
    }
    Some(frame)
}

fn group(name: &GroupName) {
    let units = name.as_str().encode_utf16().count();
    assert!((1..=GROUP_NAME_UNITS).contains(&units));
}

fn metadata(entries: &Metadata) {
    let bytes: usize = entries
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert!(bytes <= METADATA_TOTAL_BYTES);
}

fn payload(payload: &Payload) {
    if let Payload::Json(text) = payload {
        assert!(json::depth_is_within(text.as_bytes(), JSON_PAYLOAD_DEPTH));
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("a JSON payload is JSON");
    }
}
