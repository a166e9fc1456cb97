use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::value;
use crate::frame::{
    AckId, ClientFrame, DecodeError, Invocation, SequenceId, StreamEndError, StreamStart,
};
use crate::generated::webpubsub::{UpstreamMessage, upstream_message as up};
use crate::limits;
use crate::metadata::Metadata;
use crate::payload::Payload;

/// Reads a frame that a client sent.
///
/// # Errors
///
/// If the frame is malformed: the service then closes the connection with 1007, or with 1009 for
/// [`DecodeError::TooLarge`]. A mistake that only ends a stream or an invocation is part of the frame
/// instead.
pub fn decode_client(frame: impl Into<Bytes>) -> Result<ClientFrame, DecodeError> {
    let frame: UpstreamMessage = super::parse(frame.into(), limits::MESSAGE_BYTES)?;
    match frame.message.ok_or(DecodeError::Unknown("message"))? {
        up::Message::SendToGroupMessage(mut m) => match m.stream.take() {
            Some(stream) => open_stream(m, stream),
            None => send_to_group(m),
        },
        up::Message::EventMessage(m) => event(m),
        up::Message::JoinGroupMessage(m) => Ok(ClientFrame::JoinGroup {
            group: value::group(m.group)?,
            ack_id: m.ack_id.map(AckId),
        }),
        up::Message::LeaveGroupMessage(m) => Ok(ClientFrame::LeaveGroup {
            group: value::group(m.group)?,
            ack_id: m.ack_id.map(AckId),
        }),
        up::Message::SequenceAckMessage(m) => Ok(ClientFrame::SequenceAck {
            sequence_id: SequenceId(m.sequence_id),
        }),
        up::Message::PingMessage(_) => Ok(ClientFrame::Ping),
        up::Message::InvokeEventMessage(mut m) => Ok(ClientFrame::Invoke {
            invocation_id: value::non_empty(std::mem::take(&mut m.invocation_id))
                .ok_or(DecodeError::Missing("invocation_id"))?,
            call: invocation(m),
        }),
        up::Message::CancelInvocationMessage(m) => Ok(ClientFrame::CancelInvocation {
            invocation_id: value::non_empty(m.invocation_id)
                .ok_or(DecodeError::Missing("invocation_id"))?,
        }),
        up::Message::StreamDataMessage(m) => stream_data(m),
        up::Message::StreamEndMessage(m) => Ok(ClientFrame::EndStream {
            stream_id: m.stream_id.into(),
            error: m.error.map(|error| StreamEndError {
                message: error.message,
                user_error_code: error.user_error_code,
            }),
        }),
        up::Message::SetGroupStateMessage(m) => Ok(ClientFrame::SetGroupState {
            group: value::group(m.group)?,
            ack_id: m.ack_id.map(AckId),
            state: m.state.map(value::state),
        }),
        up::Message::SubscribeGroupStateMessage(m) => Ok(ClientFrame::SubscribeGroupState {
            group: value::group(m.group)?,
            ack_id: m.ack_id.map(AckId),
        }),
        up::Message::UnsubscribeGroupStateMessage(m) => Ok(ClientFrame::UnsubscribeGroupState {
            group: value::group(m.group)?,
            ack_id: m.ack_id.map(AckId),
        }),
    }
}

fn send_to_group(m: up::SendToGroupMessage) -> Result<ClientFrame, DecodeError> {
    let ttl_seconds = m.ttl_seconds.unwrap_or(0);
    if ttl_seconds > limits::MESSAGE_TTL_SECONDS {
        return Err(DecodeError::Invalid("ttl_seconds"));
    }
    let metadata = value::metadata(m.metadata)?;
    Ok(ClientFrame::SendToGroup {
        group: value::group(m.group)?,
        ack_id: m.ack_id.map(AckId),
        no_echo: m.no_echo.unwrap_or(false),
        ttl_seconds,
        payload: required_payload(value::payload(m.data)?, &metadata)?,
        metadata,
    })
}

fn event(m: up::EventMessage) -> Result<ClientFrame, DecodeError> {
    if m.stream.is_some() {
        return Err(DecodeError::Unexpected("stream"));
    }
    let metadata = value::metadata(m.metadata)?;
    Ok(ClientFrame::Event {
        event: value::event(m.event)?,
        ack_id: m.ack_id.map(AckId),
        payload: required_payload(value::payload(m.data)?, &metadata)?,
        metadata,
    })
}

/// Metadata without a payload is an empty text.
fn required_payload(payload: Option<Payload>, metadata: &Metadata) -> Result<Payload, DecodeError> {
    match payload {
        Some(payload) => Ok(payload),
        None if metadata.is_empty() => Err(DecodeError::Missing("data")),
        None => Ok(Payload::text("")),
    }
}

fn open_stream(
    m: up::SendToGroupMessage,
    stream: up::StreamStartInfo,
) -> Result<ClientFrame, DecodeError> {
    let group = value::group(m.group)?;
    let start = if stream.stream_id.is_empty() {
        Err(DecodeError::Invalid("stream_id"))
    } else if stream.idle_timeout_ms == Some(0) {
        Err(DecodeError::Invalid("idle_timeout_ms"))
    } else if m.data.is_some_and(|data| data.data.is_some()) {
        Err(DecodeError::Unexpected("data"))
    } else {
        Ok(StreamStart {
            group,
            no_echo: m.no_echo.unwrap_or(false),
            idle_timeout: stream
                .idle_timeout_ms
                .map(|ms| Duration::from_millis(ms.into())),
        })
    };
    Ok(ClientFrame::OpenStream {
        stream_id: stream.stream_id.into(),
        start,
    })
}

fn stream_data(m: up::StreamDataMessage) -> Result<ClientFrame, DecodeError> {
    let fragment = match (m.stream_sequence_id, value::payload(m.data)?) {
        (None, None) => Ok(None),
        (Some(number), Some(payload)) => Ok(Some((number, payload))),
        (None, Some(_)) => Err(DecodeError::Missing("stream_sequence_id")),
        (Some(_), None) => Err(DecodeError::Missing("data")),
    };
    Ok(ClientFrame::StreamData {
        stream_id: m.stream_id.into(),
        fragment,
    })
}

fn invocation(m: up::InvokeEventMessage) -> Result<Invocation, DecodeError> {
    if m.stream.is_some() {
        return Err(DecodeError::Unexpected("stream"));
    }
    Ok(Invocation {
        event: value::event(m.event)?,
        metadata: value::metadata(m.metadata)?,
        payload: value::payload(m.data)?,
    })
}

/// Writes a frame as a client sends it.
///
/// No client would send a stream or an invocation that contains an error: such a frame is written without
/// the part that is in error.
#[must_use]
pub fn encode_client(frame: &ClientFrame) -> Bytes {
    let message = message_of(frame);
    UpstreamMessage {
        message: Some(message),
    }
    .encode_to_vec()
    .into()
}

fn message_of(frame: &ClientFrame) -> up::Message {
    match frame {
        ClientFrame::JoinGroup { group, ack_id } => {
            up::Message::JoinGroupMessage(up::JoinGroupMessage {
                group: group.to_string(),
                ack_id: ack_id.map(|id| id.0),
            })
        }
        ClientFrame::LeaveGroup { group, ack_id } => {
            up::Message::LeaveGroupMessage(up::LeaveGroupMessage {
                group: group.to_string(),
                ack_id: ack_id.map(|id| id.0),
            })
        }
        ClientFrame::SendToGroup {
            group,
            ack_id,
            no_echo,
            ttl_seconds,
            metadata,
            payload,
        } => up::Message::SendToGroupMessage(up::SendToGroupMessage {
            group: group.to_string(),
            ack_id: ack_id.map(|id| id.0),
            data: Some(value::data(payload)),
            no_echo: no_echo.then_some(true),
            ttl_seconds: (*ttl_seconds > 0).then_some(*ttl_seconds),
            metadata: value::metadata_entries(metadata),
            stream: None,
        }),
        ClientFrame::OpenStream { stream_id, start } => {
            let mut stream = up::StreamStartInfo {
                stream_id: stream_id.to_string(),
                idle_timeout_ms: None,
            };
            let mut message = up::SendToGroupMessage::default();
            if let Ok(start) = start {
                stream.idle_timeout_ms = start.idle_timeout.map(whole_milliseconds);
                message.group = start.group.to_string();
                message.no_echo = start.no_echo.then_some(true);
            }
            message.stream = Some(stream);
            up::Message::SendToGroupMessage(message)
        }
        ClientFrame::StreamData {
            stream_id,
            fragment,
        } => {
            let fragment = fragment.as_ref().ok().and_then(Option::as_ref);
            up::Message::StreamDataMessage(up::StreamDataMessage {
                stream_id: stream_id.to_string(),
                stream_sequence_id: fragment.map(|(number, _)| *number),
                data: fragment.map(|(_, payload)| value::data(payload)),
            })
        }
        ClientFrame::EndStream { stream_id, error } => {
            up::Message::StreamEndMessage(up::StreamEndMessage {
                stream_id: stream_id.to_string(),
                error: error
                    .as_ref()
                    .map(|error| up::stream_end_message::StreamEndError {
                        message: error.message.clone(),
                        user_error_code: error.user_error_code.clone(),
                    }),
            })
        }
        ClientFrame::Event {
            event,
            ack_id,
            metadata,
            payload,
        } => up::Message::EventMessage(up::EventMessage {
            event: event.to_string(),
            data: Some(value::data(payload)),
            ack_id: ack_id.map(|id| id.0),
            metadata: value::metadata_entries(metadata),
            stream: None,
        }),
        ClientFrame::Invoke {
            invocation_id,
            call,
        } => {
            let mut message = up::InvokeEventMessage {
                invocation_id: invocation_id.to_string(),
                ..Default::default()
            };
            if let Ok(call) = call {
                message.event = call.event.to_string();
                message.data = call.payload.as_ref().map(value::data);
                message.metadata = value::metadata_entries(&call.metadata);
            }
            up::Message::InvokeEventMessage(message)
        }
        ClientFrame::CancelInvocation { invocation_id } => {
            up::Message::CancelInvocationMessage(up::CancelInvocationMessage {
                invocation_id: invocation_id.to_string(),
            })
        }
        ClientFrame::SequenceAck { sequence_id } => {
            up::Message::SequenceAckMessage(up::SequenceAckMessage {
                sequence_id: sequence_id.0,
            })
        }
        ClientFrame::SetGroupState {
            group,
            ack_id,
            state,
        } => up::Message::SetGroupStateMessage(up::SetGroupStateMessage {
            group: group.to_string(),
            ack_id: ack_id.map(|id| id.0),
            state: state.as_deref().map(value::state_entries),
        }),
        ClientFrame::SubscribeGroupState { group, ack_id } => {
            up::Message::SubscribeGroupStateMessage(up::SubscribeGroupStateMessage {
                group: group.to_string(),
                ack_id: ack_id.map(|id| id.0),
            })
        }
        ClientFrame::UnsubscribeGroupState { group, ack_id } => {
            up::Message::UnsubscribeGroupStateMessage(up::UnsubscribeGroupStateMessage {
                group: group.to_string(),
                ack_id: ack_id.map(|id| id.0),
            })
        }
        ClientFrame::Ping => up::Message::PingMessage(up::PingMessage {}),
    }
}

/// What the wire can hold; the service shortens far smaller values than the largest one.
fn whole_milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}
