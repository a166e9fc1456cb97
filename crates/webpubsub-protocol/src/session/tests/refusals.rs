//! Requests that are not taken.

use std::time::Duration;

use super::world::*;
use crate::payload::Payload;
use crate::session::*;

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
    let id = w.submit(&join("c"));
    w.cancel(id);
    w.submit(&send(&"x".repeat(200), Acknowledge::Auto));
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
        write("s", &text),
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

fn with_payload(payload: &Payload) -> Vec<Request> {
    let Request::Invoke {
        event,
        metadata,
        invocation_id,
        ..
    } = invoke(None)
    else {
        unreachable!("an invocation")
    };
    vec![
        send_payload(payload.clone(), Acknowledge::Auto),
        send_payload(payload.clone(), Acknowledge::Forget),
        Request::SendEvent {
            event: event.clone(),
            payload: payload.clone(),
            metadata: metadata.clone(),
            acknowledge: Acknowledge::Auto,
        },
        Request::Invoke {
            event,
            payload: Some(payload.clone()),
            metadata,
            invocation_id,
        },
        Request::WriteStream {
            stream_id: "s".into(),
            payload: payload.clone(),
        },
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
        for request in with_payload(&Payload::Json(json.into())) {
            let refused = w.try_submit(&request);
            assert!(
                matches!(refused, Err(SubmitError::Invalid(_))),
                "{json}: {refused:?}"
            );
        }
    }
    assert_eq!(w.written(), [""; 0]);
    for json in ["\"null\"", "[null]", &nested(127)] {
        for request in with_payload(&Payload::Json(json.into())) {
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
    let Request::SendToGroup {
        group: to,
        payload,
        metadata,
        ..
    } = send("x", Acknowledge::Auto)
    else {
        unreachable!("a send")
    };
    let ttl = Request::SendToGroup {
        group: to,
        payload,
        no_echo: false,
        ttl_seconds: 301,
        metadata,
        acknowledge: Acknowledge::Auto,
    };
    let idle = Request::OpenStream {
        group: group("g"),
        stream_id: None,
        no_echo: false,
        idle_timeout: Some(Duration::from_micros(999)),
    };
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
        w.try_submit(&write("s", "x")),
        Err(SubmitError::StreamNotOpen)
    );
    assert_eq!(w.try_submit(&end("s")), Err(SubmitError::StreamNotOpen));
    w.submit(&open("s"));
    assert_eq!(w.try_submit(&open("s")), Err(SubmitError::StreamIdInUse));
    w.submit(&end("s"));
    for request in [
        write("s", "x"),
        end("s"),
        Request::KeepStreamAlive {
            stream_id: "s".into(),
        },
    ] {
        assert_eq!(w.try_submit(&request), Err(SubmitError::StreamNotOpen));
    }
    assert!(!w.session.stream_has_room("other"));
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
    let keep_alive = Request::KeepStreamAlive {
        stream_id: "a".into(),
    };
    w.submit(&keep_alive);
    w.submit(&keep_alive);
    assert_eq!(w.try_submit(&keep_alive), Err(SubmitError::Full));
    w.submit(&write("a", "1"));
    assert!(w.session.stream_has_room("a"));
    w.submit(&write("a", "2"));
    assert!(!w.session.stream_has_room("a"));
    assert_eq!(w.try_submit(&write("a", "3")), Err(SubmitError::Full));
    w.submit(&end("a"));
}
