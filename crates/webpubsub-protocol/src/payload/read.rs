//! The types that a payload can be read as.

use std::{
    any::{Any, TypeId},
    fmt,
};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserializer,
    de::{DeserializeOwned, IntoDeserializer as _, Visitor, value},
    forward_to_deserialize_any,
};

use super::{Binary, DataType, Json, Payload, Protobuf, Text, any};

/// A type that a payload can be read as.
///
/// | type | accepts |
/// |---|---|
/// | [`Payload`] | everything |
/// | `T: Deserialize` | JSON |
/// | `String`, and other types that deserialise from a string | text, and JSON strings |
/// | [`Bytes`] | binary, text, and JSON strings |
/// | `Vec<u8>` | binary, and JSON arrays of numbers |
/// | [`Text`], [`Json`], [`Binary`] | only text, JSON or binary, respectively |
/// | [`Protobuf`] | an `Any` that contains this message |
pub trait FromPayload: Sized + Send + 'static {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// If the payload has another data type, or its content does not match.
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch>;
}

/// A payload cannot be read as the requested type. The error never contains the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadMismatch {
    /// The data type of the payload.
    pub found: DataType,
    /// Line and column of the error in a JSON payload, counted from 1.
    pub position: Option<(usize, usize)>,
}

impl PayloadMismatch {
    const fn kind(payload: &Payload) -> Self {
        Self {
            found: payload.data_type(),
            position: None,
        }
    }

    fn json(error: &serde_json::Error) -> Self {
        Self {
            found: DataType::Json,
            position: Some((error.line(), error.column())),
        }
    }
}

impl fmt::Display for PayloadMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} payload is not what was expected", self.found)?;
        match self.position {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PayloadMismatch {}

impl<T: DeserializeOwned + Send + 'static> FromPayload for T {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        let read = match payload {
            Payload::Json(json) => {
                return serde_json::from_str(json).map_err(|error| PayloadMismatch::json(&error));
            }
            Payload::Text(text) => {
                let text: value::StrDeserializer<'_, value::Error> = (**text).into_deserializer();
                T::deserialize(text).ok()
            }
            Payload::Binary(bytes) => {
                bytes_as(bytes).or_else(|| T::deserialize(BytesDeserializer(bytes)).ok())
            }
            Payload::Protobuf(_) => None,
        };
        read.ok_or_else(|| PayloadMismatch::kind(payload))
    }
}

impl FromPayload for Payload {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        Ok(payload.clone())
    }
}

impl<T: From<ByteString> + Send + 'static> FromPayload for Text<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        match payload {
            Payload::Text(text) => Ok(Self(text.clone().into())),
            other => Err(PayloadMismatch::kind(other)),
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> FromPayload for Json<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        match payload {
            Payload::Json(json) => serde_json::from_str(json)
                .map(Self)
                .map_err(|error| PayloadMismatch::json(&error)),
            other => Err(PayloadMismatch::kind(other)),
        }
    }
}

impl<T: From<Bytes> + Send + 'static> FromPayload for Binary<T> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        match payload {
            Payload::Binary(bytes) => Ok(Self(bytes.clone().into())),
            other => Err(PayloadMismatch::kind(other)),
        }
    }
}

impl<M: prost::Name + Default + 'static> FromPayload for Protobuf<M> {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadMismatch> {
        let message = match payload {
            Payload::Protobuf(any) => any::unpack(any),
            _ => None,
        };
        message
            .map(Self)
            .ok_or_else(|| PayloadMismatch::kind(payload))
    }
}

/// The bytes as a `T`, if `T` is a type for bytes. Through serde they would be copied, for a `Vec<u8>` even one by one.
fn bytes_as<T: 'static>(bytes: &Bytes) -> Option<T> {
    let wanted = TypeId::of::<T>();
    if wanted == TypeId::of::<Bytes>() {
        cast(bytes.clone())
    } else if wanted == TypeId::of::<Vec<u8>>() {
        cast(bytes.to_vec())
    } else {
        None
    }
}

fn cast<T: 'static>(value: impl Any) -> Option<T> {
    let mut value = Some(value);
    let value: &mut dyn Any = &mut value;
    value.downcast_mut::<Option<T>>()?.take()
}

/// Bytes for serde: deserializes as bytes or as a sequence, whichever is requested.
struct BytesDeserializer<'a>(&'a [u8]);

impl<'de> Deserializer<'de> for BytesDeserializer<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_bytes(self.0)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_seq(value::SeqDeserializer::new(self.0.iter().copied()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::payload::IntoPayload as _;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order {
        item: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Score {
        #[prost(uint32, tag = "1")]
        points: u32,
    }

    impl prost::Name for Score {
        const NAME: &'static str = "Score";
        const PACKAGE: &'static str = "game";
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Other {}

    impl prost::Name for Other {
        const NAME: &'static str = "Other";
        const PACKAGE: &'static str = "game";
    }

    fn json(text: &str) -> Payload {
        Payload::Json(text.into())
    }

    fn refused<T: FromPayload>(payload: &Payload) -> PayloadMismatch {
        match payload.read::<T>() {
            Ok(_) => panic!("it was read"),
            Err(mismatch) => mismatch,
        }
    }

    #[test]
    fn json_becomes_what_deserialises() {
        let order = json(r#"{"item":1}"#);
        assert_eq!(order.read(), Ok(Order { item: 1 }));
        assert_eq!(order.read::<Json<Order>>().unwrap().0, Order { item: 1 });
        assert_eq!(json(r#""a""#).read(), Ok("a".to_owned()));
        assert_eq!(json("[1,2]").read(), Ok(vec![1_u8, 2]));
    }

    #[test]
    fn a_mismatch_says_where_but_not_what() {
        let mismatch = refused::<Order>(&json("{\n\"item\":\"secret\"}"));
        assert_eq!(
            mismatch.to_string(),
            "the json payload is not what was expected (line 2, column 15)"
        );
        let mismatch = refused::<Order>(&Payload::text("secret"));
        assert_eq!(
            mismatch.to_string(),
            "the text payload is not what was expected"
        );
    }

    #[test]
    fn each_kind_has_its_types() {
        let text = Payload::text("hi");
        let binary = Payload::binary(&[1_u8, 255][..]);
        assert_eq!(text.read(), Ok("hi".to_owned()));
        assert_eq!(text.read::<Text<String>>().unwrap().0, "hi");
        assert_eq!(binary.read(), Ok(Bytes::from_static(&[1, 255])));
        assert_eq!(binary.read(), Ok(vec![1_u8, 255]));
        assert_eq!(binary.read(), Ok([1_u8, 255].map(u16::from).to_vec()));
        assert_eq!(binary.read::<Binary<Bytes>>().unwrap().0, [1, 255][..]);
        assert!(binary.read::<Payload>().unwrap() == binary);

        assert_eq!(refused::<Order>(&binary).found, DataType::Binary);
        assert_eq!(refused::<Vec<u8>>(&text).found, DataType::Text);
        assert_eq!(
            refused::<Text<String>>(&json("\"hi\"")).found,
            DataType::Json
        );
        assert_eq!(refused::<Json<String>>(&text).found, DataType::Text);
        assert_eq!(
            refused::<Binary<Vec<u8>>>(&json("[1]")).found,
            DataType::Json
        );
        let protobuf = Payload::Protobuf(Bytes::new());
        assert_eq!(refused::<Bytes>(&protobuf).found, DataType::Protobuf);
    }

    #[test]
    fn protobuf_messages_are_packed_and_unpacked() {
        let payload = Protobuf(Score { points: 3 }).into_payload().unwrap();
        assert_eq!(payload.as_bytes(), b"\x0a\x0b/game.Score\x12\x02\x08\x03");
        assert_eq!(payload.read::<Protobuf<Score>>().unwrap().0.points, 3);
        assert_eq!(
            refused::<Protobuf<Other>>(&payload).found,
            DataType::Protobuf
        );
        assert_eq!(
            refused::<Protobuf<Score>>(&json("{}")).found,
            DataType::Json
        );

        let elsewhere = b"\x0a\x1etype.googleapis.com/game.Score\x12\x02\x08\x03";
        let payload = Payload::protobuf(&elsewhere[..]).expect("an Any");
        assert_eq!(payload.read::<Protobuf<Score>>().unwrap().0.points, 3);
    }

    #[test]
    fn bytes_are_shared_when_they_can_be() {
        let payload = Payload::binary(vec![7; 100]);
        let read: Bytes = payload.read().unwrap();
        assert_eq!(read.as_ptr(), payload.as_bytes().as_ptr());
    }
}
