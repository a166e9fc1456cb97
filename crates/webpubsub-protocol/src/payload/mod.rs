//! Payloads of messages: text, JSON, bytes or a protobuf message.
//!
//! The crates of this project share these types. Each re-exports the module as `payload`, so that the wrappers can be used
//! next to `axum::Json` and the like without shadowing them:
//!
//! | you have | you pass | receivers see |
//! |---|---|---|
//! | a string | the string itself, or [`Text`] | `text` |
//! | anything that serialises | [`Json`], or a [`serde_json::Value`] itself | `json` |
//! | bytes | the bytes themselves, or [`Binary`] | `binary` |
//! | a message that `prost` generated | [`Protobuf`] | `protobuf` |
//!
//! Functions that send accept anything that implements [`IntoPayload`]. What arrives is a [`Payload`], which
//! [`Payload::read`] converts into any type that implements [`FromPayload`], including the wrappers.
//!
//! ```
//! use webpubsub_protocol::payload::{DataType, IntoPayload as _, Json};
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Order {
//!     item: u32,
//! }
//!
//! let payload = Json(Order { item: 7 }).into_payload()?;
//! assert_eq!(payload.data_type(), DataType::Json);
//! assert_eq!(payload.as_bytes(), br#"{"item":7}"#);
//! assert_eq!(payload.read::<Order>()?.item, 7);
//! assert_eq!("plain text".into_payload()?.data_type(), DataType::Text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any;
mod read;
mod send;
mod wrapper;

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

pub use read::{FromPayload, PayloadMismatch};
pub use send::{IntoPayload, PayloadError};
pub use wrapper::{Binary, Json, Protobuf, Text};

/// The data type of a payload, as named in the member `dataType` of frames.
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

    /// The data type with this name, which is compared without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Text, Self::Json, Self::Binary, Self::Protobuf]
            .into_iter()
            .find(|data_type| data_type.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The payload of a message. Cloning it is cheap. `Debug` shows its length, but not its content.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// A string.
    Text(ByteString),
    /// The text of one well-formed JSON value, exactly as it was written.
    Json(ByteString),
    /// Bytes.
    Binary(Bytes),
    /// A serialised `google.protobuf.Any`.
    Protobuf(Bytes),
}

impl Payload {
    /// Creates a text payload.
    #[must_use]
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// Creates a JSON payload from anything that serialises.
    ///
    /// # Errors
    ///
    /// If `value` cannot be serialised as JSON.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        let text = serde_json::to_string(value).map_err(PayloadError::json)?;
        Ok(Self::Json(text.into()))
    }

    /// Creates a binary payload.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Creates a protobuf payload from a serialised `google.protobuf.Any`; `None` if the bytes are not one. To pack a message
    /// into an `Any`, use [`Protobuf`].
    #[must_use]
    pub fn protobuf(any: impl Into<Bytes>) -> Option<Self> {
        let any = any.into();
        any::is_any(&any).then_some(Self::Protobuf(any))
    }

    /// The data type of this payload.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Text,
            Self::Json(_) => DataType::Json,
            Self::Binary(_) => DataType::Binary,
            Self::Protobuf(_) => DataType::Protobuf,
        }
    }

    /// The raw bytes. For text and JSON, these are UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Json(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Protobuf(bytes) => bytes,
        }
    }

    /// Converts the payload into its raw bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) | Self::Json(text) => text.into_bytes(),
            Self::Binary(bytes) | Self::Protobuf(bytes) => bytes,
        }
    }

    /// Converts the payload into a `T`. [`FromPayload`] lists the possible types.
    ///
    /// # Errors
    ///
    /// If a `T` cannot be read from a payload of this data type, or the content does not match.
    pub fn read<T: FromPayload>(&self) -> Result<T, PayloadMismatch> {
        T::from_payload(self)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.data_type(), self.as_bytes().len())
    }
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
        let payload = Payload::protobuf(&any[..]).expect("an Any");
        assert_eq!(payload.as_bytes(), any);
        assert_eq!(payload.into_bytes(), any[..]);
        assert_eq!(Payload::protobuf(&b"\xff"[..]), None);
    }

    #[test]
    fn debug_shows_the_size_only() {
        let shown = |payload: Payload| format!("{payload:?}");
        assert_eq!(shown(Payload::text("secret")), "Text(6 bytes)");
        assert_eq!(shown(Payload::Json("\"secret\"".into())), "Json(8 bytes)");
        assert_eq!(shown(Payload::binary("secret")), "Binary(6 bytes)");
    }
}
