//! User events: what clients send to their server, typed.

use std::{fmt, ops::Deref};

use axum::extract::FromRequestParts;
use bytes::Bytes;
use http::request::Parts;
use serde::{
    Deserializer,
    de::{DeserializeOwned, IntoDeserializer as _, Visitor, value},
    forward_to_deserialize_any,
};
use webpubsub_protocol::{
    metadata::Metadata,
    payload::{DataType, Payload},
};

use crate::{
    context::ConnectionContext,
    event::{Event, EventData},
    rejection::{ExtractRejection, PayloadRejection, Rejection},
};

/// A client sent something to its server.
///
/// `T` says what the handler takes; anything else is refused with 400 before it runs. See [`FromPayload`]. Without `T`
/// it is the payload as it came. `Debug` does not show the payload.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserEventRequest<T = RawPayload> {
    /// The connection.
    pub context: ConnectionContext,
    /// What the client sent.
    pub data: T,
    /// The kind of payload that it was sent as.
    pub data_type: DataType,
    /// The content type. Interesting for MQTT clients, whose publishers choose it.
    pub content_type: Option<String>,
    /// The metadata of the message.
    pub metadata: Metadata,
}

/// A payload as it came: text, JSON, bytes or a serialised `google.protobuf.Any`. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawPayload(pub Payload);

/// What can be made of the payload of a user event.
///
/// | type | takes |
/// |---|---|
/// | [`RawPayload`] | everything |
/// | `T: Deserialize` | JSON |
/// | `String`, and what else deserialises from a string | text, and JSON strings |
/// | [`Bytes`], `Vec<u8>` | binary |
pub trait FromPayload: Sized + Send {
    /// Makes the value.
    ///
    /// # Errors
    ///
    /// When the payload is of another kind, or its JSON does not fit.
    fn from_payload(payload: &Payload) -> Result<Self, PayloadRejection>;
}

impl<T: DeserializeOwned + Send> FromPayload for T {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadRejection> {
        let position = match payload {
            Payload::Json(json) => match serde_json::from_str(json) {
                Ok(value) => return Ok(value),
                Err(error) => Some((error.line(), error.column())),
            },
            Payload::Text(text) => {
                let text: value::StrDeserializer<'_, value::Error> = (**text).into_deserializer();
                match T::deserialize(text) {
                    Ok(value) => return Ok(value),
                    Err(_) => None,
                }
            }
            Payload::Binary(bytes) => match T::deserialize(Binary(bytes)) {
                Ok(value) => return Ok(value),
                Err(_) => None,
            },
            Payload::Protobuf(_) => None,
        };
        let found = payload.data_type().as_str();
        Err(PayloadRejection { found, position })
    }
}

impl FromPayload for RawPayload {
    fn from_payload(payload: &Payload) -> Result<Self, PayloadRejection> {
        Ok(Self(payload.clone()))
    }
}

impl<S: Send + Sync, T: FromPayload> FromRequestParts<S> for UserEventRequest<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let extractor = "UserEventRequest";
        let event = Event::current(&parts.extensions, extractor)?;
        let EventData::User(user) = &event.data else {
            return Err(ExtractRejection::OtherEvent { extractor }.into());
        };
        Ok(Self {
            context: event.context.clone(),
            data: T::from_payload(&user.payload)?,
            data_type: user.payload.data_type(),
            content_type: user.content_type.clone(),
            metadata: user.metadata.clone(),
        })
    }
}

impl RawPayload {
    /// The bytes: the UTF-8 of text and JSON, the bytes of the others. Shared, not copied.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Payload::Text(text) | Payload::Json(text) => text.into_bytes(),
            Payload::Binary(bytes) | Payload::Protobuf(bytes) => bytes,
        }
    }
}

impl Deref for RawPayload {
    type Target = Payload;

    fn deref(&self) -> &Payload {
        &self.0
    }
}

impl fmt::Debug for RawPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, length) = (self.data_type().as_str(), self.as_bytes().len());
        write!(f, "RawPayload({kind}, {length} bytes)")
    }
}

impl<T> fmt::Debug for UserEventRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEventRequest")
            .field("context", &self.context)
            .field("data_type", &self.data_type)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// Bytes for serde: as bytes to those who ask for bytes, as a sequence to those who ask for one, such as `Vec<u8>`.
struct Binary<'a>(&'a [u8]);

impl<'de> Deserializer<'de> for Binary<'_> {
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

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order {
        item: u32,
    }

    #[test]
    fn json_becomes_what_deserialises() {
        let json = |text: &str| Payload::Json(text.into());
        assert_eq!(
            Order::from_payload(&json(r#"{"item":1}"#)),
            Ok(Order { item: 1 })
        );
        assert_eq!(String::from_payload(&json(r#""a""#)), Ok("a".to_owned()));
        let found = "json";
        let position = Some((1, 9));
        assert_eq!(
            Order::from_payload(&json(r#"{"item":"secret"}"#)).map_err(|error| error.found),
            Err(found)
        );
        assert_eq!(
            Order::from_payload(&json("{\"item\":-")),
            Err(PayloadRejection { found, position })
        );
    }

    #[test]
    fn each_kind_has_its_types() {
        let text = Payload::text("hi");
        let binary = Payload::binary(&[1_u8, 255][..]);
        assert_eq!(String::from_payload(&text).unwrap(), "hi");
        assert_eq!(Bytes::from_payload(&binary).unwrap(), [1, 255][..]);
        assert_eq!(Vec::<u8>::from_payload(&binary).unwrap(), [1, 255]);
        assert_eq!(
            RawPayload::from_payload(&binary).unwrap().into_bytes(),
            [1, 255][..]
        );
        assert_eq!(Order::from_payload(&text).unwrap_err().found, "text");
        assert_eq!(Order::from_payload(&binary).unwrap_err().found, "binary");
        assert_eq!(
            Bytes::from_payload(&Payload::Protobuf(Bytes::new()))
                .unwrap_err()
                .found,
            "protobuf"
        );
    }
}
