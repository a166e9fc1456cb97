//! The kinds of clients, and what their frames say.

use std::fmt;

use anyhow::Result;
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::frame::{AckId, ClientFrame, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::wire::{opcode, write_frame};

/// A kind of client: simple, or one of a subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(Option<Subprotocol>);

impl Kind {
    /// A client without a subprotocol.
    pub const SIMPLE: Self = Self(None);
    /// JSON, not reliable.
    pub const JSON: Self = Self(Some(Subprotocol::Json));
    /// JSON, reliable.
    pub const RELIABLE_JSON: Self = Self(Some(Subprotocol::ReliableJson));
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SIMPLE,
        Self::JSON,
        Self::RELIABLE_JSON,
        Self(Some(Subprotocol::Protobuf)),
        Self(Some(Subprotocol::ReliableProtobuf)),
    ];
    /// Those that speak a subprotocol.
    pub const PUBSUB: [Self; 4] = [Self::ALL[1], Self::ALL[2], Self::ALL[3], Self::ALL[4]];

    /// What the client offers in its upgrade request.
    #[must_use]
    pub fn subprotocol(self) -> Option<&'static str> {
        self.0.map(Subprotocol::as_str)
    }

    /// Whether it speaks a subprotocol, so that its first frame is `connected`.
    #[must_use]
    pub fn is_pubsub(self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_reliable(self) -> bool {
        self.0.is_some_and(Subprotocol::is_reliable)
    }

    fn is_protobuf(self) -> bool {
        matches!(
            self.0,
            Some(Subprotocol::Protobuf | Subprotocol::ReliableProtobuf)
        )
    }

    /// Appends a frame with what this client says.
    pub fn write(self, out: &mut Vec<u8>, frame: &ClientFrame) {
        if self.is_protobuf() {
            write_frame(out, opcode::BINARY, &protobuf::encode_client(frame));
        } else {
            write_frame(out, opcode::TEXT, json::encode_client(frame).as_bytes());
        }
    }

    /// Appends the acknowledgement of all messages up to one.
    pub(crate) fn write_sequence_ack(self, out: &mut Vec<u8>, sequence_id: u64) {
        let sequence_id = SequenceId(sequence_id);
        self.write(out, &ClientFrame::SequenceAck { sequence_id });
    }

    /// What a frame of the service says; nothing when this client would skip it.
    pub(crate) fn read(self, frame: &[u8]) -> Option<ServerFrame> {
        let frame = Bytes::copy_from_slice(frame);
        match self.0 {
            None => None,
            Some(_) if self.is_protobuf() => protobuf::decode_server(frame).ok(),
            Some(_) => json::decode_server(frame).ok(),
        }
    }

    /// The sequence id of a message. Of the JSON form only the beginning is read, where the service puts it.
    pub(crate) fn sequence_id(self, frame: &[u8]) -> Option<u64> {
        if self.is_protobuf() {
            return match self.read(frame) {
                Some(ServerFrame::Message(message)) => message.sequence_id.map(|id| id.0),
                _ => None,
            };
        }
        let digits = frame.strip_prefix(br#"{"sequenceId":"#)?;
        number(digits).map(|(number, _)| number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "simple",
            Some(Subprotocol::Json) => "json",
            Some(Subprotocol::ReliableJson) => "reliable json",
            Some(Subprotocol::Protobuf) => "protobuf",
            Some(Subprotocol::ReliableProtobuf) => "reliable protobuf",
        })
    }
}

/// A send to a group.
///
/// # Errors
///
/// Fails when `group` cannot be the name of a group.
pub fn send_to_group(group: &str, text: String, ack_id: Option<u64>) -> Result<ClientFrame> {
    Ok(ClientFrame::SendToGroup {
        group: GroupName::new(group.to_owned())?,
        ack_id: ack_id.map(AckId),
        no_echo: false,
        ttl_seconds: 0,
        metadata: Metadata::default(),
        payload: Payload::text(text),
    })
}

/// The start of a payload that says who published it and as which one in a row, from 0. Every form of the service
/// carries it as it is, so that readers find it without decoding.
#[must_use]
pub fn mark(publisher: usize, number: u64) -> String {
    format!("@{publisher}.{number};")
}

/// The text of a message: a mark, and filling up to `size` bytes.
#[must_use]
pub fn marked(publisher: usize, number: u64, size: usize) -> String {
    let mut text = mark(publisher, number);
    while text.len() < size {
        text.push('x');
    }
    text
}

/// Finds a mark: publisher and number.
pub(crate) fn find_mark(frame: &[u8]) -> Option<(usize, u64)> {
    memchr::memchr_iter(b'@', frame).find_map(|at| {
        let (publisher, rest) = number(&frame[at + 1..])?;
        let (number, rest) = number(rest.strip_prefix(b".")?)?;
        rest.starts_with(b";").then_some(())?;
        Some((usize::try_from(publisher).ok()?, number))
    })
}

/// The number at the start of `text`, and what follows it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use webpubsub_protocol::frame::{Message, Sender};

    fn message(sequence_id: Option<u64>) -> ServerFrame {
        ServerFrame::Message(Message {
            sequence_id: sequence_id.map(SequenceId),
            from: Sender::Server,
            payload: Payload::text(marked(7, 1234, 100)),
            metadata: Metadata::default(),
            stream: None,
        })
    }

    #[test]
    fn marks_and_sequence_ids_are_found_in_every_form() {
        for kind in Kind::PUBSUB {
            for id in [None, Some(1), Some(300)] {
                let frame = if kind.is_protobuf() {
                    protobuf::encode_server(&message(id)).to_vec()
                } else {
                    json::encode_server(&message(id)).into_bytes()
                };
                assert_eq!(find_mark(&frame), Some((7, 1234)), "{kind}");
                assert_eq!(kind.sequence_id(&frame), id, "{kind}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_passed_over() {
        assert_eq!(find_mark(b"a@b @1 @1. @1.2 @3.4;"), Some((3, 4)));
        assert_eq!(find_mark(b"nobody@example.com"), None);
        assert_eq!(find_mark(b"@99999999999999999999.1;"), None);
    }

    #[test]
    fn filling_never_cuts_a_mark() {
        assert_eq!(marked(1, 22, 0), "@1.22;");
        assert_eq!(marked(1, 22, 9), "@1.22;xxx");
    }
}
