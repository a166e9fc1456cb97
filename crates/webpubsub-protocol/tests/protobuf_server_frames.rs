//! The rules of the service's frames in protobuf: what clients skip, what stands where, and
//! sequence ids in shared bodies.

use prost::Message as _;
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::frame::{
    DecodeError, FrameError, Message, Sender, SequenceId, ServerFrame, protobuf,
};
use webpubsub_protocol::generated::webpubsub::message_data::Data;
use webpubsub_protocol::generated::webpubsub::{
    DownstreamMessage, MessageData, StreamInfo, downstream_message as down,
};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

fn decode_down(message: down::Message) -> Result<ServerFrame, DecodeError> {
    let message = Some(message);
    protobuf::decode_server(DownstreamMessage { message }.encode_to_vec())
}

fn data(data: Data) -> Option<MessageData> {
    Some(MessageData { data: Some(data) })
}

fn group_message() -> down::DataMessage {
    down::DataMessage {
        from: "group".to_owned(),
        group: Some("g".to_owned()),
        data: data(Data::TextData("t".to_owned())),
        ..Default::default()
    }
}

#[test]
fn clients_can_tell_what_to_skip() {
    let unknown = [
        protobuf::decode_server(Bytes::new()),
        protobuf::decode_server(&b"\xe2\x05\x01\x00"[..]),
        decode_down(down::Message::SystemMessage(down::SystemMessage {
            message: None,
        })),
        decode_down(down::Message::DataMessage(down::DataMessage {
            from: "moon".to_owned(),
            ..group_message()
        })),
        decode_down(down::Message::DataMessage(down::DataMessage {
            data: Some(MessageData { data: None }),
            ..group_message()
        })),
    ];
    for frame in unknown {
        assert!(matches!(frame, Err(DecodeError::Unknown(_))), "{frame:?}");
    }

    let broken = [
        (
            down::DataMessage {
                group: None,
                ..group_message()
            },
            DecodeError::Missing("group"),
        ),
        (
            down::DataMessage {
                group: Some(String::new()),
                ..group_message()
            },
            DecodeError::Invalid("group"),
        ),
        (
            down::DataMessage {
                data: None,
                ..group_message()
            },
            DecodeError::Missing("data"),
        ),
        (
            down::DataMessage {
                data: data(Data::JsonData("{".to_owned())),
                ..group_message()
            },
            DecodeError::Invalid("json_data"),
        ),
    ];
    for (message, error) in broken {
        assert_eq!(decode_down(down::Message::DataMessage(message)), Err(error));
    }
}

#[test]
fn the_last_message_of_a_stream_may_lack_its_payload() {
    let stream = |end_of_stream| {
        let message = decode_down(down::Message::DataMessage(down::DataMessage {
            data: None,
            stream: Some(StreamInfo {
                stream_id: "s".to_owned(),
                stream_sequence_id: 2,
                end_of_stream,
                error: None,
            }),
            ..group_message()
        }))?;
        let ServerFrame::Message(message) = message else {
            panic!("{message:?}")
        };
        Ok(message.payload)
    };
    assert_eq!(stream(Some(true)), Ok(Payload::text("")));
    assert_eq!(stream(Some(false)), Err(DecodeError::Missing("data")));
    assert_eq!(stream(None), Err(DecodeError::Missing("data")));
}

#[test]
fn a_failure_without_an_error_is_still_a_failure() {
    let nameless = FrameError {
        name: "".into(),
        message: None,
    };
    let ack = decode_down(down::Message::AckMessage(down::AckMessage::default()));
    assert!(
        matches!(&ack, Ok(ServerFrame::Ack { error: Some(error), .. }) if *error == nameless),
        "{ack:?}"
    );
    let response = decode_down(down::Message::InvokeResponseMessage(
        down::InvokeResponseMessage::default(),
    ));
    assert!(
        matches!(
            &response,
            Ok(ServerFrame::InvokeResponse { result: Err(error), .. }) if *error == nameless
        ),
        "{response:?}"
    );
}

#[test]
fn members_are_set_only_where_they_mean_something() {
    let wire = |frame: &ServerFrame| {
        let decoded = DownstreamMessage::decode(protobuf::encode_server(frame));
        decoded
            .expect("we wrote it")
            .message
            .expect("a known member")
    };
    let down::Message::SystemMessage(system) = wire(&ServerFrame::Connected {
        connection_id: "c".into(),
        user_id: None,
        reconnection_token: None,
    }) else {
        panic!("not a system message")
    };
    let Some(down::system_message::Message::ConnectedMessage(connected)) = system.message else {
        panic!("{system:?}")
    };
    assert_eq!(connected.user_id, "");
    assert_eq!(connected.reconnection_token, None);

    let down::Message::DataMessage(message) = wire(&ServerFrame::Message(Message {
        sequence_id: None,
        from: Sender::Server,
        payload: Payload::text("t"),
        metadata: Metadata::default(),
        stream: None,
    })) else {
        panic!("not a data message")
    };
    assert_eq!((message.group, message.sequence_id), (None, None));
}

#[test]
fn numbers_fit_into_bodies_of_every_length() {
    // Around the sizes where the length of the body takes one byte more.
    for size in (90..130).chain(16_350..16_390).chain([0, 2_097_152]) {
        for id in [0, 1, 127, 128, u64::MAX] {
            let mut message = Message {
                sequence_id: None,
                from: Sender::Server,
                payload: Payload::binary(vec![0x22; size]),
                metadata: Metadata::new([("k", "v")]).expect("metadata"),
                stream: None,
            };
            let numbered =
                protobuf::number_message(&protobuf::encode_message(&message), SequenceId(id));
            message.sequence_id = Some(SequenceId(id));
            let whole = protobuf::encode_server(&ServerFrame::Message(message));
            assert!(numbered == whole, "{size} bytes, id {id}");
        }
    }
}
