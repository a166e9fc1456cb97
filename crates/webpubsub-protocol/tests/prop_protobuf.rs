//! Frames as protobuf: every one survives the wire and the way between the two forms but for the
//! losses that the codec names, and no bytes make a decoder panic.

use crate::strategies::{client_frame, message, server_frame};
use proptest::collection::vec;
use proptest::prelude::*;
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{
    ClientFrame, DecodeError, FrameError, Message, Sender, SequenceId, ServerFrame, json, protobuf,
};

/// What a frame is read as after it was written.
fn surviving_client(frame: ClientFrame) -> Result<ClientFrame, DecodeError> {
    match frame {
        ClientFrame::Invoke { invocation_id, .. }
        | ClientFrame::CancelInvocation { invocation_id }
            if invocation_id.is_empty() =>
        {
            Err(DecodeError::Missing("invocation_id"))
        }
        frame => Ok(frame),
    }
}

fn surviving_server(frame: ServerFrame) -> ServerFrame {
    match frame {
        ServerFrame::Message(message) => ServerFrame::Message(surviving_message(message)),
        ServerFrame::Connected {
            connection_id,
            user_id,
            reconnection_token,
        } => ServerFrame::Connected {
            connection_id,
            user_id: not_empty(user_id),
            reconnection_token,
        },
        ServerFrame::Ack { ack_id, error } => ServerFrame::Ack {
            ack_id,
            error: error.map(surviving_error),
        },
        ServerFrame::InvokeResponse {
            invocation_id,
            result,
            metadata,
        } => ServerFrame::InvokeResponse {
            invocation_id,
            result: result.map_err(surviving_error),
            metadata,
        },
        ServerFrame::StreamNack {
            stream_id,
            error,
            expected_sequence_id,
        } => ServerFrame::StreamNack {
            stream_id,
            error: surviving_error(error),
            expected_sequence_id,
        },
        ServerFrame::StreamClosed { stream_id, error } => ServerFrame::StreamClosed {
            stream_id,
            error: error.map(surviving_error),
        },
        frame => frame,
    }
}

fn surviving_message(mut message: Message) -> Message {
    if let Sender::Group { from_user_id, .. } = &mut message.from {
        *from_user_id = None;
    }
    let error = message
        .stream
        .as_mut()
        .and_then(|stream| stream.error.as_mut());
    if let Some(error) = error {
        error.message = not_empty(error.message.take());
        error.user_error_code = not_empty(error.user_error_code.take());
    }
    message
}

fn surviving_error(error: FrameError) -> FrameError {
    FrameError {
        message: not_empty(error.message),
        ..error
    }
}

fn not_empty(text: Option<ByteString>) -> Option<ByteString> {
    text.filter(|text| !text.is_empty())
}

/// Bytes that have the shape of members: key, length and value, nested.
fn members() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        vec(any::<u8>(), 0..6),
        "[a-z]{1,6}".prop_map(String::into_bytes),
        "server|group".prop_map(String::into_bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        vec((1..18_u8, inner), 0..4).prop_map(|members| {
            let mut bytes = Vec::new();
            for (number, value) in members {
                let key = u64::from(number) << 3 | 2;
                prost::encode_length_delimiter(usize::try_from(key).expect("small"), &mut bytes)
                    .expect("a Vec grows");
                prost::encode_length_delimiter(value.len(), &mut bytes).expect("a Vec grows");
                bytes.extend(value);
            }
            bytes
        })
    })
}

/// Whatever decodes is a frame: it can be written in both forms and read again.
fn check_any_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let bytes = bytes.to_vec();
    if let Ok(frame) = protobuf::decode_client(bytes.clone()) {
        let is_whole = !matches!(
            &frame,
            ClientFrame::OpenStream { start: Err(_), .. }
                | ClientFrame::StreamData {
                    fragment: Err(_),
                    ..
                }
                | ClientFrame::Invoke { call: Err(_), .. }
        );
        let (encoded, text) = (protobuf::encode_client(&frame), json::encode_client(&frame));
        if is_whole {
            prop_assert_eq!(protobuf::decode_client(encoded), Ok(frame.clone()));
            prop_assert_eq!(json::decode_client(text), Ok(frame));
        }
    }
    if let Ok(frame) = protobuf::decode_server(bytes) {
        let (encoded, text) = (protobuf::encode_server(&frame), json::encode_server(&frame));
        prop_assert_eq!(protobuf::decode_server(encoded), Ok(frame.clone()));
        prop_assert!(json::decode_server(text).is_ok());
    }
    Ok(())
}

proptest! {
    #[test]
    fn client_frames_survive_the_wire(frame in client_frame()) {
        let decoded = protobuf::decode_client(protobuf::encode_client(&frame));
        prop_assert_eq!(decoded, surviving_client(frame));
    }

    #[test]
    fn server_frames_survive_the_wire(frame in server_frame()) {
        let decoded = protobuf::decode_server(protobuf::encode_server(&frame));
        prop_assert_eq!(decoded, Ok(surviving_server(frame)));
    }

    #[test]
    fn client_frames_survive_both_forms(frame in client_frame()) {
        let text = json::encode_client(&frame);
        let from_json = json::decode_client(text.clone()).expect("we wrote it");
        let from_protobuf = protobuf::decode_client(protobuf::encode_client(&from_json));
        if surviving_client(frame).is_ok() {
            let text_again = from_protobuf.map(|frame| json::encode_client(&frame));
            prop_assert_eq!(text_again, Ok(text));
        }
    }

    #[test]
    fn server_frames_survive_both_forms(frame in server_frame()) {
        let from_json = json::decode_server(json::encode_server(&frame)).expect("we wrote it");
        let from_protobuf = protobuf::decode_server(protobuf::encode_server(&from_json));
        let text_again = from_protobuf.map(|frame| json::encode_server(&frame));
        prop_assert_eq!(text_again, Ok(json::encode_server(&surviving_server(frame))));
    }

    #[test]
    fn a_numbered_body_is_the_whole_frame(message in message()) {
        let id = SequenceId(message.sequence_id.map_or(7, |id| id.0));
        let body = protobuf::encode_message(&message);
        let whole = Message { sequence_id: Some(id), ..message.clone() };
        prop_assert_eq!(
            protobuf::number_message(&body, id),
            protobuf::encode_server(&ServerFrame::Message(whole))
        );
        let unnumbered = Message { sequence_id: None, ..message };
        prop_assert_eq!(body, protobuf::encode_server(&ServerFrame::Message(unnumbered)));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..300)) {
        check_any_bytes(&bytes)?;
    }

    #[test]
    fn no_members_make_a_decoder_panic(bytes in members()) {
        check_any_bytes(&bytes)?;
    }

    #[test]
    fn a_damaged_frame_never_panics(
        up in client_frame(),
        down in server_frame(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        for bytes in [protobuf::encode_client(&up), protobuf::encode_server(&down)] {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            check_any_bytes(&bytes)?;
            bytes.truncate(at);
            check_any_bytes(&bytes)?;
        }
    }
}
