//! What is published: written once per wire form, and shared by all its recipients.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use webpubsub_protocol::frame::protobuf::MessageNumber;
use webpubsub_protocol::frame::{Message, Sender, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use super::kind::MessageKind;
use super::owned;
use super::wire::{FrameKind, WireFrame, with_head};

/// What a sequence id adds to a frame, at most.
pub(super) const SEQUENCE_ID_BYTES: usize = 34;

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

impl WireForm {
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::Json, Self::Protobuf];
}

impl From<Subprotocol> for WireForm {
    fn from(subprotocol: Subprotocol) -> Self {
        match subprotocol {
            Subprotocol::Json | Subprotocol::ReliableJson => Self::Json,
            Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => Self::Protobuf,
        }
    }
}

/// One WebSocket data frame for one connection alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    kind: MessageKind,
    opcode: FrameKind,
    bytes: Bytes,
}

impl Frame {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// A frame of the service; `None` where the wire form has no frames.
    pub(crate) fn of(form: WireForm, frame: &ServerFrame) -> Option<Self> {
        let (opcode, bytes) = match form {
            WireForm::Raw => return None,
            WireForm::Json => (FrameKind::Text, json::encode_server(frame).into()),
            WireForm::Protobuf => (FrameKind::Binary, protobuf::encode_server(frame)),
        };
        let kind = MessageKind::of_server(frame);
        Some(Self {
            kind,
            opcode,
            bytes,
        })
    }

    /// Any text.
    #[cfg(test)]
    pub(crate) fn text(text: &str) -> Self {
        Self {
            kind: MessageKind::Other,
            opcode: FrameKind::Text,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }
}

impl From<Frame> for WireFrame {
    fn from(frame: Frame) -> Self {
        Self::new(frame.opcode, frame.bytes)
    }
}

/// Something to publish. Each form in which somebody receives it is written once, at the latest when the first of them
/// does; then what it was written from is no longer needed.
#[derive(Debug)]
pub(crate) struct Draft {
    content: Content,
    /// When an undelivered message is dropped.
    expires: Option<Instant>,
    /// By form; `None` where a form cannot say it.
    encoded: [OnceCell<Option<Arc<Encoded>>>; WireForm::ALL.len()],
}

/// What reliable connections number, keep until it is acknowledged, and replay.
#[derive(Debug)]
enum Content {
    Message(Message),
    /// A snapshot or an update of group state.
    State(ServerFrame),
}

/// A published message in one wire form: the whole frame of those whose messages are not numbered.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The WebSocket head and the payload.
    bytes: Bytes,
    head: usize,
    kind: FrameKind,
    expires: Option<Instant>,
    numbering: Numbering,
    message_kind: MessageKind,
    group: Option<GroupName>,
}

/// How a sequence id goes into a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbering {
    /// Not at all.
    None,
    Json,
    ProtobufMessage,
    ProtobufState,
}

impl Draft {
    pub(crate) fn message(message: Message, expires: Option<Instant>) -> Self {
        Self::new(Content::Message(message), expires)
    }

    pub(crate) fn state(frame: ServerFrame) -> Self {
        Self::new(Content::State(frame), None)
    }

    fn new(content: Content, expires: Option<Instant>) -> Self {
        Self {
            content,
            expires,
            encoded: Default::default(),
        }
    }

    /// The message in a form; `None` where the form cannot say it.
    pub(crate) fn encoded(&self, form: WireForm) -> Option<&Arc<Encoded>> {
        let cell = &self.encoded[form as usize];
        cell.get_or_init(|| self.encode(form).map(Arc::new))
            .as_ref()
    }

    fn encode(&self, form: WireForm) -> Option<Encoded> {
        let encoded = |kind, payload: &[u8], numbering| {
            let (bytes, head) = with_head(kind, payload);
            Some(Encoded {
                bytes,
                head,
                kind,
                expires: self.expires,
                numbering,
                message_kind: self.content.kind(),
                group: self.content.group().map(owned::group),
            })
        };
        match (form, &self.content) {
            (WireForm::Raw, Content::Message(message)) => {
                let (kind, payload) = raw_payload(message)?;
                encoded(kind, payload, Numbering::None)
            }
            (WireForm::Raw, Content::State(_)) => None,
            (WireForm::Json, content) => {
                let text = match content {
                    Content::Message(message) => json::encode_message(message),
                    Content::State(frame) => json::encode_server(frame),
                };
                encoded(FrameKind::Text, text.as_bytes(), Numbering::Json)
            }
            (WireForm::Protobuf, content) => {
                let (bytes, numbering) = match content {
                    Content::Message(message) => (
                        protobuf::encode_message(message),
                        Numbering::ProtobufMessage,
                    ),
                    Content::State(frame) => {
                        (protobuf::encode_server(frame), Numbering::ProtobufState)
                    }
                };
                encoded(FrameKind::Binary, &bytes, numbering)
            }
        }
    }
}

impl Content {
    const fn kind(&self) -> MessageKind {
        match self {
            Self::Message(_) => MessageKind::Message,
            Self::State(frame) => MessageKind::of_server(frame),
        }
    }

    const fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Message(message) => match &message.from {
                Sender::Group { group, .. } => Some(group),
                Sender::Server => None,
            },
            Self::State(
                ServerFrame::GroupStateSnapshot { group, .. }
                | ServerFrame::GroupStateUpdate { group, .. },
            ) => Some(group),
            Self::State(_) => None,
        }
    }
}

impl Encoded {
    pub(crate) const fn kind(&self) -> MessageKind {
        self.message_kind
    }

    /// The group that it comes from.
    pub(crate) const fn group(&self) -> Option<&GroupName> {
        self.group.as_ref()
    }

    /// Whether the time to live is over.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The bytes that it counts for in an outbox.
    pub(crate) fn len(&self, is_numbered: bool) -> usize {
        let of_id = if is_numbered { SEQUENCE_ID_BYTES } else { 0 };
        self.bytes.len() - self.head + of_id
    }

    /// The frame for one recipient: shared with all others, but for a sequence id before or in it.
    pub(crate) fn frame(self: Arc<Self>, id: Option<SequenceId>) -> WireFrame {
        let Some(id) = id else {
            return WireFrame::shared(self);
        };
        let payload = &self.bytes[self.head..];
        let number = match self.numbering {
            Numbering::None => return WireFrame::shared(self),
            Numbering::Json => {
                // What comes before the shared part is short: it is written as the codec writes it.
                let first = json::number_message("{", id);
                let rest = self.bytes.slice(self.head + 1..);
                return WireFrame::numbered(self.kind, first.as_bytes(), rest, &[], Bytes::new());
            }
            Numbering::ProtobufMessage => MessageNumber::new(payload, id),
            Numbering::ProtobufState => MessageNumber::of_state(payload, id),
        };
        let (from, at) = (self.head + number.skipped(), self.head + number.at());
        WireFrame::numbered(
            self.kind,
            number.head(),
            self.bytes.slice(from..at),
            number.id(),
            self.bytes.slice(at..),
        )
    }

    /// The frame of those whose messages are not numbered.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn opcode(&self) -> FrameKind {
        self.kind
    }
}

/// What a simple client sees of a message: the bare payload, and nothing where a stream ends.
fn raw_payload(message: &Message) -> Option<(FrameKind, &[u8])> {
    let stream = message.stream.as_ref();
    if stream.is_some_and(|stream| stream.end_of_stream) {
        return None;
    }
    Some(match &message.payload {
        Payload::Text(text) | Payload::Json(text) => (FrameKind::Text, text.as_bytes()),
        Payload::Binary(bytes) | Payload::Protobuf(bytes) => (FrameKind::Binary, bytes),
    })
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::frame::GroupStateItem;
    use webpubsub_protocol::metadata::Metadata;

    use super::*;

    fn draft(payload: Payload) -> Draft {
        let message = Message {
            sequence_id: None,
            from: Sender::Server,
            payload,
            metadata: Metadata::new([("k", "v")]).expect("metadata"),
            stream: None,
        };
        Draft::message(message, None)
    }

    fn payload(draft: &Draft, form: WireForm, id: Option<u64>) -> (FrameKind, Bytes) {
        let encoded = draft.encoded(form).expect("a form for it");
        let frame = Arc::clone(encoded).frame(id.map(SequenceId));
        assert!(frame.payload_len() <= encoded.len(id.is_some()));
        (frame.kind(), frame.payload())
    }

    #[test]
    fn simple_clients_get_the_bare_payload() {
        let raw = |of| payload(&draft(of), WireForm::Raw, None);
        assert_eq!(raw(Payload::text("hi")), (FrameKind::Text, "hi".into()));
        assert_eq!(
            raw(Payload::Json(r#"{"a": 1}"#.into())),
            (FrameKind::Text, r#"{"a": 1}"#.into())
        );
        let bytes = Bytes::from_static(b"\x01");
        assert_eq!(
            raw(Payload::binary(bytes.clone())),
            (FrameKind::Binary, bytes)
        );
    }

    #[test]
    fn a_form_is_encoded_once_and_numbered_per_recipient_without_a_copy() {
        let message = draft(Payload::text("hi"));
        for (form, numbered) in [
            (
                WireForm::Json,
                json::number_message(
                    std::str::from_utf8(&payload(&message, WireForm::Json, None).1).expect("text"),
                    SequenceId(7),
                )
                .into_bytes()
                .into(),
            ),
            (
                WireForm::Protobuf,
                protobuf::number_message(
                    &payload(&message, WireForm::Protobuf, None).1,
                    SequenceId(7),
                ),
            ),
        ] {
            assert_eq!(payload(&message, form, Some(7)).1, numbered, "{form:?}");
            let encoded = message.encoded(form).expect("a form for it");
            let shared = encoded.bytes.as_ptr_range();
            let frame = Arc::clone(encoded).frame(Some(SequenceId(7)));
            for part in [frame.parts()[1], frame.parts()[3]] {
                assert!(part.is_empty() || shared.contains(&part.as_ptr()));
            }
        }
    }

    #[test]
    fn group_states_are_numbered_as_the_codec_numbers_them() {
        let item = GroupStateItem {
            connection_id: "c".into(),
            user_id: None,
            state: Some(vec![("k".into(), "v".into())]),
            updated_at: 1,
        };
        let frame = |sequence_id, items: Vec<GroupStateItem>| {
            let group = GroupName::new("g").expect("a name");
            let update = ServerFrame::GroupStateUpdate {
                sequence_id,
                group: group.clone(),
                items: items.clone(),
            };
            let snapshot = ServerFrame::GroupStateSnapshot {
                sequence_id,
                group,
                items,
            };
            [update, snapshot]
        };
        for items in [vec![item], Vec::new()] {
            let numbered = frame(Some(SequenceId(u64::MAX)), items.clone());
            for (frame, numbered) in frame(None, items).into_iter().zip(numbered) {
                let draft = Draft::state(frame);
                let of = |form| payload(&draft, form, Some(u64::MAX)).1;
                assert_eq!(of(WireForm::Json), json::encode_server(&numbered));
                assert_eq!(of(WireForm::Protobuf), protobuf::encode_server(&numbered));
                assert!(draft.encoded(WireForm::Raw).is_none());
            }
        }
    }
}
