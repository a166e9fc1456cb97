//! Frames as JSON: every one survives the wire, and no bytes make a decoder panic.

use crate::strategies::{client_frame, json_value, message, server_frame};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use webpubsub_protocol::frame::{Message, SequenceId, ServerFrame, json};

proptest! {
    #[test]
    fn client_frames_survive_the_wire(frame in client_frame()) {
        prop_assert_eq!(json::decode_client(json::encode_client(&frame)), Ok(frame));
    }

    #[test]
    fn server_frames_survive_the_wire(frame in server_frame()) {
        prop_assert_eq!(json::decode_server(json::encode_server(&frame)), Ok(frame));
    }

    #[test]
    fn a_numbered_body_is_the_whole_frame(message in message()) {
        let id = SequenceId(message.sequence_id.map_or(7, |id| id.0));
        let body = json::encode_message(&message);
        let whole = Message { sequence_id: Some(id), ..message };
        prop_assert_eq!(
            json::number_message(&body, id),
            json::encode_server(&ServerFrame::Message(whole))
        );
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = json::decode_client(bytes.clone());
        let _ = json::decode_server(bytes);
    }

    #[test]
    fn no_json_makes_a_decoder_panic(
        kind in "[a-zA-Z]{0,18}|sendToGroup|event|streamData|streamEnd|invoke|message|ack|system",
        members in btree_map(
            "group|ackId|noEcho|dataType|data|stream|event|from|metadata|ttlSeconds|streamId|error",
            json_value(),
            0..6,
        ),
    ) {
        let mut frame: serde_json::Map<_, _> = members.into_iter().collect();
        frame.insert("type".to_owned(), kind.into());
        let text = serde_json::Value::Object(frame).to_string();
        let _ = json::decode_client(text.clone());
        let _ = json::decode_server(text);
    }

    #[test]
    fn a_damaged_frame_never_panics(frame in client_frame(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = json::encode_client(&frame).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = json::decode_client(bytes.clone());
        bytes.truncate(at);
        let _ = json::decode_client(bytes);
    }
}
