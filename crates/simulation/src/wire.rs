//! Frames as clients write and read them, and as the checks compare them.

use std::rc::Rc;

use webpubsub_emulator::driven::Frame;
use webpubsub_protocol::frame::{ClientFrame, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::failure::Finding;

/// A frame of the service as a client understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Frame {
        sequence: Option<u64>,
        /// Without its sequence id, its secrets, and texts that nobody promises.
        frame: Rc<ServerFrame>,
        /// What was left out of a `connected` frame.
        token: Option<String>,
    },
    Raw(Frame),
}

pub(crate) fn encode(protocol: Subprotocol, frame: &ClientFrame) -> Frame {
    match protocol {
        Subprotocol::Json | Subprotocol::ReliableJson => {
            Frame::Text(json::encode_client(frame).into())
        }
        Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => {
            Frame::Binary(protobuf::encode_client(frame))
        }
    }
}

pub(crate) fn decode(protocol: Option<Subprotocol>, frame: Frame) -> Result<Seen, Finding> {
    let decoded = match (protocol, frame) {
        (None, frame) => return Ok(Seen::Raw(frame)),
        (Some(Subprotocol::Json | Subprotocol::ReliableJson), Frame::Text(text)) => {
            json::decode_server(text.into_bytes())
        }
        (Some(Subprotocol::Protobuf | Subprotocol::ReliableProtobuf), Frame::Binary(bytes)) => {
            protobuf::decode_server(bytes)
        }
        (Some(protocol), frame) => {
            let expected = format!("a frame of {}", protocol.as_str());
            return Err(Finding::new(
                "frames have the kind of their subprotocol",
                expected,
                format!("{frame:?}"),
            ));
        }
    };
    decoded
        .map(plain)
        .map_err(|error| Finding::new("clients understand every frame", "a frame", error))
}

/// The frame of a simple client for this payload.
pub(crate) fn raw(payload: &Payload) -> Frame {
    match payload {
        Payload::Text(text) | Payload::Json(text) => Frame::Text(text.clone()),
        Payload::Binary(bytes) | Payload::Protobuf(bytes) => Frame::Binary(bytes.clone()),
    }
}

fn plain(mut frame: ServerFrame) -> Seen {
    let mut sequence = None;
    let mut token = None;
    match &mut frame {
        ServerFrame::Message(message) => sequence = message.sequence_id.take(),
        ServerFrame::GroupStateSnapshot { sequence_id, .. }
        | ServerFrame::GroupStateUpdate { sequence_id, .. } => sequence = sequence_id.take(),
        ServerFrame::Connected {
            reconnection_token, ..
        } => {
            token = reconnection_token.as_ref().map(ToString::to_string);
            if let Some(secret) = reconnection_token {
                *secret = Default::default();
            }
        }
        ServerFrame::StreamNack { error, .. }
        | ServerFrame::StreamClosed {
            error: Some(error), ..
        } => {
            error.message = None;
        }
        _ => {}
    }
    Seen::Frame {
        sequence: sequence.map(|SequenceId(id)| id),
        frame: Rc::new(frame),
        token,
    }
}
