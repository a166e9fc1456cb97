//! A message as the hub holds it: neutral, shared by all its recipients, encoded at most once per
//! wire form.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

// The socket's own shared text: a frame goes out as a clone of it, not checked or copied again.
pub(crate) use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use webpubsub_protocol::frame::{Message, ServerFrame, json};
use webpubsub_protocol::payload::Payload;

/// How a connection's frames look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireForm {
    /// No envelope: payloads as they are. Simple WebSocket clients.
    Raw,
    /// `json.webpubsub.azure.v1`
    Json,
}

/// One WebSocket data frame; clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Frame {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// A control frame; `None` where the wire form has none.
    pub(crate) fn control(form: WireForm, frame: &ServerFrame) -> Option<Self> {
        match form {
            WireForm::Raw => None,
            WireForm::Json => Some(Self::Text(json::encode_server(frame).into())),
        }
    }
}

/// A published message on its way to any number of connections.
#[derive(Debug)]
pub(crate) struct SharedMessage {
    message: Message,
    /// When an undelivered message is dropped.
    expires: Option<Instant>,
    raw: OnceLock<Frame>,
    json: OnceLock<Frame>,
}

impl SharedMessage {
    pub(crate) fn new(message: Message, expires: Option<Instant>) -> Arc<Self> {
        Arc::new(Self {
            message,
            expires,
            raw: OnceLock::new(),
            json: OnceLock::new(),
        })
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The frame for this wire form, encoded on first use.
    pub(crate) fn frame(&self, form: WireForm) -> &Frame {
        match form {
            WireForm::Raw => self.raw.get_or_init(|| match &self.message.payload {
                Payload::Text(text) | Payload::Json(text) => Frame::Text(shared_text(text)),
                Payload::Binary(bytes) | Payload::Protobuf(bytes) => Frame::Binary(bytes.clone()),
            }),
            WireForm::Json => self
                .json
                .get_or_init(|| Frame::Text(json::encode_message(&self.message).into())),
        }
    }
}

/// Shares text with the socket layer; once per message, since that checks the UTF-8 again.
fn shared_text(text: &bytestring::ByteString) -> Utf8Bytes {
    Utf8Bytes::try_from(text.as_bytes().clone()).expect("a ByteString is UTF-8")
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::frame::Sender;
    use webpubsub_protocol::metadata::Metadata;

    use super::*;

    fn message(payload: Payload) -> Arc<SharedMessage> {
        let message = Message {
            sequence_id: None,
            from: Sender::Server,
            payload,
            metadata: Metadata::default(),
            stream: None,
        };
        SharedMessage::new(message, None)
    }

    #[test]
    fn simple_clients_get_the_bare_payload() {
        let frame = |payload| message(payload).frame(WireForm::Raw).clone();
        assert_eq!(frame(Payload::text("hi")), Frame::Text("hi".into()));
        assert_eq!(
            frame(Payload::Json(r#"{"a": 1}"#.into())),
            Frame::Text(r#"{"a": 1}"#.into())
        );
        assert_eq!(
            frame(Payload::binary(&b"\x01"[..])),
            Frame::Binary(Bytes::from_static(b"\x01"))
        );
    }

    #[test]
    fn a_form_is_encoded_once() {
        let message = message(Payload::text("hi"));
        let Frame::Text(first) = message.frame(WireForm::Json) else {
            panic!("not text")
        };
        let Frame::Text(second) = message.frame(WireForm::Json) else {
            panic!("not text")
        };
        assert_eq!(
            first.as_str(),
            r#"{"type":"message","from":"server","dataType":"text","data":"hi"}"#
        );
        assert_eq!(first.as_ptr(), second.as_ptr());
    }
}
