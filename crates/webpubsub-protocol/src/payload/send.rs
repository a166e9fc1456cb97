//! The types that can be sent as a payload.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::{Binary, Json, Payload, Protobuf, Text, any};

/// A type that can be sent as the payload of a message.
///
/// | type | data type |
/// |---|---|
/// | `&str`, `String`, `Cow<str>`, [`ByteString`], [`Text`] | `text` |
/// | [`serde_json::Value`], [`Json`] | `json` |
/// | `&[u8]`, `[u8; N]`, `Vec<u8>`, [`Bytes`], [`Binary`] | `binary` |
/// | [`Protobuf`] | `protobuf` |
/// | [`Payload`] | its own |
pub trait IntoPayload {
    /// Converts the value into a payload.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised as JSON.
    fn into_payload(self) -> Result<Payload, PayloadError>;
}

/// A value cannot be sent, because it cannot be serialised as JSON.
#[derive(Debug, thiserror::Error)]
#[error("the payload cannot be written as JSON")]
pub struct PayloadError(#[source] serde_json::Error);

impl PayloadError {
    pub(super) const fn json(error: serde_json::Error) -> Self {
        Self(error)
    }
}

/// Types whose conversion cannot fail.
macro_rules! into_payload {
    ($([$($generics:tt)*] $type:ty: |$value:ident| $payload:expr;)*) => {$(
        impl<$($generics)*> IntoPayload for $type {
            fn into_payload(self) -> Result<Payload, PayloadError> {
                let $value = self;
                Ok($payload)
            }
        }
    )*};
}

into_payload! {
    [] Payload: |payload| payload;

    [] &str: |text| Payload::text(text);
    [] String: |text| Payload::text(text);
    [] &String: |text| Payload::text(text.as_str());
    [] Cow<'_, str>: |text| Payload::text(text.into_owned());
    [] ByteString: |text| Payload::Text(text);
    [T: Into<ByteString>] Text<T>: |text| Payload::text(text.0);

    [] &[u8]: |bytes| Payload::Binary(Bytes::copy_from_slice(bytes));
    [const N: usize] [u8; N]: |bytes| Payload::Binary(Bytes::copy_from_slice(&bytes));
    [const N: usize] &[u8; N]: |bytes| Payload::Binary(Bytes::copy_from_slice(bytes));
    [] Vec<u8>: |bytes| Payload::binary(bytes);
    [] &Vec<u8>: |bytes| Payload::Binary(Bytes::copy_from_slice(bytes));
    [] Bytes: |bytes| Payload::Binary(bytes);
    [T: Into<Bytes>] Binary<T>: |bytes| Payload::binary(bytes.0);

    [M: prost::Name] Protobuf<M>: |message| Payload::Protobuf(any::pack(&message.0));
}

impl<T: Serialize> IntoPayload for Json<T> {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Payload::json(&self.0)
    }
}

impl IntoPayload for serde_json::Value {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Payload::json(&self)
    }
}

impl IntoPayload for &serde_json::Value {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Payload::json(self)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, error::Error as _};

    use serde_json::json;

    use super::*;

    fn payload(value: impl IntoPayload) -> Payload {
        value.into_payload().expect("it can be written")
    }

    #[test]
    fn strings_are_text() {
        let text = Payload::Text("hé".into());
        let owned = "hé".to_owned();
        for made in [
            payload("hé"),
            payload(&owned),
            payload(owned),
            payload(Cow::Borrowed("hé")),
            payload(ByteString::from("hé")),
            payload(Text("hé")),
            payload(text.clone()),
        ] {
            assert!(made == text);
        }
    }

    #[test]
    fn bytes_are_binary() {
        let binary = Payload::Binary(Bytes::from_static(&[0, 255]));
        let local = vec![0, 255];
        for made in [
            payload(&local[..]),
            payload(&local),
            payload(b"\x00\xff"),
            payload([0_u8, 255]),
            payload(Bytes::from(local.clone())),
            payload(Binary(local.clone())),
            payload(local),
        ] {
            assert!(made == binary);
        }
    }

    #[test]
    fn what_serialises_is_json() {
        let made = |value: Payload| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        assert_eq!(made(payload(Json("hi"))), r#""hi""#);
        assert_eq!(made(payload(Json(&[1, 2]))), "[1,2]");
        let value = json!({"a": 1});
        assert_eq!(made(payload(&value)), r#"{"a":1}"#);
        assert_eq!(made(payload(value)), r#"{"a":1}"#);
    }

    #[test]
    fn what_does_not_serialise_is_an_error() {
        let error = Json(BTreeMap::from([((), ())])).into_payload().unwrap_err();
        assert_eq!(error.to_string(), "the payload cannot be written as JSON");
        let source = error.source().expect("serde_json says why").to_string();
        assert!(source.contains("key must be a string"), "{source}");
    }
}
