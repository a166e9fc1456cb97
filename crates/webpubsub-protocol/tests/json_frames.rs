//! `spec/vectors/json-frames.json`: every frame of the reference, both directions, and what is not
//! a frame.

use serde_json::Value;
use webpubsub_protocol::frame::{ClientFrame, DecodeError, ServerFrame, json};

struct Vector {
    name: String,
    up: bool,
    text: String,
    expect: Value,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("vectors/json-frames.json");
    let file: Value = serde_json::from_str(text).expect("the vectors are JSON");
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    let vectors = vectors.iter().map(|vector| Vector {
        name: vector["name"].as_str().expect("a name").to_owned(),
        up: vector["direction"] == "up",
        text: vector["text"].as_str().expect("a text").to_owned(),
        expect: vector["expect"].clone(),
    });
    vectors.collect()
}

/// Decodes and encodes again.
fn normalise(vector: &Vector) -> Result<String, DecodeError> {
    let bytes = bytes::Bytes::from(vector.text.clone());
    if vector.up {
        json::decode_client(bytes).map(|frame| json::encode_client(&frame))
    } else {
        json::decode_server(bytes).map(|frame| json::encode_server(&frame))
    }
}

#[test]
fn frames_decode_and_encode_as_the_vectors_say() {
    // req: S-4-1, S-4-2, S-4-3, S-4-11, S-4-13, S-4-17, S-5-1, S-5-5, S-5-10
    let mut checked = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.expect.get("frame").is_some())
    {
        let encoded = normalise(vector).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        let value: Value = serde_json::from_str(&encoded).expect("we write JSON");
        assert_eq!(value, vector.expect["frame"], "{}", vector.name);
        if vector.expect.get("exact").is_some() {
            assert_eq!(encoded, vector.text, "{}", vector.name);
        }
        checked += 1;
    }
    assert!(checked >= 90, "only {checked} vectors");
}

#[test]
fn what_is_malformed_is_refused() {
    // req: S-4-9, S-4-10, S-4-19, S-3.1-6, S-3.1-7, S-3.1-9
    let mut checked = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.expect.get("malformed").is_some())
    {
        let Err(error) = normalise(vector) else {
            panic!("{} was accepted", vector.name)
        };
        if !vector.up {
            assert!(
                !matches!(error, DecodeError::Unknown(_)),
                "{}: {error}",
                vector.name
            );
        }
        checked += 1;
    }
    assert!(checked >= 60, "only {checked} vectors");
}

#[test]
fn clients_can_tell_what_to_skip() {
    // req: C-5-2
    let mut checked = 0;
    let ignored = |vector: &&Vector| !vector.up && vector.expect.get("ignored").is_some();
    for vector in vectors().iter().filter(ignored) {
        assert!(
            matches!(normalise(vector), Err(DecodeError::Unknown(_))),
            "{}",
            vector.name
        );
        checked += 1;
    }
    assert_eq!(checked, 4);
}

#[test]
fn mistakes_in_streams_and_invocations_stay_inside_the_frame() {
    let mut checked = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.expect.get("refused").is_some())
    {
        let frame = json::decode_client(bytes::Bytes::from(vector.text.clone()))
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        let refused = match frame {
            ClientFrame::OpenStream { start, .. } => start.is_err(),
            ClientFrame::StreamData { fragment, .. } => fragment.is_err(),
            ClientFrame::Invoke { call, .. } => call.is_err(),
            other => panic!("{}: {other:?}", vector.name),
        };
        assert!(refused, "{}", vector.name);
        checked += 1;
    }
    assert!(checked >= 13, "only {checked} vectors");
}

#[test]
fn size_and_depth_are_limited() {
    let limit = webpubsub_protocol::limits::MESSAGE_BYTES;
    let frame = |size: usize| {
        let head = r#"{"type":"event","event":"e","dataType":"text","data":""#;
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    assert!(json::decode_client(frame(limit)).is_ok());
    assert_eq!(
        json::decode_client(frame(limit + 1)),
        Err(DecodeError::TooLarge(limit + 1))
    );

    let nested = |depth: usize| {
        let depth = depth - 1;
        format!(
            r#"{{"type":"event","event":"e","data":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let depth = webpubsub_protocol::limits::JSON_DEPTH;
    assert!(json::decode_client(nested(depth)).is_ok());
    assert_eq!(
        json::decode_client(nested(depth + 1)),
        Err(DecodeError::TooDeep)
    );
    assert_eq!(
        json::decode_client(nested(400_000)),
        Err(DecodeError::TooDeep)
    );
}

#[test]
fn errors_never_quote_the_frame() {
    let frames = [
        r#"{"type":"hunter2"}"#.to_owned(),
        r#"{"type":"event","event":"hunter2!","dataType":"text","data":"hunter2"}"#.to_owned(),
        r#"{"type":"event","event":"e","dataType":"hunter2","data":"hunter2"}"#.to_owned(),
        r#"{"type":"event","event":"e","dataType":"binary","data":"hunter2"}"#.to_owned(),
        r#"{"type":"event","event":"e","metadata":{"hunter2":1},"data":1}"#.to_owned(),
        r#"{"type":"joinGroup","group":"g","ackId":"hunter2"}"#.to_owned(),
        format!(
            r#"{{"type":"joinGroup","group":"{}"}}"#,
            "hunter2".repeat(200)
        ),
        r#"{"type":"ping"} hunter2"#.to_owned(),
        r#"["hunter2"]"#.to_owned(),
    ];
    for frame in frames {
        let Err(error) = json::decode_client(frame.clone()) else {
            panic!("accepted {frame}")
        };
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}

#[test]
fn payloads_are_slices_of_the_frame() {
    let frame = bytes::Bytes::from_static(
        br#"{"type":"event","event":"e","dataType":"json","data":{"a": [1, 2]}}"#,
    );
    let decoded = json::decode_client(frame.clone()).expect("a frame");
    let ClientFrame::Event { payload, .. } = decoded else {
        panic!("not an event")
    };
    assert_eq!(payload.as_bytes(), br#"{"a": [1, 2]}"#);
    assert!(
        frame.as_ptr_range().contains(&payload.as_bytes().as_ptr()),
        "copied"
    );
}

#[test]
fn an_answer_that_does_not_say_how_it_went_is_a_failure() {
    let ack = r#"{"type":"ack","ackId":3,"error":{"name":"Forbidden"}}"#;
    assert_eq!(
        json::encode_server(&json::decode_server(ack).expect("a frame")),
        r#"{"type":"ack","ackId":3,"success":false,"error":{"name":"Forbidden"}}"#
    );
    let answer = r#"{"type":"invokeResponse","invocationId":"1","dataType":"text","data":"x"}"#;
    assert!(matches!(
        json::decode_server(answer).expect("a frame"),
        ServerFrame::InvokeResponse { result: Err(_), .. }
    ));
}

#[test]
fn a_message_is_not_lost_for_its_place_in_a_stream() {
    for place in [
        r#""s""#,
        "{}",
        r#"{"streamId":"s"}"#,
        r#"{"streamId":5}"#,
        "7",
        "null",
    ] {
        let frame = format!(
            r#"{{"type":"message","from":"server","dataType":"text","data":"x","stream":{place}}}"#
        );
        let Ok(ServerFrame::Message(message)) = json::decode_server(frame) else {
            panic!("no message with {place}")
        };
        assert_eq!(message.stream, None, "{place}");
    }
}
