//! What a session needs to know about a subprotocol: its name, and the encoding of its frames.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::frame::{ClientFrame, DecodeError, ServerFrame, json, protobuf};
use crate::subprotocol::Subprotocol;

/// One WebSocket message. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum WireFrame {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl WireFrame {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows the length only: frames hold payloads and tokens.
impl fmt::Debug for WireFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// A subprotocol as a client speaks it.
///
/// [`Subprotocol`] implements it for the four subprotocols of the service. Implement it yourself to use another
/// one, for example to change how payloads are encoded. A client calls its methods while it is locked: they
/// must not use the client.
pub trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// The name that the client offers in `Sec-WebSocket-Protocol`.
    fn name(&self) -> &str;

    /// Whether messages carry sequence ids and connections can be recovered.
    fn is_reliable(&self) -> bool;

    /// Writes a frame for the service.
    fn encode(&self, frame: &ClientFrame) -> WireFrame;

    /// Reads a frame of the service.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a frame. A session skips the frame and reports
    /// [`Event::Ignored`](super::Event::Ignored).
    fn decode(&self, frame: WireFrame) -> Result<ServerFrame, DecodeError>;
}

impl Protocol for Subprotocol {
    fn name(&self) -> &str {
        self.as_str()
    }

    fn is_reliable(&self) -> bool {
        Self::is_reliable(*self)
    }

    fn encode(&self, frame: &ClientFrame) -> WireFrame {
        match self {
            Self::Json | Self::ReliableJson => WireFrame::Text(json::encode_client(frame).into()),
            Self::Protobuf | Self::ReliableProtobuf => {
                WireFrame::Binary(protobuf::encode_client(frame))
            }
        }
    }

    fn decode(&self, frame: WireFrame) -> Result<ServerFrame, DecodeError> {
        match (self, frame) {
            (Self::Json | Self::ReliableJson, WireFrame::Text(text)) => {
                json::decode_server_text(&text)
            }
            (Self::Protobuf | Self::ReliableProtobuf, WireFrame::Binary(bytes)) => {
                protobuf::decode_server(bytes)
            }
            _ => Err(DecodeError::WrongKind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: C-1-2
    #[test]
    fn json_travels_as_text_and_protobuf_as_binary() {
        for protocol in Subprotocol::ALL {
            let ping = protocol.encode(&ClientFrame::Ping);
            let is_text = matches!(ping, WireFrame::Text(_));
            assert_eq!(
                is_text,
                protocol.as_str().starts_with("json"),
                "{protocol:?}"
            );
            let wrong = if is_text {
                WireFrame::Binary(Bytes::from_static(b"{\"type\":\"pong\"}"))
            } else {
                WireFrame::Text(ByteString::from_static("\"\0"))
            };
            assert_eq!(
                protocol.decode(wrong),
                Err(DecodeError::WrongKind),
                "{protocol:?}"
            );
        }
    }

    #[test]
    fn debug_shows_no_payload() {
        let frame = WireFrame::Text(ByteString::from_static("secret"));
        assert_eq!(format!("{frame:?}"), "Text(6 bytes)");
    }
}
