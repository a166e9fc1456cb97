//! Requests that are not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::outbound_streams::stream_ack;
use super::world::*;
use crate::frame::{ClientFrame, DecodeError, ServerFrame};
use crate::name::EventName;
use crate::payload::Payload;
use crate::session::*;
use crate::subprotocol::Subprotocol;

#[test]
fn the_outbox_is_bounded_in_frames() {
    let mut config = SessionConfig::default();
    config.outbox_frames = 2;
    let mut w = World::connected(config);
    w.submit(&join("a"));
    assert!(w.session.has_room());
    w.submit(&join("b"));
    assert!(!w.session.has_room());
    assert_eq!(w.try_submit(&join("c")), Err(SubmitError::Full));
    assert!(w.write_one().is_some());
    assert!(w.session.has_room());
    w.submit(&join("c"));
    assert_eq!(
        w.written(),
        ["b", "c"].map(|g| format!(
            r#"{{"type":"joinGroup","group":"{g}","ackId":{}}}"#,
            if g == "b" { 2 } else { 3 }
        )),
        "a refused request takes no id"
    );
}

#[test]
fn the_outbox_is_bounded_in_bytes_but_one_request_always_fits() {
    let mut config = SessionConfig::default();
    config.outbox_bytes = 100;
    let mut w = World::connected(config);
    w.submit(&send(&"x".repeat(200), Acknowledge::Auto));
    assert_eq!(w.try_submit(&join("c")), Err(SubmitError::Full));
    w.written();
    w.ack(1);
    let id = w.submit(&join("c"));
    w.cancel(id);
    w.submit(&send(&"x".repeat(200), Acknowledge::Auto));
}

/// A protocol that counts what it encodes.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Protocol for Counting {
    fn name(&self) -> &str {
        Protocol::name(&Subprotocol::ReliableJson)
    }

    fn is_reliable(&self) -> bool {
        true
    }

    fn encode(&self, frame: &ClientFrame) -> WireFrame {
        self.0.fetch_add(1, Ordering::Relaxed);
        Subprotocol::ReliableJson.encode(frame)
    }

    fn decode(&self, frame: WireFrame) -> Result<ServerFrame, DecodeError> {
        Subprotocol::ReliableJson.decode(frame)
    }
}

#[test]
fn what_finds_no_room_is_not_encoded() {
    let protocol = Arc::new(Counting::default());
    let config = SessionConfig {
        outbox_frames: 1,
        stream_window: 1,
        ..SessionConfig::default()
    };
    let mut w = World::with(Arc::clone(&protocol) as _, config);
    w.connect();
    w.submit(&open("s"));
    w.written();
    w.submit(&join("a"));
    w.submit(&write(w.stream("s"), "1"));
    w.submit(&Request::keep_stream_alive(w.stream("s")));
    let encoded = protocol.0.load(Ordering::Relaxed);
    for request in [
        join("b"),
        send("x", Acknowledge::Forget),
        invoke(None),
        open("t"),
        write(w.stream("s"), "2"),
        Request::keep_stream_alive(w.stream("s")),
    ] {
        assert_eq!(w.session.check(&request), Err(SubmitError::Full));
        assert_eq!(w.try_submit(&request), Err(SubmitError::Full));
    }
    assert_eq!(protocol.0.load(Ordering::Relaxed), encoded);
}

#[test]
fn what_is_unanswered_takes_room() {
    let mut config = SessionConfig::default();
    config.outbox_bytes = 1000;
    let mut w = World::connected(config);
    for _ in 0..3 {
        w.submit(&send(&"x".repeat(400), Acknowledge::Auto));
        w.written();
    }
    assert_eq!(w.try_submit(&join("g")), Err(SubmitError::Full));
    assert_eq!(
        w.try_submit(&send("x", Acknowledge::Forget)),
        Err(SubmitError::Full)
    );
    w.ack(2);
    w.submit(&join("g"));
    w.cut();
    w.recover();
    assert_eq!(w.written().len(), 3, "the other two, and the new one");
}

#[test]
fn what_never_goes_out_again_takes_no_room() {
    let mut config = SessionConfig::default();
    config.outbox_bytes = 100;
    let mut w = World::connected(config);
    for _ in 0..3 {
        let event = EventName::new("sum").expect("an event name");
        w.submit(&Request::invoke(
            event,
            Some(Payload::text("x".repeat(200))),
        ));
        w.written();
        w.submit(&send(&"x".repeat(200), Acknowledge::Forget));
        w.written();
    }
    assert!(w.session.has_room());
}

#[test]
fn room_that_was_freed_is_counted() {
    let mut config = SessionConfig::default();
    config.outbox_frames = 1;
    config.stream_window = 1;
    let mut w = World::connected(config);
    w.submit(&open("s"));
    let mut freed = w.session.room_freed();
    let mut is_freed = |w: &World, what: &str, expected: bool| {
        let now = w.session.room_freed();
        assert_eq!(now > freed, expected, "{what}");
        freed = now;
    };
    w.written();
    is_freed(&w, "a stream was opened", true);
    w.submit(&join("a"));
    w.submit(&write(w.stream("s"), "1"));
    is_freed(&w, "requests were submitted", false);
    w.message(1);
    is_freed(&w, "a message came", false);
    w.write_one();
    is_freed(&w, "a request was written", true);
    stream_ack(&mut w, "s", 1);
    w.write_one();
    is_freed(&w, "a stream was accepted", false);
    stream_ack(&mut w, "s", 2);
    is_freed(&w, "a fragment was acknowledged", true);
    w.ack(1);
    is_freed(&w, "a request was acknowledged", true);
    let withdrawn = w.submit(&join("b"));
    w.cancel(withdrawn);
    is_freed(&w, "a request was withdrawn", true);
    w.submit(&join("c"));
    w.stop();
    is_freed(&w, "everything was given up", true);
}

#[test]
fn a_refused_request_changes_no_deadline() {
    let mut w = World::connected(SessionConfig::default());
    let before = w.session.poll_timeout();
    w.sleep(Duration::from_secs(60));
    let refused = w.try_submit(&write(RequestId(99), "x"));
    assert_eq!(refused, Err(SubmitError::StreamNotOpen));
    assert_eq!(w.session.poll_timeout(), before);
    assert_eq!(w.written(), [""; 0]);
    w.submit(&join("g"));
    assert_ne!(w.session.poll_timeout(), before, "the machine slept");
}

#[test]
fn what_waits_to_be_tried_again_takes_room() {
    let mut config = SessionConfig::default();
    config.outbox_frames = 1;
    let mut w = World::connected(config);
    w.submit(&join("a"));
    w.written();
    w.refuse(1, "Timeout");
    assert_eq!(w.try_submit(&join("b")), Err(SubmitError::Full));
    w.advance(SECOND);
    assert_eq!(w.try_submit(&join("b")), Err(SubmitError::Full));
    w.written();
    w.submit(&join("b"));
}

#[test]
fn frames_that_the_service_does_not_take_are_refused() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&open("s"));
    w.written();
    let text = "x".repeat(1024 * 1024);
    for request in [
        send(&text, Acknowledge::Auto),
        send(&text, Acknowledge::Forget),
        write(w.stream("s"), &text),
    ] {
        let refused = w.try_submit(&request);
        assert!(
            matches!(refused, Err(SubmitError::TooLarge { bytes, limit: 1_048_576 }) if bytes > 1_048_576),
            "{refused:?}"
        );
    }
    let exact = 1024 * 1024 - sent("", 1).len();
    w.submit(&send(&"x".repeat(exact), Acknowledge::Auto));
    assert_eq!(w.written()[0].len(), 1024 * 1024);
}

fn with_payload(payload: &Payload, stream: RequestId) -> Vec<Request> {
    let event = || EventName::new("sum").expect("an event name");
    vec![
        send_payload(payload.clone(), Acknowledge::Auto),
        send_payload(payload.clone(), Acknowledge::Forget),
        Request::send_event(event(), payload.clone()),
        Request::invoke(event(), Some(payload.clone())),
        Request::write_stream(stream, payload.clone()),
    ]
}

#[test]
fn json_that_closes_the_connection_is_refused() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&open("s"));
    w.written();
    w.receive(r#"{"type":"streamAck","streamId":"s","expectedSequenceId":1}"#);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for json in ["null", " null\n", "", "{", "1 2", &nested(128)] {
        for request in with_payload(&Payload::Json(json.into()), w.stream("s")) {
            let refused = w.try_submit(&request);
            assert!(
                matches!(refused, Err(SubmitError::Invalid(_))),
                "{json}: {refused:?}"
            );
        }
    }
    assert_eq!(w.written(), [""; 0]);
    for json in ["\"null\"", "[null]", &nested(127)] {
        for request in with_payload(&Payload::Json(json.into()), w.stream("s")) {
            w.submit(&request);
        }
    }
    for text in w.written() {
        crate::frame::json::decode_client(text).expect("the service reads it");
    }
    // `null` as a text is one.
    w.submit(&send("null", Acknowledge::Auto));
}

#[test]
fn values_out_of_range_are_refused() {
    let mut w = World::connected(SessionConfig::default());
    let ttl = send("x", Acknowledge::Auto).ttl_seconds(301);
    let idle = Request::open_stream(group("g")).idle_timeout(Duration::from_micros(999));
    for request in [ttl, idle, invoke(Some("")), open("")] {
        let refused = w.try_submit(&request);
        assert!(
            matches!(refused, Err(SubmitError::Invalid(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn streams_must_be_open_and_their_ids_free() {
    let mut w = World::connected(SessionConfig::default());
    assert_eq!(
        w.try_submit(&write(w.stream("s"), "x")),
        Err(SubmitError::StreamNotOpen)
    );
    assert_eq!(
        w.try_submit(&end(w.stream("s"))),
        Err(SubmitError::StreamNotOpen)
    );
    w.submit(&open("s"));
    assert_eq!(w.try_submit(&open("s")), Err(SubmitError::StreamIdInUse));
    w.submit(&end(w.stream("s")));
    for request in [
        write(w.stream("s"), "x"),
        end(w.stream("s")),
        Request::keep_stream_alive(w.stream("s")),
    ] {
        assert_eq!(w.try_submit(&request), Err(SubmitError::StreamNotOpen));
    }
    assert!(!w.session.stream_has_room(w.stream("other")));
}

#[test]
fn streams_and_keep_alives_that_wait_are_bounded() {
    let mut config = SessionConfig::default();
    config.outbox_frames = 3;
    config.stream_window = 2;
    let mut w = World::new(config);
    w.start();
    for id in ["a", "b", "c"] {
        w.submit(&open(id));
    }
    assert_eq!(w.try_submit(&open("d")), Err(SubmitError::Full));
    let keep_alive = Request::keep_stream_alive(w.stream("a"));
    w.submit(&keep_alive);
    w.submit(&keep_alive);
    assert_eq!(w.try_submit(&keep_alive), Err(SubmitError::Full));
    w.submit(&write(w.stream("a"), "1"));
    assert!(w.session.stream_has_room(w.stream("a")));
    w.submit(&write(w.stream("a"), "2"));
    assert!(!w.session.stream_has_room(w.stream("a")));
    assert_eq!(
        w.try_submit(&write(w.stream("a"), "3")),
        Err(SubmitError::Full)
    );
    w.submit(&end(w.stream("a")));
}
