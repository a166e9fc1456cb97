//! A message as the hub holds it: neutral, shared by all its recipients, encoded at most once per
//! wire form.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

// The socket's own shared text: a frame goes out as a clone of it, not checked or copied again.
pub(crate) use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use webpubsub_protocol::frame::{Message, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

/// How a connection's frames look on the wire. The reliable subprotocols share the form of the
/// plain ones: only sequence ids come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireForm {
    /// No envelope: payloads as they are. Simple WebSocket clients.
    Raw,
    /// `json.webpubsub.azure.v1`, `json.reliable.webpubsub.azure.v1`
    Json,
    /// `protobuf.webpubsub.azure.v1`, `protobuf.reliable.webpubsub.azure.v1`
    Protobuf,
}

impl From<Subprotocol> for WireForm {
    fn from(subprotocol: Subprotocol) -> Self {
        match subprotocol {
            Subprotocol::Json | Subprotocol::ReliableJson => Self::Json,
            Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => Self::Protobuf,
        }
    }
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

    /// A frame of the service; `None` where the wire form has no frames.
    pub(crate) fn of(form: WireForm, frame: &ServerFrame) -> Option<Self> {
        match form {
            WireForm::Raw => None,
            WireForm::Json => Some(Self::Text(json::encode_server(frame).into())),
            WireForm::Protobuf => Some(Self::Binary(protobuf::encode_server(frame))),
        }
    }
}

/// What reliable connections number, keep until it is acknowledged, and replay.
#[derive(Debug)]
pub(crate) enum Content {
    Message(Message),
    /// A snapshot or an update of group state.
    State(ServerFrame),
}

/// Something published, on its way to any number of connections.
#[derive(Debug)]
pub(crate) struct Shared {
    content: Content,
    /// When an undelivered message is dropped.
    expires: Option<Instant>,
    raw: OnceLock<Option<Frame>>,
    json: OnceLock<Utf8Bytes>,
    protobuf: OnceLock<Bytes>,
}

impl Shared {
    pub(crate) fn message(message: Message, expires: Option<Instant>) -> Arc<Self> {
        Self::new(Content::Message(message), expires)
    }

    pub(crate) fn state(frame: ServerFrame) -> Arc<Self> {
        Self::new(Content::State(frame), None)
    }

    fn new(content: Content, expires: Option<Instant>) -> Arc<Self> {
        Arc::new(Self {
            content,
            expires,
            raw: OnceLock::new(),
            json: OnceLock::new(),
            protobuf: OnceLock::new(),
        })
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The bytes that this costs in an outbox, without what a sequence id adds.
    pub(crate) fn len(&self, form: WireForm) -> usize {
        match form {
            WireForm::Raw => self.raw().map_or(0, Frame::len),
            WireForm::Json => self.json().len(),
            WireForm::Protobuf => self.protobuf().len(),
        }
    }

    /// The frame for one recipient: shared with all others, but for a sequence id before or in it.
    /// `None` where the wire form cannot say it.
    pub(crate) fn frame(&self, form: WireForm, id: Option<SequenceId>) -> Option<Frame> {
        match (form, id) {
            (WireForm::Raw, _) => self.raw().cloned(),
            (WireForm::Json, None) => Some(Frame::Text(self.json().clone())),
            (WireForm::Json, Some(id)) => {
                Some(Frame::Text(json::number_message(self.json(), id).into()))
            }
            (WireForm::Protobuf, None) => Some(Frame::Binary(self.protobuf().clone())),
            (WireForm::Protobuf, Some(id)) => Some(Frame::Binary(self.numbered_protobuf(id))),
        }
    }

    fn raw(&self) -> Option<&Frame> {
        let encode = || match &self.content {
            Content::Message(message) => raw_frame(message),
            Content::State(_) => None,
        };
        self.raw.get_or_init(encode).as_ref()
    }

    fn json(&self) -> &Utf8Bytes {
        self.json.get_or_init(|| match &self.content {
            Content::Message(message) => json::encode_message(message).into(),
            Content::State(frame) => json::encode_server(frame).into(),
        })
    }

    fn protobuf(&self) -> &Bytes {
        self.protobuf.get_or_init(|| match &self.content {
            Content::Message(message) => protobuf::encode_message(message),
            Content::State(frame) => protobuf::encode_server(frame),
        })
    }

    fn numbered_protobuf(&self, id: SequenceId) -> Bytes {
        match &self.content {
            Content::Message(_) => protobuf::number_message(self.protobuf(), id),
            // Few and small: not worth a template.
            Content::State(frame) => protobuf::encode_server(&numbered_state(frame.clone(), id)),
        }
    }
}

/// What a simple client sees of a message: the bare payload, and nothing where a stream ends.
fn raw_frame(message: &Message) -> Option<Frame> {
    if message
        .stream
        .as_ref()
        .is_some_and(|stream| stream.end_of_stream)
    {
        return None;
    }
    Some(match &message.payload {
        Payload::Text(text) | Payload::Json(text) => Frame::Text(shared_text(text)),
        Payload::Binary(bytes) | Payload::Protobuf(bytes) => Frame::Binary(bytes.clone()),
    })
}

fn numbered_state(frame: ServerFrame, id: SequenceId) -> ServerFrame {
    match frame {
        ServerFrame::GroupStateSnapshot { group, items, .. } => ServerFrame::GroupStateSnapshot {
            sequence_id: Some(id),
            group,
            items,
        },
        ServerFrame::GroupStateUpdate { group, items, .. } => ServerFrame::GroupStateUpdate {
            sequence_id: Some(id),
            group,
            items,
        },
        other => other,
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

    fn shared(payload: Payload) -> Arc<Shared> {
        let message = Message {
            sequence_id: None,
            from: Sender::Server,
            payload,
            metadata: Metadata::default(),
            stream: None,
        };
        Shared::message(message, None)
    }

    #[test]
    fn simple_clients_get_the_bare_payload() {
        let frame = |payload| shared(payload).frame(WireForm::Raw, None);
        assert_eq!(frame(Payload::text("hi")), Some(Frame::Text("hi".into())));
        assert_eq!(
            frame(Payload::Json(r#"{"a": 1}"#.into())),
            Some(Frame::Text(r#"{"a": 1}"#.into()))
        );
        let binary = Frame::Binary(Bytes::from_static(b"\x01"));
        assert_eq!(frame(Payload::binary(&b"\x01"[..])), Some(binary));
    }

    #[test]
    fn a_form_is_encoded_once_and_numbered_per_recipient() {
        let message = shared(Payload::text("hi"));
        let text = |id| match message.frame(WireForm::Json, id) {
            Some(Frame::Text(text)) => text,
            other => panic!("not text: {other:?}"),
        };
        let plain = r#"{"type":"message","from":"server","dataType":"text","data":"hi"}"#;
        assert_eq!(text(None).as_str(), plain);
        assert_eq!(text(None).as_ptr(), text(None).as_ptr());
        assert_eq!(
            text(Some(SequenceId(7))).as_str(),
            format!(r#"{{"sequenceId":7,{}"#, &plain[1..])
        );
    }
}
