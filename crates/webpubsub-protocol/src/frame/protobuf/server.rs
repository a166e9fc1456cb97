use bytes::Bytes;
use bytestring::ByteString;
use prost::Message as _;

use super::value;
use crate::frame::{
    AckId, AnswerTo, DecodeError, FrameError, GroupStateItem, Message, Sender, SequenceId,
    ServerFrame, StreamError, StreamInfo,
};
use crate::generated::webpubsub as wire;
use crate::generated::webpubsub::downstream_message as down;
use crate::limits;
use crate::payload::Payload;

/// Writes a frame as the service sends it.
#[must_use]
pub fn encode_server(frame: &ServerFrame) -> Bytes {
    wrap(match frame {
        ServerFrame::Message(message) => down::Message::DataMessage(down::DataMessage {
            sequence_id: message.sequence_id.map(|id| id.0),
            ..data_message(message)
        }),
        ServerFrame::Connected {
            connection_id,
            user_id,
            reconnection_token,
        } => system(down::system_message::Message::ConnectedMessage(
            down::system_message::ConnectedMessage {
                connection_id: connection_id.to_string(),
                user_id: text_or_empty(user_id.as_deref()),
                reconnection_token: reconnection_token.as_ref().map(ToString::to_string),
            },
        )),
        ServerFrame::Disconnected { message } => {
            system(down::system_message::Message::DisconnectedMessage(
                down::system_message::DisconnectedMessage {
                    reason: message.clone(),
                },
            ))
        }
        ServerFrame::Ack { ack_id, error } => down::Message::AckMessage(down::AckMessage {
            ack_id: ack_id.0,
            success: error.is_none(),
            error: error.as_ref().map(|error| down::ack_message::ErrorMessage {
                name: error.name.to_string(),
                message: text_or_empty(error.message.as_deref()),
            }),
        }),
        ServerFrame::Pong => down::Message::PongMessage(down::PongMessage {}),
        ServerFrame::InvokeResponse {
            invocation_id,
            result,
            metadata,
        } => down::Message::InvokeResponseMessage(down::InvokeResponseMessage {
            invocation_id: invocation_id.to_string(),
            success: result.is_ok(),
            data: result
                .as_ref()
                .ok()
                .and_then(Option::as_ref)
                .map(value::data),
            error: result
                .as_ref()
                .err()
                .map(|error| down::invoke_response_message::ErrorMessage {
                    name: error.name.to_string(),
                    message: text_or_empty(error.message.as_deref()),
                }),
            metadata: value::metadata_entries(metadata),
        }),
        ServerFrame::StreamAck {
            stream_id,
            expected_sequence_id,
        } => down::Message::StreamAckMessage(down::StreamAckMessage {
            stream_id: stream_id.to_string(),
            expected_sequence_id: *expected_sequence_id,
        }),
        ServerFrame::StreamNack {
            stream_id,
            error,
            expected_sequence_id,
        } => down::Message::StreamNackMessage(down::StreamNackMessage {
            stream_id: stream_id.to_string(),
            name: error.name.to_string(),
            message: text_or_empty(error.message.as_deref()),
            expected_sequence_id: *expected_sequence_id,
        }),
        ServerFrame::StreamClosed { stream_id, error } => {
            down::Message::StreamClosedMessage(down::StreamClosedMessage {
                stream_id: stream_id.to_string(),
                error: error
                    .as_ref()
                    .map(|error| down::stream_closed_message::StreamClosedError {
                        name: error.name.to_string(),
                        message: text_or_empty(error.message.as_deref()),
                    }),
            })
        }
        ServerFrame::GroupStateSnapshot {
            sequence_id,
            group,
            items,
        } => down::Message::GroupStateSnapshotMessage(down::GroupStateSnapshotMessage {
            group: group.to_string(),
            items: items.iter().map(wire_state_item).collect(),
            sequence_id: sequence_id.map(|id| id.0),
        }),
        ServerFrame::GroupStateUpdate {
            sequence_id,
            group,
            items,
        } => down::Message::GroupStateUpdateMessage(down::GroupStateUpdateMessage {
            group: group.to_string(),
            items: items.iter().map(wire_state_item).collect(),
            sequence_id: sequence_id.map(|id| id.0),
        }),
    })
}

/// Writes a message without its sequence id: the part that all its recipients share.
///
/// On a reliable connection, [`number_message`] turns it into the frame of one recipient; on others it is the
/// frame.
#[must_use]
pub fn encode_message(message: &Message) -> Bytes {
    wrap(down::Message::DataMessage(data_message(message)))
}

/// Puts a sequence id into what [`encode_message`] wrote, at its canonical place: after the
/// payload, before metadata and stream.
///
/// # Panics
///
/// When `body` is not what [`encode_message`] wrote.
#[must_use]
pub fn number_message(body: &[u8], id: SequenceId) -> Bytes {
    let number = MessageNumber::new(body, id);
    let parts = [
        number.head(),
        &body[number.skipped()..number.at()],
        number.id(),
        &body[number.at()..],
    ];
    parts.concat().into()
}

/// The parts that turn the shared body of a message into the frame of one recipient, for senders that do not
/// want to copy the body.
///
/// The frame is the [`head`](Self::head), the body from [`skipped`](Self::skipped) to [`at`](Self::at), the
/// [`id`](Self::id), and the rest of the body.
#[derive(Debug, Clone, Copy)]
pub struct MessageNumber {
    bytes: [u8; Self::BYTES],
    head: usize,
    id: usize,
    skipped: usize,
    at: usize,
}

impl MessageNumber {
    /// The most bytes of head and id together: two keys, a length and a number.
    const BYTES: usize = 1 + 10 + 1 + 10;

    /// How `id` is put into `body`, which [`encode_message`] wrote.
    ///
    /// # Panics
    ///
    /// When `body` is something else.
    #[must_use]
    pub fn new(body: &[u8], id: SequenceId) -> Self {
        let (message, _) = split_field(body);
        // Encodings of parts of a message may be joined, so a message with only an id is the member.
        let member = down::DataMessage {
            sequence_id: Some(id.0),
            ..Default::default()
        };
        Self::at_offset(body, message.len(), sequence_id_offset(message), &member)
    }

    /// How `id` is put into `body`, which [`encode_server`] made of a snapshot or an update of group state without a
    /// sequence id: there it is the last member.
    ///
    /// # Panics
    ///
    /// When `body` is something else.
    #[must_use]
    pub fn of_state(body: &[u8], id: SequenceId) -> Self {
        let (message, _) = split_field(body);
        let member = down::GroupStateUpdateMessage {
            sequence_id: Some(id.0),
            ..Default::default()
        };
        Self::at_offset(body, message.len(), message.len(), &member)
    }

    fn at_offset(body: &[u8], message: usize, offset: usize, member: &impl prost::Message) -> Self {
        let skipped = body.len() - message;
        let id = member.encoded_len();
        let mut bytes = [0; Self::BYTES];
        bytes[0] = body[0];
        let mut rest = &mut bytes[1..];
        let room = rest.len();
        prost::encode_length_delimiter(message + id, &mut rest).expect("room for a length");
        let head = 1 + room - rest.len();
        member.encode(&mut rest).expect("room for a number");
        Self {
            bytes,
            head,
            id,
            skipped,
            at: skipped + offset,
        }
    }

    /// What the frame begins with.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head]
    }

    /// How many bytes of the body the head replaces.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Where in the body the id goes.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The encoded id.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.bytes[self.head..self.head + self.id]
    }
}

/// Where a sequence id belongs in an encoded `DataMessage`: before the first member with a larger
/// number. The members before it are all length-delimited, as the loop relies on.
fn sequence_id_offset(message: &[u8]) -> usize {
    const SEQUENCE_ID_KEY: u8 = 4 << 3;
    let mut rest = message;
    while rest.first().is_some_and(|&key| key < SEQUENCE_ID_KEY) {
        rest = split_field(rest).1;
    }
    message.len() - rest.len()
}

/// The value of the length-delimited member that `bytes` begin with, and what follows it. Its key
/// is one byte.
fn split_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = &bytes[1..];
    let len = prost::decode_length_delimiter(&mut rest).expect("a length that we wrote");
    rest.split_at(len)
}

fn wrap(message: down::Message) -> Bytes {
    wire::DownstreamMessage {
        message: Some(message),
    }
    .encode_to_vec()
    .into()
}

fn system(message: down::system_message::Message) -> down::Message {
    down::Message::SystemMessage(down::SystemMessage {
        message: Some(message),
    })
}

fn data_message(message: &Message) -> down::DataMessage {
    let (from, group) = match &message.from {
        Sender::Server => ("server", None),
        Sender::Group { group, .. } => ("group", Some(group.to_string())),
    };
    down::DataMessage {
        from: from.to_owned(),
        group,
        data: Some(value::data(&message.payload)),
        sequence_id: None,
        metadata: value::metadata_entries(&message.metadata),
        stream: message.stream.as_deref().map(wire_stream),
    }
}

fn wire_stream(stream: &StreamInfo) -> wire::StreamInfo {
    wire::StreamInfo {
        stream_id: stream.stream_id.to_string(),
        stream_sequence_id: stream.stream_sequence_id,
        end_of_stream: stream.end_of_stream.then_some(true),
        error: stream
            .error
            .as_ref()
            .map(|error| wire::stream_info::StreamError {
                name: error.name.to_string(),
                message: text_or_empty(error.message.as_deref()),
                user_error_code: text_or_empty(error.user_error_code.as_deref()),
            }),
    }
}

fn wire_state_item(item: &GroupStateItem) -> wire::GroupStateItem {
    wire::GroupStateItem {
        connection_id: item.connection_id.to_string(),
        user_id: item.user_id.as_ref().map(ToString::to_string),
        state: item.state.as_deref().map(value::state_entries),
        updated_at: item.updated_at,
    }
}

fn text_or_empty(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// Reads a frame that the service sent.
///
/// Tolerant as the protocol asks: unknown members are skipped, data of the type `protobuf` need not
/// be a `google.protobuf.Any`, and the last message of a stream may lack its payload, which is an
/// empty text then.
///
/// # Errors
///
/// [`DecodeError::Unknown`] for a frame, a system message, a `from` or a payload of a newer
/// service, which a client skips; [`DecodeError::Answer`] for an answer of which only the request is
/// clear; the others mean that the bytes are not a frame.
pub fn decode_server(frame: impl Into<Bytes>) -> Result<ServerFrame, DecodeError> {
    let frame: wire::DownstreamMessage = super::parse(frame.into(), limits::SERVER_FRAME_BYTES)?;
    match frame.message.ok_or(DecodeError::Unknown("message"))? {
        down::Message::DataMessage(m) => message(m).map(ServerFrame::Message),
        down::Message::AckMessage(m) => Ok(ServerFrame::Ack {
            ack_id: AckId(m.ack_id),
            error: (!m.success).then(|| {
                let error = m.error.unwrap_or_default();
                named_error(error.name, error.message)
            }),
        }),
        down::Message::PongMessage(_) => Ok(ServerFrame::Pong),
        down::Message::SystemMessage(m) => read_system(m),
        down::Message::InvokeResponseMessage(m) => {
            let invocation_id: ByteString = m.invocation_id.into();
            let result = if m.success {
                value::received_payload(m.data).map(Ok)
            } else {
                let error = m.error.unwrap_or_default();
                Ok(Err(named_error(error.name, error.message)))
            };
            match (result, value::metadata(m.metadata)) {
                (Ok(result), Ok(metadata)) => Ok(ServerFrame::InvokeResponse {
                    invocation_id,
                    result,
                    metadata,
                }),
                (Err(error), _) | (_, Err(error)) => {
                    Err(error.of_answer(AnswerTo::Invocation(invocation_id)))
                }
            }
        }
        down::Message::StreamAckMessage(m) => Ok(ServerFrame::StreamAck {
            stream_id: m.stream_id.into(),
            expected_sequence_id: m.expected_sequence_id,
        }),
        down::Message::StreamNackMessage(m) => Ok(ServerFrame::StreamNack {
            stream_id: m.stream_id.into(),
            error: named_error(m.name, m.message),
            expected_sequence_id: m.expected_sequence_id,
        }),
        down::Message::StreamClosedMessage(m) => Ok(ServerFrame::StreamClosed {
            stream_id: m.stream_id.into(),
            error: m.error.map(|error| named_error(error.name, error.message)),
        }),
        down::Message::GroupStateSnapshotMessage(m) => Ok(ServerFrame::GroupStateSnapshot {
            sequence_id: m.sequence_id.map(SequenceId),
            group: value::group(m.group)?,
            items: m.items.into_iter().map(state_item).collect(),
        }),
        down::Message::GroupStateUpdateMessage(m) => Ok(ServerFrame::GroupStateUpdate {
            sequence_id: m.sequence_id.map(SequenceId),
            group: value::group(m.group)?,
            items: m.items.into_iter().map(state_item).collect(),
        }),
    }
}

fn message(m: down::DataMessage) -> Result<Message, DecodeError> {
    let from = match m.from.as_str() {
        "server" => Sender::Server,
        "group" => Sender::Group {
            group: value::group(m.group.ok_or(DecodeError::Missing("group"))?)?,
            from_user_id: None,
        },
        _ => return Err(DecodeError::Unknown("from")),
    };
    let stream = m.stream.map(|stream| Box::new(read_stream(stream)));
    let is_last = stream.as_ref().is_some_and(|stream| stream.end_of_stream);
    let payload = match (m.data, is_last) {
        (None, true) => Payload::text(""),
        (None, false) => return Err(DecodeError::Missing("data")),
        // Set, but to a kind of payload that this version does not know.
        (data @ Some(_), _) => {
            value::received_payload(data)?.ok_or(DecodeError::Unknown("data"))?
        }
    };
    Ok(Message {
        sequence_id: m.sequence_id.map(SequenceId),
        from,
        payload,
        metadata: value::metadata(m.metadata)?,
        stream,
    })
}

fn read_system(m: down::SystemMessage) -> Result<ServerFrame, DecodeError> {
    use down::system_message::Message;
    match m.message.ok_or(DecodeError::Unknown("system_message"))? {
        Message::ConnectedMessage(m) => Ok(ServerFrame::Connected {
            connection_id: m.connection_id.into(),
            user_id: value::non_empty(m.user_id),
            reconnection_token: m.reconnection_token.map(Into::into),
        }),
        Message::DisconnectedMessage(m) => Ok(ServerFrame::Disconnected { message: m.reason }),
    }
}

fn named_error(name: String, message: String) -> FrameError {
    FrameError {
        name: name.into(),
        message: value::non_empty(message),
    }
}

fn read_stream(m: wire::StreamInfo) -> StreamInfo {
    StreamInfo {
        stream_id: m.stream_id.into(),
        stream_sequence_id: m.stream_sequence_id,
        end_of_stream: m.end_of_stream.unwrap_or(false),
        error: m.error.map(|error| StreamError {
            name: error.name.into(),
            message: value::non_empty(error.message),
            user_error_code: value::non_empty(error.user_error_code),
        }),
    }
}

fn state_item(m: wire::GroupStateItem) -> GroupStateItem {
    GroupStateItem {
        connection_id: m.connection_id.into(),
        user_id: m.user_id.map(Into::into),
        state: m.state.map(value::state),
        updated_at: m.updated_at,
    }
}
