//! `spec/vectors/protobuf.json` through the frame codec, and the rules of clients' frames that show
//! only beyond the syntax.

use std::time::Duration;

use prost::Message as _;
use serde_json::Value;
use webpubsub_protocol::bytes::Bytes;
use webpubsub_protocol::frame::{
    ClientFrame, DecodeError, Message, Sender, ServerFrame, json, protobuf,
};
use webpubsub_protocol::generated::webpubsub::message_data::Data;
use webpubsub_protocol::generated::webpubsub::{
    MessageData, UpstreamMessage, upstream_message as up,
};
use webpubsub_protocol::limits;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

fn vectors(list: &str) -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("vectors/protobuf.json")).expect("the vectors are JSON");
    file[list].as_array().expect("a list of vectors").clone()
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{member}` in {vector}"))
}

fn bytes(vector: &Value) -> Bytes {
    let digits = text(vector, "hex");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn frames_decode_and_encode_as_the_vectors_say() {
    let mut checked = 0;
    for vector in vectors("vectors") {
        let name = text(&vector, "name");
        let canonical = vector.get("canonical").unwrap_or(&vector["hex"]);
        let expected = vector.get("frame").unwrap_or(canonical);
        let encoded = if text(&vector, "direction") == "up" {
            let frame = protobuf::decode_client(bytes(&vector));
            match expected.as_str() {
                Some("refused") => assert!(frame.is_err(), "{name}: {frame:?}"),
                Some("failed") => assert!(
                    matches!(frame, Ok(ClientFrame::Invoke { call: Err(_), .. })),
                    "{name}: {frame:?}"
                ),
                _ => {}
            }
            frame.map(|frame| protobuf::encode_client(&frame))
        } else {
            protobuf::decode_server(bytes(&vector)).map(|frame| protobuf::encode_server(&frame))
        };
        if !["refused", "failed"].map(Some).contains(&expected.as_str()) {
            let encoded = encoded.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(&Value::from(hex(&encoded)), expected, "{name}");
        }
        checked += 1;
    }
    assert!(checked >= 100, "only {checked} vectors");
}

#[test]
fn what_is_malformed_is_refused() {
    let mut checked = 0;
    for vector in vectors("refuse") {
        let name = text(&vector, "name");
        let Err(error) = protobuf::decode_client(bytes(&vector)) else {
            panic!("{name} was accepted")
        };
        let expected: &[DecodeError] = match text(&vector, "because") {
            "syntax" => &[DecodeError::Malformed],
            "no member" => &[DecodeError::Unknown("message")],
            "name" => &[DecodeError::Invalid("group"), DecodeError::Invalid("event")],
            "payload" => &[DecodeError::Missing("data")],
            "ttl" => &[DecodeError::Invalid("ttl_seconds")],
            "metadata" => &[DecodeError::Invalid("metadata")],
            "stream" => &[DecodeError::Unexpected("stream")],
            other => panic!("{name}: unknown reason `{other}`"),
        };
        assert!(expected.contains(&error), "{name}: {error}");
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} vectors");
}

fn decode_up(message: up::Message) -> Result<ClientFrame, DecodeError> {
    let message = Some(message);
    protobuf::decode_client(UpstreamMessage { message }.encode_to_vec())
}

fn data(data: Data) -> Option<MessageData> {
    Some(MessageData { data: Some(data) })
}

fn send(data: Option<MessageData>) -> Result<Payload, DecodeError> {
    let frame = decode_up(up::Message::SendToGroupMessage(up::SendToGroupMessage {
        group: "g".to_owned(),
        data,
        ..Default::default()
    }))?;
    let ClientFrame::SendToGroup { payload, .. } = frame else {
        panic!("{frame:?}")
    };
    Ok(payload)
}

fn send_json(text: &str) -> Result<Payload, DecodeError> {
    send(data(Data::JsonData(text.to_owned())))
}

#[test]
fn payloads_keep_their_kind() {
    assert_eq!(
        send(data(Data::TextData("{}".to_owned()))),
        Ok(Payload::text("{}"))
    );
    for text in [r#"{"n": 1}"#, "3", "null", " [1,\n2] ", r#""é""#] {
        assert_eq!(send_json(text), Ok(Payload::Json(text.into())), "{text:?}");
    }
    assert_eq!(
        send(data(Data::BinaryData(Bytes::from_static(b"\xff")))),
        Ok(Payload::binary(&b"\xff"[..]))
    );
    let any = Bytes::from_static(b"\x0a\x01t\x12\x02\x08\x01");
    assert_eq!(
        send(data(Data::ProtobufData(any.clone()))),
        Ok(Payload::Protobuf(any))
    );
}

#[test]
fn payloads_that_are_not_what_they_claim_are_refused() {
    for text in [
        "",
        " ",
        "{",
        "{} {}",
        "nul",
        "'a'",
        "\u{feff}1",
        "01",
        "\"\n\"",
    ] {
        assert_eq!(
            send_json(text),
            Err(DecodeError::Invalid("json_data")),
            "{text:?}"
        );
    }
    for any in [&b"\xff"[..], b"\x0a\x05t", b"\x0a\x01\xff", b"\x08\x01"] {
        assert_eq!(
            send(data(Data::ProtobufData(Bytes::from_static(any)))),
            Err(DecodeError::Invalid("protobuf_data")),
            "{any:?}"
        );
    }
    for nothing in [None, Some(MessageData { data: None })] {
        assert_eq!(send(nothing), Err(DecodeError::Missing("data")));
    }
}

#[test]
fn json_payloads_fit_into_a_json_frame() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = send_json(&nested(limits::JSON_DEPTH - 1)).expect("within the limit");
    let frame = ServerFrame::Message(Message {
        sequence_id: None,
        from: Sender::Server,
        payload: deepest,
        metadata: Metadata::default(),
        stream: None,
    });
    assert_eq!(
        json::decode_server(json::encode_server(&frame)),
        Ok(frame),
        "a JSON client can read it"
    );
    for depth in [limits::JSON_DEPTH, 400_000] {
        assert_eq!(send_json(&nested(depth)), Err(DecodeError::TooDeep));
    }
}

#[test]
fn metadata_alone_is_an_empty_text() {
    for data in [None, Some(MessageData { data: None })] {
        let event = decode_up(up::Message::EventMessage(up::EventMessage {
            event: "e".to_owned(),
            data,
            metadata: [("k".to_owned(), "v".to_owned())].into(),
            ..Default::default()
        }));
        let Ok(ClientFrame::Event {
            payload, metadata, ..
        }) = event
        else {
            panic!("{event:?}")
        };
        assert_eq!(payload, Payload::text(""));
        assert_eq!(metadata.value("k"), Some("v"));
    }
}

#[test]
fn time_to_live_and_echo_have_defaults() {
    let send = |ttl_seconds, no_echo| {
        decode_up(up::Message::SendToGroupMessage(up::SendToGroupMessage {
            group: "g".to_owned(),
            data: data(Data::TextData(String::new())),
            ttl_seconds,
            no_echo,
            ..Default::default()
        }))
    };
    for (ttl, no_echo, expected) in [
        (None, None, (0, false)),
        (Some(0), Some(false), (0, false)),
        (Some(300), Some(true), (300, true)),
    ] {
        let Ok(ClientFrame::SendToGroup {
            ttl_seconds,
            no_echo,
            ..
        }) = send(ttl, no_echo)
        else {
            panic!("{ttl:?} was refused")
        };
        assert_eq!((ttl_seconds, no_echo), expected);
    }
    for ttl in [301, u32::MAX] {
        assert_eq!(
            send(Some(ttl), None),
            Err(DecodeError::Invalid("ttl_seconds"))
        );
    }
}

#[test]
fn every_frame_with_a_group_checks_its_name() {
    let frames = |group: String| {
        [
            up::Message::JoinGroupMessage(up::JoinGroupMessage {
                group: group.clone(),
                ack_id: None,
            }),
            up::Message::LeaveGroupMessage(up::LeaveGroupMessage {
                group: group.clone(),
                ack_id: None,
            }),
            up::Message::SendToGroupMessage(up::SendToGroupMessage {
                group: group.clone(),
                data: data(Data::TextData(String::new())),
                ..Default::default()
            }),
            up::Message::SendToGroupMessage(up::SendToGroupMessage {
                group: group.clone(),
                stream: Some(up::StreamStartInfo::default()),
                ..Default::default()
            }),
            up::Message::SetGroupStateMessage(up::SetGroupStateMessage {
                group: group.clone(),
                ..Default::default()
            }),
            up::Message::SubscribeGroupStateMessage(up::SubscribeGroupStateMessage {
                group: group.clone(),
                ack_id: None,
            }),
            up::Message::UnsubscribeGroupStateMessage(up::UnsubscribeGroupStateMessage {
                group,
                ack_id: None,
            }),
        ]
    };
    for frame in frames("g".repeat(1024)) {
        assert!(decode_up(frame.clone()).is_ok(), "{frame:?}");
    }
    for bad in [String::new(), " \t".to_owned(), "g".repeat(1025)] {
        for frame in frames(bad) {
            assert_eq!(
                decode_up(frame.clone()),
                Err(DecodeError::Invalid("group")),
                "{frame:?}"
            );
        }
    }
}

#[test]
fn mistakes_in_a_start_close_only_the_stream() {
    let start = |stream_id: &str, idle_timeout_ms, data| {
        let frame = decode_up(up::Message::SendToGroupMessage(up::SendToGroupMessage {
            group: "g".to_owned(),
            data,
            ack_id: Some(1),
            stream: Some(up::StreamStartInfo {
                stream_id: stream_id.to_owned(),
                idle_timeout_ms,
            }),
            ..Default::default()
        }));
        match frame {
            Ok(ClientFrame::OpenStream { start, .. }) => start,
            other => panic!("{other:?}"),
        }
    };
    let text = || data(Data::TextData(String::new()));
    assert_eq!(
        start("", None, None),
        Err(DecodeError::Invalid("stream_id"))
    );
    assert_eq!(
        start("s", Some(0), None),
        Err(DecodeError::Invalid("idle_timeout_ms"))
    );
    assert_eq!(
        start("s", None, text()),
        Err(DecodeError::Unexpected("data"))
    );
    let longest = start("s", Some(u32::MAX), Some(MessageData { data: None }));
    assert_eq!(
        longest.map(|start| start.idle_timeout),
        Ok(Some(Duration::from_millis(u32::MAX.into())))
    );
}

#[test]
fn a_fragment_has_number_and_payload_or_neither() {
    let fragment = |stream_sequence_id, data| {
        let frame = decode_up(up::Message::StreamDataMessage(up::StreamDataMessage {
            stream_id: "s".to_owned(),
            stream_sequence_id,
            data,
        }))?;
        let ClientFrame::StreamData { fragment, .. } = frame else {
            panic!("{frame:?}")
        };
        Ok(fragment)
    };
    let text = || data(Data::TextData("t".to_owned()));
    assert_eq!(fragment(None, None), Ok(Ok(None)));
    assert_eq!(
        fragment(Some(0), text()),
        Ok(Ok(Some((0, Payload::text("t")))))
    );
    assert_eq!(
        fragment(None, text()),
        Ok(Err(DecodeError::Missing("stream_sequence_id")))
    );
    assert_eq!(
        fragment(Some(1), None),
        Ok(Err(DecodeError::Missing("data")))
    );
    assert_eq!(
        fragment(Some(1), data(Data::JsonData("{".to_owned()))),
        Err(DecodeError::Invalid("json_data")),
        "a broken payload is a broken frame"
    );
}

#[test]
fn mistakes_in_a_call_fail_only_the_invocation() {
    let call = |message: up::InvokeEventMessage| {
        let invocation_id = "1".to_owned();
        let frame = decode_up(up::Message::InvokeEventMessage(up::InvokeEventMessage {
            invocation_id,
            ..message
        }));
        match frame {
            Ok(ClientFrame::Invoke { call, .. }) => call.map(|call| call.payload),
            other => panic!("{other:?}"),
        }
    };
    let event = |event: &str| up::InvokeEventMessage {
        event: event.to_owned(),
        ..Default::default()
    };
    assert_eq!(call(event("e")), Ok(None));
    assert_eq!(call(event("")), Err(DecodeError::Invalid("event")));
    let broken = data(Data::JsonData("{".to_owned()));
    assert_eq!(
        call(up::InvokeEventMessage {
            data: broken,
            ..event("e")
        }),
        Err(DecodeError::Invalid("json_data"))
    );
    assert_eq!(
        call(up::InvokeEventMessage {
            metadata: [(String::new(), String::new())].into(),
            ..event("e")
        }),
        Err(DecodeError::Invalid("metadata"))
    );
    // Without an id there is nothing that an answer could name.
    assert_eq!(
        decode_up(up::Message::InvokeEventMessage(event("e"))),
        Err(DecodeError::Missing("invocation_id"))
    );
    assert_eq!(
        decode_up(up::Message::CancelInvocationMessage(
            up::CancelInvocationMessage::default()
        )),
        Err(DecodeError::Missing("invocation_id"))
    );
}

#[test]
fn unknown_members_beside_a_known_one_are_skipped() {
    let unknown = b"\xe2\x05\x01\x00";
    for known in [&b"\x4a\x00"[..], b"\x32\x04\x0a\x02g1"] {
        let plain = protobuf::decode_client(known.to_vec());
        assert!(plain.is_ok());
        assert_eq!(
            protobuf::decode_client([unknown, known].concat()),
            plain.clone()
        );
        assert_eq!(protobuf::decode_client([known, unknown].concat()), plain);
    }
}

#[test]
fn size_is_limited() {
    let frame = |size: usize| {
        let message = Some(up::Message::EventMessage(up::EventMessage {
            event: "e".to_owned(),
            data: data(Data::BinaryData(vec![0; size - 18].into())),
            ack_id: None,
            ..Default::default()
        }));
        let mut frame = UpstreamMessage { message }.encode_to_vec();
        let padding = size - frame.len();
        // An unknown member of the missing bytes: key, length, value.
        prost::encode_length_delimiter(100 << 3 | 2, &mut frame).expect("a Vec grows");
        prost::encode_length_delimiter(padding - 3, &mut frame).expect("a Vec grows");
        frame.resize(size, 0);
        frame
    };
    assert!(protobuf::decode_client(frame(limits::MESSAGE_BYTES)).is_ok());
    assert_eq!(
        protobuf::decode_client(frame(limits::MESSAGE_BYTES + 1)),
        Err(DecodeError::TooLarge(limits::MESSAGE_BYTES + 1))
    );
}

#[test]
fn payload_bytes_are_slices_of_the_frame() {
    let any = Bytes::from_static(b"\x0a\x01t\x12\x02\x08\x01");
    for kind in [
        Data::BinaryData(Bytes::from_static(b"bytes")),
        Data::ProtobufData(any),
    ] {
        let message = Some(up::Message::EventMessage(up::EventMessage {
            event: "e".to_owned(),
            data: data(kind),
            ..Default::default()
        }));
        let frame = Bytes::from(UpstreamMessage { message }.encode_to_vec());
        let Ok(ClientFrame::Event { payload, .. }) = protobuf::decode_client(frame.clone()) else {
            panic!("not an event")
        };
        assert!(
            frame.as_ptr_range().contains(&payload.as_bytes().as_ptr()),
            "copied"
        );
    }
}

#[test]
fn errors_never_quote_the_frame() {
    let secret = || "hunter2".to_owned();
    let errors = [
        send_json("hunter2").err(),
        send(data(Data::ProtobufData(Bytes::from_static(b"hunter2")))).err(),
        protobuf::decode_client(&b"hunter2"[..]).err(),
        decode_up(up::Message::EventMessage(up::EventMessage {
            event: "hunter2!".to_owned(),
            ..Default::default()
        }))
        .err(),
        decode_up(up::Message::EventMessage(up::EventMessage {
            event: "e".to_owned(),
            metadata: [(secret() + "\n", secret())].into(),
            ..Default::default()
        }))
        .err(),
        decode_up(up::Message::JoinGroupMessage(up::JoinGroupMessage {
            group: secret().repeat(200),
            ack_id: None,
        }))
        .err(),
    ];
    for error in errors {
        let error = error.expect("it is refused");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}
