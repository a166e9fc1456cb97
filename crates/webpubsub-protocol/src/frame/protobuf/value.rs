//! What frames of both directions hold: names, maps and payloads.

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde::de::IgnoredAny;

use crate::frame::DecodeError;
use crate::frame::json::depth_is_within;
use crate::generated::webpubsub::MessageData;
use crate::generated::webpubsub::group_state_item::GroupState;
use crate::generated::webpubsub::message_data::Data;
use crate::limits;
use crate::metadata::Metadata;
use crate::name::{EventName, GroupName};
use crate::payload::Payload;

/// A JSON frame is itself one level around its payload.
const PAYLOAD_DEPTH: usize = limits::JSON_PAYLOAD_DEPTH;

pub(super) fn group(name: String) -> Result<GroupName, DecodeError> {
    GroupName::new(name).map_err(|_| DecodeError::Invalid("group"))
}

pub(super) fn event(name: String) -> Result<EventName, DecodeError> {
    EventName::new(name).map_err(|_| DecodeError::Invalid("event"))
}

/// A member without presence: its default stands for absent.
pub(super) fn non_empty(text: String) -> Option<ByteString> {
    (!text.is_empty()).then(|| text.into())
}

pub(super) fn metadata(entries: BTreeMap<String, String>) -> Result<Metadata, DecodeError> {
    Metadata::new(entries).map_err(|_| DecodeError::Invalid("metadata"))
}

pub(super) fn metadata_entries(metadata: &Metadata) -> BTreeMap<String, String> {
    metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

pub(super) fn state(state: GroupState) -> Vec<(String, String)> {
    state.entries.into_iter().collect()
}

pub(super) fn state_entries(state: &[(String, String)]) -> GroupState {
    GroupState {
        entries: state.iter().cloned().collect(),
    }
}

/// The payload, if there is one; a `MessageData` without a known member holds none.
pub(super) fn payload(data: Option<MessageData>) -> Result<Option<Payload>, DecodeError> {
    data.and_then(|data| data.data)
        .map(known_payload)
        .transpose()
}

/// The same of a frame of the service, which does not check protobuf either.
pub(super) fn received_payload(data: Option<MessageData>) -> Result<Option<Payload>, DecodeError> {
    match data.and_then(|data| data.data) {
        Some(Data::ProtobufData(bytes)) => Ok(Some(Payload::Protobuf(bytes))),
        data => data.map(known_payload).transpose(),
    }
}

fn known_payload(data: Data) -> Result<Payload, DecodeError> {
    match data {
        Data::TextData(text) => Ok(Payload::text(text)),
        Data::BinaryData(bytes) => Ok(Payload::Binary(bytes)),
        Data::ProtobufData(any) => {
            Payload::protobuf(any).ok_or(DecodeError::Invalid("protobuf_data"))
        }
        Data::JsonData(text) => json_payload(text),
    }
}

fn json_payload(text: String) -> Result<Payload, DecodeError> {
    if !depth_is_within(text.as_bytes(), PAYLOAD_DEPTH) {
        return Err(DecodeError::TooDeep);
    }
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => Ok(Payload::Json(text.into())),
        Err(_) => Err(DecodeError::Invalid("json_data")),
    }
}

pub(super) fn data(payload: &Payload) -> MessageData {
    let data = match payload {
        Payload::Text(text) => Data::TextData(text.to_string()),
        Payload::Json(text) => Data::JsonData(text.to_string()),
        Payload::Binary(bytes) => Data::BinaryData(bytes.clone()),
        Payload::Protobuf(any) => Data::ProtobufData(any.clone()),
    };
    MessageData { data: Some(data) }
}
