//! What can be sent, and how what arrives is read.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use webpubsub_protocol::payload::Payload;

/// Text. Receivers see the data type `text`. Plain strings count as text, too.
#[derive(Debug, Clone, Copy)]
pub struct Text<T>(pub T);

/// Anything that serialises. Receivers see the data type `json`.
///
/// A failure to serialise is reported by the call that sends it. JSON `null` cannot be sent: the service
/// refuses it.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// Bytes. Receivers see the data type `binary`.
#[derive(Debug, Clone, Copy)]
pub struct Binary<T>(pub T);

/// A protobuf message in an `Any`. Receivers see the data type `protobuf`. Not every service accepts it from
/// clients of the JSON subprotocols; those of the protobuf subprotocols can always send it.
#[derive(Debug, Clone)]
pub struct Protobuf(pub prost_types::Any);

impl Protobuf {
    /// Packs a message. Its type URL is that of [`prost::Name`].
    ///
    /// # Errors
    ///
    /// Never for messages that prost generated; their encoding cannot fail.
    pub fn pack<M: prost::Name>(message: &M) -> Result<Self, prost::EncodeError> {
        prost_types::Any::from_msg(message).map(Self)
    }
}

/// Why something cannot be sent as a payload.
#[derive(Debug, thiserror::Error)]
#[error("the payload cannot be written as JSON")]
pub struct PayloadError(#[source] serde_json::Error);

/// Anything that can be sent: strings, [`Text`], [`Json`], [`Binary`], [`Protobuf`] and [`Payload`].
pub trait IntoPayload {
    /// Makes the payload.
    ///
    /// # Errors
    ///
    /// When a value cannot be written as JSON.
    fn into_payload(self) -> Result<Payload, PayloadError>;
}

impl IntoPayload for Payload {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Ok(self)
    }
}

impl IntoPayload for &str {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Ok(Payload::text(self))
    }
}

impl IntoPayload for String {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Ok(Payload::text(self))
    }
}

impl<T: Into<ByteString>> IntoPayload for Text<T> {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Ok(Payload::text(self.0))
    }
}

impl<T: Serialize> IntoPayload for Json<T> {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Payload::json(&self.0).map_err(PayloadError)
    }
}

impl<T: Into<Bytes>> IntoPayload for Binary<T> {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        Ok(Payload::binary(self.0))
    }
}

impl IntoPayload for Protobuf {
    fn into_payload(self) -> Result<Payload, PayloadError> {
        use prost::Message as _;
        Ok(Payload::Protobuf(self.0.encode_to_vec().into()))
    }
}
