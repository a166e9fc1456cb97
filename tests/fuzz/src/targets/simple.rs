//! Clients without a subprotocol: a message arrives as it was sent, at the handler or in the group.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use webpubsub_emulator::driven::{ConnectSpec, DrivenHub, DrivenSettings, Frame, Line};
use webpubsub_protocol::frame::{ServerFrame, json};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

/// The first byte says whether it is text, and whether it goes to a group or to the handler.
pub(super) fn run(input: &[u8]) {
    let Some((how, message)) = input.split_first() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(message);
    let (frame, expected) = match (how & 1 == 0, ByteString::try_from(bytes.clone())) {
        (true, Ok(text)) => (Frame::Text(text.clone()), Payload::Text(text)),
        _ => (Frame::Binary(bytes.clone()), Payload::Binary(bytes)),
    };
    let mut hub = hub();
    let now = Duration::ZERO;
    let room = GroupName::new("room").expect("a name");
    let publishes = how & 2 == 0;
    let (sender, id) = hub.connect(
        now,
        ConnectSpec {
            roles: vec!["webpubsub.sendToGroup".to_owned()],
            groups: vec![room.clone()],
            raw_group: publishes.then(|| (room.clone(), how & 4 == 0)),
            ..ConnectSpec::default()
        },
    );
    let (receiver, _) = hub.connect(
        now,
        ConnectSpec {
            groups: vec![room.clone()],
            subprotocol: Some(Subprotocol::Json),
            ..ConnectSpec::default()
        },
    );
    hub.frame(now, sender, frame.clone());
    if !publishes {
        let calls = hub.take_calls();
        let [call] = calls.as_slice() else {
            panic!("one message is one event: {calls:?}");
        };
        assert_eq!((call.event.as_str(), &call.payload), ("message", &expected));
        assert_eq!(call.connection_id, id);
        hub.upstream_done(now, call.id, Ok(Some(expected)));
        assert_eq!(hub.drain(now, sender, 9), (vec![frame], Line::Open));
        return;
    }
    let (frames, _) = hub.drain(now, receiver, 9);
    let messages: Vec<_> = frames.into_iter().filter_map(payload).collect();
    assert_eq!(messages, [expected]);
    let (echo, line) = hub.drain(now, sender, 9);
    assert_eq!(line, Line::Open);
    match how & 4 == 0 {
        true => assert_eq!(echo, []),
        false => assert_eq!(echo, [frame]),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    (0..8)
        .map(|how| [&[how], "hä".as_bytes()].concat())
        .collect()
}

fn hub() -> DrivenHub {
    let settings = DrivenSettings {
        outbox_frames: 10,
        outbox_bytes: 10_000,
        recovery_window: Duration::from_secs(30),
        connected_on_recovery: true,
        has_handler: true,
    };
    DrivenHub::new(&settings, 1)
}

fn payload(frame: Frame) -> Option<Payload> {
    let Frame::Text(text) = frame else {
        panic!("the JSON subprotocol has text frames");
    };
    match json::decode_server(text.into_bytes()).expect("a frame of the service") {
        ServerFrame::Message(message) => Some(message.payload),
        _ => None,
    }
}
