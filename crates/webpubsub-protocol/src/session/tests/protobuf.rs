//! The same life in the other encodings.

use bytes::Bytes;

use super::world::*;
use crate::frame::{ClientFrame, ServerFrame, protobuf};
use crate::payload::Payload;
use crate::session::*;
use crate::subprotocol::Subprotocol;

fn receive(w: &mut World, frame: &ServerFrame) {
    let frame = WireFrame::Binary(protobuf::encode_server(frame));
    w.input(Input::Frame(frame));
}

fn next(w: &mut World) -> Option<ClientFrame> {
    match w.session.poll_transmit(w.now)? {
        WireFrame::Binary(bytes) => Some(protobuf::decode_client(bytes).expect("a frame")),
        WireFrame::Text(_) => panic!("a text frame"),
    }
}

fn connected() -> ServerFrame {
    ServerFrame::Connected {
        connection_id: "c1".into(),
        user_id: None,
        reconnection_token: Some("t1".into()),
    }
}

// req: C-1-2
#[test]
fn a_reliable_protobuf_session_recovers() {
    let mut w = World::of(Subprotocol::ReliableProtobuf, SessionConfig::default());
    w.start();
    w.dialled();
    w.input(Input::Opened);
    receive(&mut w, &connected());
    let bytes = Payload::Binary(Bytes::from_static(&[0, 255]));
    w.submit(&send_payload(bytes.clone(), Acknowledge::Auto));
    let frame = next(&mut w).expect("it is written");
    assert!(matches!(&frame, ClientFrame::SendToGroup { payload, .. } if *payload == bytes));
    w.cut();
    assert!(w.redial().is_some());
    w.input(Input::Opened);
    assert_eq!(next(&mut w), Some(ClientFrame::Ping));
    receive(&mut w, &ServerFrame::Pong);
    assert_eq!(next(&mut w), Some(frame), "again, under the same id");
    receive(
        &mut w,
        &ServerFrame::Ack {
            ack_id: crate::frame::AckId(1),
            error: None,
        },
    );
    assert_eq!(w.settled().len(), 1);
}

#[test]
fn protobuf_can_carry_null_but_no_deeper_json_than_others_can_read() {
    let mut w = World::of(Subprotocol::Protobuf, SessionConfig::default());
    w.start();
    w.submit(&send_payload(
        Payload::Json("null".into()),
        Acknowledge::Auto,
    ));
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(matches!(
        w.try_submit(&send_payload(Payload::Json(deep.into()), Acknowledge::Auto)),
        Err(SubmitError::Invalid(_))
    ));
}

// req: C-12-1
#[test]
fn frames_that_others_would_write_differently_are_read() {
    let mut w = World::of(Subprotocol::Protobuf, SessionConfig::default());
    w.start();
    w.dialled();
    w.input(Input::Opened);
    receive(&mut w, &connected());
    let hello = Payload::Text("hello".into());
    let request = w.submit(&send_payload(hello, Acknowledge::Auto));
    assert!(next(&mut w).is_some());
    let refusal: &[u8] = &[
        0xea, 0x04, 0x01, b'x', // an unknown field beside the message
        0x0a, 0x15, // the acknowledgement
        0x08, 0x81, 0x00, // of 1, in two bytes
        0x10, 0x00, // `success`, although false is what an absent one means
        0x98, 0x06, 0x01, // an unknown field inside
        0x1a, 0x0b, 0x0a, 0x09, b'F', b'o', b'r', b'b', b'i', b'd', b'd', b'e', b'n',
    ];
    // The length that was counted by hand above.
    assert_eq!(usize::from(refusal[5]), refusal.len() - 6);
    w.input(Input::Frame(WireFrame::Binary(refusal.into())));
    let settled = w.settled();
    assert!(
        matches!(&settled[..], [(id, Outcome::Rejected { error, .. })] if *id == request && error.name == "Forbidden"),
        "{settled:?}"
    );
}
