use bytes::Bytes;
use bytestring::ByteString;

use super::members::{Member, Members};
use super::write::ObjectWriter;
use crate::frame::{
    AckId, AnswerTo, DecodeError, FrameError, GroupStateItem, Message, Sender, SequenceId,
    ServerFrame, StreamError, StreamInfo,
};
use crate::limits;
use crate::metadata::Metadata;
use crate::payload::Payload;

/// Writes a frame as the service sends it.
#[must_use]
pub fn encode_server(frame: &ServerFrame) -> String {
    let frame_of = ObjectWriter::frame;
    match frame {
        ServerFrame::Message(message) => {
            let body = encode_message(message);
            return match message.sequence_id {
                Some(id) => number_message(&body, id),
                None => body,
            };
        }
        ServerFrame::Connected {
            connection_id,
            user_id,
            reconnection_token,
        } => frame_of("system")
            .text("event", "connected")
            .text_or_null("userId", user_id.as_deref())
            .text("connectionId", connection_id)
            .text_if("reconnectionToken", reconnection_token.as_deref()),
        ServerFrame::Disconnected { message } => frame_of("system")
            .text("event", "disconnected")
            .text("message", message),
        ServerFrame::Ack { ack_id, error } => {
            let out = frame_of("ack")
                .display("ackId", ack_id)
                .boolean("success", error.is_none());
            with_error(out, error.as_ref())
        }
        ServerFrame::Pong => frame_of("pong"),
        ServerFrame::InvokeResponse {
            invocation_id,
            result,
            metadata,
        } => {
            let out = frame_of("invokeResponse")
                .text("invocationId", invocation_id)
                .boolean("success", result.is_ok());
            match result {
                Ok(Some(payload)) => out.payload(payload).metadata_if(metadata),
                Ok(None) => out.metadata_if(metadata),
                Err(error) => with_error(out, Some(error)),
            }
        }
        ServerFrame::StreamAck {
            stream_id,
            expected_sequence_id,
        } => frame_of("streamAck")
            .text("streamId", stream_id)
            .display("expectedSequenceId", expected_sequence_id),
        ServerFrame::StreamNack {
            stream_id,
            error,
            expected_sequence_id,
        } => frame_of("streamNack")
            .text("streamId", stream_id)
            .text("name", &error.name)
            .text_if("message", error.message.as_deref())
            .display("expectedSequenceId", expected_sequence_id),
        ServerFrame::StreamClosed { stream_id, error } => with_error(
            frame_of("streamClosed").text("streamId", stream_id),
            error.as_ref(),
        ),
        ServerFrame::GroupStateSnapshot {
            sequence_id,
            group,
            items,
        } => group_state("groupStateSnapshot", *sequence_id, group.as_str(), items),
        ServerFrame::GroupStateUpdate {
            sequence_id,
            group,
            items,
        } => group_state("groupStateUpdate", *sequence_id, group.as_str(), items),
    }
    .finish()
}

/// Writes a message without its sequence id: the part that all its recipients share.
///
/// On a reliable connection, [`number_message`] turns it into the frame of one recipient; on others it is the
/// frame.
#[must_use]
pub fn encode_message(message: &Message) -> String {
    let out = ObjectWriter::frame_with("message", &message.payload);
    let out = match &message.from {
        Sender::Server => out.text("from", "server"),
        Sender::Group {
            group,
            from_user_id,
        } => out
            .text("from", "group")
            .text_or_null("fromUserId", from_user_id.as_deref())
            .text("group", group.as_str()),
    };
    let out = out.payload(&message.payload).metadata_if(&message.metadata);
    let out = match &message.stream {
        Some(stream) => out.raw("stream", &stream_info(stream)),
        None => out,
    };
    out.finish()
}

/// Puts a sequence id in front of what [`encode_message`] wrote.
#[must_use]
pub fn number_message(body: &str, id: SequenceId) -> String {
    format!("{{\"sequenceId\":{id},{}", &body[1..])
}

fn with_error(out: ObjectWriter, error: Option<&FrameError>) -> ObjectWriter {
    match error {
        Some(FrameError { name, message }) => {
            let error = ObjectWriter::new(64)
                .text("name", name)
                .text_if("message", message.as_deref());
            out.raw("error", &error.finish())
        }
        None => out,
    }
}

fn stream_info(stream: &StreamInfo) -> String {
    let out = ObjectWriter::new(96)
        .text("streamId", &stream.stream_id)
        .display("streamSequenceId", stream.stream_sequence_id)
        .display_if("endOfStream", stream.end_of_stream.then_some(true));
    let out = match &stream.error {
        Some(StreamError {
            name,
            message,
            user_error_code,
        }) => {
            let error = ObjectWriter::new(64)
                .text("name", name)
                .text_if("message", message.as_deref())
                .text_if("userErrorCode", user_error_code.as_deref());
            out.raw("error", &error.finish())
        }
        None => out,
    };
    out.finish()
}

fn group_state(
    kind: &'static str,
    sequence_id: Option<SequenceId>,
    group: &str,
    items: &[GroupStateItem],
) -> ObjectWriter {
    let items = items.iter().map(|item| {
        let out = ObjectWriter::new(96)
            .text("connectionId", &item.connection_id)
            .text_if("userId", item.user_id.as_deref());
        let out = match &item.state {
            Some(state) => out.map("state", state.iter().map(|(k, v)| (k.as_str(), v.as_str()))),
            None => out,
        };
        out.display("updatedAt", item.updated_at).finish()
    });
    let items: Vec<String> = items.collect();
    ObjectWriter::new(128)
        .display_if("sequenceId", sequence_id)
        .text("type", kind)
        .text("group", group)
        .raw("items", &format!("[{}]", items.join(",")))
}

/// Reads a frame that the service sent.
///
/// The decoder is as tolerant as the protocol requires: it skips unknown members and treats `null` as absent;
/// data of the type `protobuf` need not be a `google.protobuf.Any`, and the last message of a stream may lack
/// a payload, which then is an empty text.
///
/// # Errors
///
/// [`DecodeError::Unknown`] for a `type`, `event`, `from` or `dataType` of a newer service, which clients
/// skip; [`DecodeError::Answer`] for an answer of which only the request is clear. All others mean that the
/// bytes are not a frame.
pub fn decode_server(frame: impl Into<Bytes>) -> Result<ServerFrame, DecodeError> {
    let text = super::text_within(frame.into(), limits::SERVER_FRAME_BYTES)?;
    decode_server_text(&text)
}

/// As [`decode_server`], from what is known to be UTF-8.
///
/// # Errors
///
/// As [`decode_server`].
pub fn decode_server_text(text: &ByteString) -> Result<ServerFrame, DecodeError> {
    super::check_size(text.len(), limits::SERVER_FRAME_BYTES)?;
    let members = Members::of_frame(text)?;
    let members = &members;
    match &*members.required_text(Member::Type)? {
        "message" => message(members).map(ServerFrame::Message),
        "ack" => {
            let ack_id = AckId(members.required_integer(Member::AckId)?);
            match outcome(members) {
                Ok(result) => Ok(ServerFrame::Ack {
                    ack_id,
                    error: result.err(),
                }),
                Err(error) => Err(error.of_answer(AnswerTo::Ack(ack_id))),
            }
        }
        "pong" => Ok(ServerFrame::Pong),
        "system" => system(members),
        "invokeResponse" => {
            let invocation_id = members.required_shared(Member::InvocationId)?;
            match invoke_result(members) {
                Ok((result, metadata)) => Ok(ServerFrame::InvokeResponse {
                    invocation_id,
                    result,
                    metadata,
                }),
                Err(error) => Err(error.of_answer(AnswerTo::Invocation(invocation_id))),
            }
        }
        "streamAck" => Ok(ServerFrame::StreamAck {
            stream_id: members.required_shared(Member::StreamId)?,
            expected_sequence_id: members.required_integer(Member::ExpectedSequenceId)?,
        }),
        "streamNack" => Ok(ServerFrame::StreamNack {
            stream_id: members.required_shared(Member::StreamId)?,
            error: named_error(members)?,
            expected_sequence_id: members.required_integer(Member::ExpectedSequenceId)?,
        }),
        "streamClosed" => Ok(ServerFrame::StreamClosed {
            stream_id: members.required_shared(Member::StreamId)?,
            // Whatever it says, the stream is over.
            error: members
                .nullable_object(Member::Error)
                .and_then(|error| error.map(|error| named_error(&error)).transpose())
                .unwrap_or_else(|_| Some(FrameError::unnamed())),
        }),
        "groupStateSnapshot" => Ok(ServerFrame::GroupStateSnapshot {
            sequence_id: sequence_id(members)?,
            group: members.group()?,
            items: state_items(members)?,
        }),
        "groupStateUpdate" => Ok(ServerFrame::GroupStateUpdate {
            sequence_id: sequence_id(members)?,
            group: members.group()?,
            items: state_items(members)?,
        }),
        _ => Err(DecodeError::Unknown("type")),
    }
}

fn sequence_id(members: &Members<'_>) -> Result<Option<SequenceId>, DecodeError> {
    Ok(members
        .nullable_integer(Member::SequenceId)?
        .map(SequenceId))
}

fn message(members: &Members<'_>) -> Result<Message, DecodeError> {
    let from = match &*members.required_text(Member::From)? {
        "server" => Sender::Server,
        "group" => Sender::Group {
            group: members.brief_group()?,
            from_user_id: members.nullable_brief(Member::FromUserId)?,
        },
        _ => return Err(DecodeError::Unknown("from")),
    };
    // A place that cannot be read is not worth losing the message for.
    let mut stream = (members.nullable_object(Member::Stream).ok().flatten())
        .and_then(|stream| read_stream(&stream).ok().flatten())
        .map(Box::new);
    let payload = match (received_payload(members), &mut stream) {
        (Ok(payload), _) => payload,
        // Its readers must not wait for the end of a stream because its last words are missing …
        (Err(DecodeError::Missing(_)), Some(stream)) if stream.end_of_stream => Payload::text(""),
        // … or cannot be read.
        (Err(error), Some(stream)) if stream.end_of_stream => {
            stream.error.get_or_insert_with(|| StreamError {
                name: "InvalidData".into(),
                message: Some(error.to_string().into()),
                user_error_code: None,
            });
            Payload::text("")
        }
        (Err(error), _) => return Err(error),
    };
    Ok(Message {
        sequence_id: sequence_id(members)?,
        from,
        payload,
        metadata: members.metadata()?.unwrap_or_default(),
        stream,
    })
}

fn received_payload(members: &Members<'_>) -> Result<Payload, DecodeError> {
    let data_type = members
        .data_type()?
        .ok_or(DecodeError::Missing("dataType"))?;
    members.received_payload(data_type)
}

/// Result and metadata of an `invokeResponse`.
fn invoke_result(
    members: &Members<'_>,
) -> Result<(Result<Option<Payload>, FrameError>, Metadata), DecodeError> {
    let result = match outcome(members)? {
        Ok(()) if members.has(Member::Data) => Ok(members
            .data_type()?
            .map(|data_type| members.received_payload(data_type))
            .transpose()?),
        Ok(()) => Ok(None),
        Err(error) => Err(error),
    };
    Ok((result, members.metadata()?.unwrap_or_default()))
}

fn system(members: &Members<'_>) -> Result<ServerFrame, DecodeError> {
    match &*members.required_text(Member::Event)? {
        "connected" => Ok(ServerFrame::Connected {
            connection_id: members.required_shared(Member::ConnectionId)?,
            user_id: members.nullable_shared(Member::UserId)?,
            reconnection_token: members.nullable_shared(Member::ReconnectionToken)?,
        }),
        "disconnected" => Ok(ServerFrame::Disconnected {
            message: members
                .nullable_shared(Member::Message)?
                .map(String::from)
                .unwrap_or_default(),
        }),
        _ => Err(DecodeError::Unknown("event")),
    }
}

/// `success` and `error` of an answer.
fn outcome(members: &Members<'_>) -> Result<Result<(), FrameError>, DecodeError> {
    // What does not say that it succeeded has failed: its request must not wait for ever.
    if members.boolean(Member::Success)?.unwrap_or(false) {
        return Ok(Ok(()));
    }
    match members.nullable_object(Member::Error)? {
        Some(error) => named_error(&error).map(Err),
        None => Ok(Err(FrameError::unnamed())),
    }
}

fn named_error(members: &Members<'_>) -> Result<FrameError, DecodeError> {
    Ok(FrameError {
        // A failure without a name is still a failure.
        name: members.nullable_shared(Member::Name)?.unwrap_or_default(),
        message: members.nullable_shared(Member::Message)?,
    })
}

/// `None` without a number: official clients take such a message for an ordinary one.
fn read_stream(members: &Members<'_>) -> Result<Option<StreamInfo>, DecodeError> {
    let Ok(Some(stream_sequence_id)) = members.integer(Member::StreamSequenceId) else {
        return Ok(None);
    };
    Ok(Some(StreamInfo {
        stream_id: members.required_shared(Member::StreamId)?,
        stream_sequence_id,
        end_of_stream: members.boolean(Member::EndOfStream)?.unwrap_or(false),
        error: members
            .nullable_object(Member::Error)?
            .map(|error| {
                Ok(StreamError {
                    name: error.required_shared(Member::Name)?,
                    message: error.nullable_shared(Member::Message)?,
                    user_error_code: error.nullable_shared(Member::UserErrorCode)?,
                })
            })
            .transpose()?,
    }))
}

fn state_items(members: &Members<'_>) -> Result<Vec<GroupStateItem>, DecodeError> {
    members
        .objects(Member::Items)?
        .iter()
        .map(|item| {
            Ok(GroupStateItem {
                connection_id: item.required_shared(Member::ConnectionId)?,
                user_id: item.nullable_shared(Member::UserId)?,
                state: item.string_map(Member::State)?,
                updated_at: item.required_integer(Member::UpdatedAt)?,
            })
        })
        .collect()
}
