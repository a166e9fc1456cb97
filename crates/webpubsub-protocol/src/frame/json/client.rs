use std::time::Duration;

use bytes::Bytes;

use super::members::{Member, Members};
use super::write::ObjectWriter;
use crate::frame::{ClientFrame, DecodeError, Invocation, SequenceId, StreamEndError, StreamStart};
use crate::limits;
use crate::metadata::Metadata;
use crate::name::EventName;
use crate::payload::{DataType, Payload};

/// Reads a frame that a client sent.
///
/// The values of `type` and `dataType` are not case-sensitive, the names of members are. Unknown members
/// are skipped. `null` counts as absent for `ackId`, `metadata` and `ttlSeconds`, and is an error for the
/// other members.
///
/// # Errors
///
/// If the frame is malformed: the service then closes the connection with 1007, or with 1009 for
/// [`DecodeError::TooLarge`]. A mistake that only ends a stream or an invocation is part of the frame
/// instead.
pub fn decode_client(frame: impl Into<Bytes>) -> Result<ClientFrame, DecodeError> {
    let text = super::text_within(frame.into(), limits::MESSAGE_BYTES)?;
    let members = Members::of_frame(&text)?;
    let kind = members.required_text(Member::Type)?;
    let is = |name: &str| kind.eq_ignore_ascii_case(name);

    if is("sendToGroup") {
        if members.has(Member::Stream) {
            open_stream(&members)
        } else {
            send_to_group(&members)
        }
    } else if is("event") {
        event(&members)
    } else if is("sequenceAck") {
        Ok(ClientFrame::SequenceAck {
            sequence_id: SequenceId(members.required_integer(Member::SequenceId)?),
        })
    } else if is("ping") {
        Ok(ClientFrame::Ping)
    } else if is("joinGroup") {
        Ok(ClientFrame::JoinGroup {
            group: members.group()?,
            ack_id: members.ack_id()?,
        })
    } else if is("leaveGroup") {
        Ok(ClientFrame::LeaveGroup {
            group: members.group()?,
            ack_id: members.ack_id()?,
        })
    } else if is("streamData") {
        stream_data(&members)
    } else if is("streamEnd") {
        stream_end(&members)
    } else if is("invoke") {
        Ok(ClientFrame::Invoke {
            invocation_id: members.required_shared(Member::InvocationId)?,
            call: invocation(&members),
        })
    } else if is("cancelInvocation") {
        Ok(ClientFrame::CancelInvocation {
            invocation_id: members.required_shared(Member::InvocationId)?,
        })
    } else if is("setGroupState") {
        Ok(ClientFrame::SetGroupState {
            group: members.group()?,
            ack_id: members.ack_id()?,
            state: members.string_map(Member::State)?,
        })
    } else if is("subscribeGroupState") {
        Ok(ClientFrame::SubscribeGroupState {
            group: members.group()?,
            ack_id: members.ack_id()?,
        })
    } else if is("unsubscribeGroupState") {
        Ok(ClientFrame::UnsubscribeGroupState {
            group: members.group()?,
            ack_id: members.ack_id()?,
        })
    } else {
        Err(DecodeError::Unknown("type"))
    }
}

fn send_to_group(members: &Members<'_>) -> Result<ClientFrame, DecodeError> {
    let ttl_seconds = members.nullable_integer(Member::TtlSeconds)?.unwrap_or(0);
    if ttl_seconds > limits::MESSAGE_TTL_SECONDS {
        return Err(DecodeError::Invalid("ttlSeconds"));
    }
    let (metadata, payload) = message(members)?;
    Ok(ClientFrame::SendToGroup {
        group: members.group()?,
        ack_id: members.ack_id()?,
        no_echo: members.boolean(Member::NoEcho)?.unwrap_or(false),
        ttl_seconds,
        metadata,
        payload,
    })
}

fn event(members: &Members<'_>) -> Result<ClientFrame, DecodeError> {
    if members.has(Member::Stream) {
        return Err(DecodeError::Unexpected("stream"));
    }
    let (metadata, payload) = message(members)?;
    Ok(ClientFrame::Event {
        event: event_name(members)?,
        ack_id: members.ack_id()?,
        metadata,
        payload,
    })
}

fn event_name(members: &Members<'_>) -> Result<EventName, DecodeError> {
    EventName::new(members.required_shared(Member::Event)?)
        .map_err(|_| DecodeError::Invalid("event"))
}

/// Metadata and payload of a message. Metadata without data is an empty text.
fn message(members: &Members<'_>) -> Result<(Metadata, Payload), DecodeError> {
    let data_type = members.data_type()?;
    let metadata = members.metadata()?;
    if metadata.is_some() && !members.has(Member::Data) {
        return Ok((metadata.unwrap_or_default(), Payload::text("")));
    }
    let payload = members.payload(data_type.unwrap_or(DataType::Json))?;
    refuse_null(&payload)?;
    Ok((metadata.unwrap_or_default(), payload))
}

/// The service refuses `null` as a client's payload; official clients would not see it.
fn refuse_null(payload: &Payload) -> Result<(), DecodeError> {
    match payload {
        Payload::Json(json) if *json == "null" => Err(DecodeError::Invalid("data")),
        _ => Ok(()),
    }
}

fn open_stream(members: &Members<'_>) -> Result<ClientFrame, DecodeError> {
    let stream = members
        .object(Member::Stream)?
        .ok_or(DecodeError::Missing("stream"))?;
    let stream_id = stream.required_shared(Member::StreamId)?;
    let group = members.group()?;
    let no_echo = members.boolean(Member::NoEcho)?.unwrap_or(false);
    let idle_timeout_ms: Option<i64> = stream.nullable_integer(Member::IdleTimeoutMs)?;

    let idle_timeout = idle_timeout_ms
        .map(|ms| {
            u64::try_from(ms)
                .ok()
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis)
                .ok_or(DecodeError::Invalid("idleTimeoutMs"))
        })
        .transpose();
    let start = if stream_id.is_empty() {
        Err(DecodeError::Invalid("streamId"))
    } else if members.has(Member::Data) {
        Err(DecodeError::Unexpected("data"))
    } else if members.has(Member::DataType) {
        Err(DecodeError::Unexpected("dataType"))
    } else {
        idle_timeout.map(|idle_timeout| StreamStart {
            group,
            no_echo,
            idle_timeout,
        })
    };
    Ok(ClientFrame::OpenStream { stream_id, start })
}

fn stream_data(members: &Members<'_>) -> Result<ClientFrame, DecodeError> {
    let stream_id = members.required_shared(Member::StreamId)?;
    let number: Option<u64> = members.integer(Member::StreamSequenceId)?;
    let data_type = members.data_type()?;
    let fragment = match (number, data_type, members.has(Member::Data)) {
        (None, None, false) => Ok(None),
        (Some(number), Some(data_type), true) => {
            let payload = members.payload(data_type)?;
            refuse_null(&payload)?;
            Ok(Some((number, payload)))
        }
        (None, ..) => Err(DecodeError::Missing("streamSequenceId")),
        (_, None, _) => Err(DecodeError::Missing("dataType")),
        (.., false) => Err(DecodeError::Missing("data")),
    };
    Ok(ClientFrame::StreamData {
        stream_id,
        fragment,
    })
}

fn stream_end(members: &Members<'_>) -> Result<ClientFrame, DecodeError> {
    let error = members.nullable_object(Member::Error)?;
    Ok(ClientFrame::EndStream {
        stream_id: members.required_shared(Member::StreamId)?,
        error: error
            .map(|error| {
                if error.has(Member::Name) {
                    return Err(DecodeError::Unexpected("error.name"));
                }
                Ok(StreamEndError {
                    message: error.nullable_shared(Member::Message)?.map(String::from),
                    user_error_code: error
                        .nullable_shared(Member::UserErrorCode)?
                        .map(String::from),
                })
            })
            .transpose()?,
    })
}

fn invocation(members: &Members<'_>) -> Result<Invocation, DecodeError> {
    let target = members.required_text(Member::Target)?;
    if target != "event" {
        return Err(DecodeError::Unknown("target"));
    }
    let payload = match (members.data_type()?, members.has(Member::Data)) {
        (None, false) => None,
        (Some(data_type), true) => Some(members.payload(data_type)?),
        (None, true) => return Err(DecodeError::Missing("dataType")),
        (Some(_), false) => return Err(DecodeError::Missing("data")),
    };
    Ok(Invocation {
        event: event_name(members)?,
        metadata: members.metadata()?.unwrap_or_default(),
        payload,
    })
}

/// Writes a frame as a client sends it, members in the order of the official clients.
///
/// No client would send a stream or an invocation that contains an error: such a frame is written without
/// the part that is in error.
#[must_use]
pub fn encode_client(frame: &ClientFrame) -> String {
    let frame_of = ObjectWriter::frame;
    match frame {
        ClientFrame::JoinGroup { group, ack_id } => frame_of("joinGroup")
            .text("group", group.as_str())
            .display_if("ackId", *ack_id),
        ClientFrame::LeaveGroup { group, ack_id } => frame_of("leaveGroup")
            .text("group", group.as_str())
            .display_if("ackId", *ack_id),
        ClientFrame::SendToGroup {
            group,
            ack_id,
            no_echo,
            ttl_seconds,
            metadata,
            payload,
        } => ObjectWriter::frame_with("sendToGroup", payload)
            .text("group", group.as_str())
            .display_if("ackId", *ack_id)
            .boolean("noEcho", *no_echo)
            .display_if("ttlSeconds", (*ttl_seconds > 0).then_some(ttl_seconds))
            .metadata_if(metadata)
            .payload(payload),
        ClientFrame::OpenStream { stream_id, start } => {
            let mut stream = ObjectWriter::new(64).text("streamId", stream_id);
            let mut out = frame_of("sendToGroup");
            if let Ok(start) = start {
                out = out
                    .text("group", start.group.as_str())
                    .boolean("noEcho", start.no_echo);
                stream = stream.display_if(
                    "idleTimeoutMs",
                    start.idle_timeout.map(|timeout| timeout.as_millis()),
                );
            }
            out.raw("stream", &stream.finish())
        }
        ClientFrame::StreamData {
            stream_id,
            fragment,
        } => {
            let out = frame_of("streamData").text("streamId", stream_id);
            match fragment {
                Ok(Some((number, payload))) => {
                    out.display("streamSequenceId", number).payload(payload)
                }
                _ => out,
            }
        }
        ClientFrame::EndStream { stream_id, error } => {
            let out = frame_of("streamEnd").text("streamId", stream_id);
            match error {
                Some(error) => {
                    let error = ObjectWriter::new(64)
                        .text_if("message", error.message.as_deref())
                        .text_if("userErrorCode", error.user_error_code.as_deref());
                    out.raw("error", &error.finish())
                }
                None => out,
            }
        }
        ClientFrame::Event {
            event,
            ack_id,
            metadata,
            payload,
        } => ObjectWriter::frame_with("event", payload)
            .text("event", event.as_str())
            .display_if("ackId", *ack_id)
            .metadata_if(metadata)
            .payload(payload),
        ClientFrame::Invoke {
            invocation_id,
            call,
        } => {
            let out = frame_of("invoke")
                .text("invocationId", invocation_id)
                .text("target", "event");
            match call {
                Ok(Invocation {
                    event,
                    metadata,
                    payload,
                }) => {
                    let out = out.text("event", event.as_str()).metadata_if(metadata);
                    match payload {
                        Some(payload) => out.payload(payload),
                        None => out,
                    }
                }
                Err(_) => out,
            }
        }
        ClientFrame::CancelInvocation { invocation_id } => {
            frame_of("cancelInvocation").text("invocationId", invocation_id)
        }
        ClientFrame::SequenceAck { sequence_id } => {
            frame_of("sequenceAck").display("sequenceId", sequence_id)
        }
        ClientFrame::SetGroupState {
            group,
            ack_id,
            state,
        } => {
            let out = frame_of("setGroupState")
                .text("group", group.as_str())
                .display_if("ackId", *ack_id);
            match state {
                Some(state) => {
                    out.map("state", state.iter().map(|(k, v)| (k.as_str(), v.as_str())))
                }
                None => out,
            }
        }
        ClientFrame::SubscribeGroupState { group, ack_id } => frame_of("subscribeGroupState")
            .text("group", group.as_str())
            .display_if("ackId", *ack_id),
        ClientFrame::UnsubscribeGroupState { group, ack_id } => frame_of("unsubscribeGroupState")
            .text("group", group.as_str())
            .display_if("ackId", *ack_id),
        ClientFrame::Ping => frame_of("ping"),
    }
    .finish()
}
