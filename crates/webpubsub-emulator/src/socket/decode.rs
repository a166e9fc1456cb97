//! From what a socket received to what it means, or to how that ends the connection.

use bytes::Bytes;
use bytestring::ByteString;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};
use webpubsub_protocol::frame::{ClientFrame, DecodeError, json, protobuf};
use webpubsub_protocol::payload::Payload;

use crate::hub::{End, Gone, Received, WireForm};

const TOO_LARGE: &str = "The client message is too large.";
const INVALID_FRAME: &str = "The client frame is invalid.";
const TEXT_ONLY: &str = "The JSON subprotocol requires text messages.";
const BINARY_ONLY: &str = "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.";
const MALFORMED_JSON: &str = "The client message is not a valid JSON protocol message.";
const MALFORMED_PROTOBUF: &str =
    "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.";

/// A text message, which may have `most` bytes.
pub(crate) fn text(form: WireForm, text: Utf8Bytes, most: usize) -> Result<Received, End> {
    check_size(text.len(), most)?;
    match form {
        WireForm::Raw => ByteString::try_from(Bytes::from(text))
            .map(|text| Received::raw(Payload::Text(text)))
            .map_err(|_| End::protocol_error(1007, INVALID_FRAME)),
        WireForm::Json => {
            let bytes = text.len();
            frame(json::decode_client(text), bytes, MALFORMED_JSON)
        }
        WireForm::Protobuf => Err(End::protocol_error(1003, BINARY_ONLY)),
    }
}

/// A binary message, which may have `most` bytes.
pub(crate) fn binary(form: WireForm, bytes: Bytes, most: usize) -> Result<Received, End> {
    check_size(bytes.len(), most)?;
    match form {
        WireForm::Raw => Ok(Received::raw(Payload::Binary(bytes))),
        WireForm::Json => Err(End::protocol_error(1003, TEXT_ONLY)),
        WireForm::Protobuf => {
            let len = bytes.len();
            frame(protobuf::decode_client(bytes), len, MALFORMED_PROTOBUF)
        }
    }
}

/// How a client's close frame ends its connection. A normal close ends it for good, reliable or not, and so
/// does a code that must not be sent. The WebSocket layer has answered that one, and hands it on as
/// its own answer.
pub(super) fn closed_by_client(close: &CloseFrame) -> Gone {
    let reason = close.reason.as_str();
    match u16::from(close.code) {
        1000 => Gone::ClosedForGood(reason.into()),
        1002 if reason == "Protocol violation" => Gone::ClosedForGood(INVALID_FRAME.into()),
        _ => Gone::Lost,
    }
}

/// How a broken socket ends its connection; `None` when it is simply gone.
pub(super) fn broken(error: &Error) -> Option<End> {
    match error {
        Error::Capacity(_) => Some(End::protocol_error(1009, TOO_LARGE)),
        Error::Utf8(_) => Some(End::protocol_error(1007, INVALID_FRAME)),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(End::protocol_error(1002, INVALID_FRAME)),
        _ => None,
    }
}

/// The service's limit; the transport reads somewhat more, see `task`.
fn check_size(bytes: usize, most: usize) -> Result<(), End> {
    if bytes > most {
        Err(End::protocol_error(1009, TOO_LARGE))
    } else {
        Ok(())
    }
}

fn frame(
    decoded: Result<ClientFrame, DecodeError>,
    bytes: usize,
    malformed: &'static str,
) -> Result<Received, End> {
    let received = decoded.map(|frame| Received::frame(frame, bytes));
    received.map_err(|error| {
        tracing::info!(%error, "a malformed frame: closing with 1007");
        End::protocol_error(1007, malformed)
    })
}
