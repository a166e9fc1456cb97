//! What a message carries: text, JSON, bytes or a protobuf `Any`.

use bytes::Bytes;
use bytestring::ByteString;
use prost::Message as _;

/// The kind of a payload, as frames name it in `dataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `text`: a string.
    Text,
    /// `json`: any JSON value.
    Json,
    /// `binary`: bytes, base64 in JSON frames.
    Binary,
    /// `protobuf`: a serialised `google.protobuf.Any`, base64 in JSON frames.
    Protobuf,
}

impl DataType {
    /// The name in frames.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::Protobuf => "protobuf",
        }
    }

    /// The data type with this name; frames compare it without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Text, Self::Json, Self::Binary, Self::Protobuf]
            .into_iter()
            .find(|data_type| data_type.as_str().eq_ignore_ascii_case(name))
    }
}

/// The payload of a message. Cloning it shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A string.
    Text(ByteString),
    /// The text of one well-formed JSON value, kept as it was written.
    Json(ByteString),
    /// Bytes.
    Binary(Bytes),
    /// A serialised `google.protobuf.Any`.
    Protobuf(Bytes),
}

impl Payload {
    /// A text payload.
    #[must_use]
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// A JSON payload from anything that serialises.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self::Json(text.into()))
    }

    /// A binary payload.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// A protobuf payload from a serialised `google.protobuf.Any`; `None` when the bytes are not
    /// one.
    #[must_use]
    pub fn protobuf(any: impl Into<Bytes>) -> Option<Self> {
        let any: Bytes = any.into();
        AnyMessage::decode(any.clone())
            .is_ok()
            .then_some(Self::Protobuf(any))
    }

    /// The kind of this payload.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Text,
            Self::Json(_) => DataType::Json,
            Self::Binary(_) => DataType::Binary,
            Self::Protobuf(_) => DataType::Protobuf,
        }
    }

    /// The raw bytes: the UTF-8 of text and JSON, the bytes of the others.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Protobuf(bytes) => bytes,
        }
    }
}

/// `google.protobuf.Any`, only to check that bytes are one.
#[derive(Clone, PartialEq, prost::Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_type_names_compare_without_case() {
        assert_eq!(DataType::from_name("JSON"), Some(DataType::Json));
        assert_eq!(DataType::from_name("protobuf"), Some(DataType::Protobuf));
        assert_eq!(DataType::from_name("xml"), None);
    }

    #[test]
    fn protobuf_payloads_are_checked() {
        let any = b"\x0a\x01t\x12\x02\x08\x01";
        assert_eq!(
            Payload::protobuf(&any[..]).map(|p| p.as_bytes().to_vec()),
            Some(any.to_vec())
        );
        assert_eq!(Payload::protobuf(&b"\xff"[..]), None);
    }
}
