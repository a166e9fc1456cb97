use std::time::Duration;

use super::world::*;
use crate::session::*;

pub(super) fn stream_ack(w: &mut World, id: &str, expected: u64) {
    w.receive(&format!(
        r#"{{"type":"streamAck","streamId":"{id}","expectedSequenceId":{expected}}}"#
    ));
}

pub(super) fn stream_nack(w: &mut World, name: &str, expected: u64) {
    w.receive(&format!(
        r#"{{"type":"streamNack","streamId":"s","name":"{name}","message":"m","expectedSequenceId":{expected}}}"#
    ));
}

pub(super) fn fragment(number: u64) -> String {
    format!(
        r#"{{"type":"streamData","streamId":"s","streamSequenceId":{number},"dataType":"text","data":"{number}"}}"#
    )
}

pub(super) const END: &str = r#"{"type":"streamEnd","streamId":"s"}"#;

pub(super) const CLOSED: &str = r#"{"type":"streamClosed","streamId":"s"}"#;

/// A session with the accepted stream `s`, and so many fragments written to it.
pub(super) fn streaming(fragments: u64) -> World {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&open("s"));
    w.written();
    stream_ack(&mut w, "s", 1);
    for number in 1..=fragments {
        w.submit(&write(w.stream("s"), &number.to_string()));
    }
    assert_eq!(
        w.written(),
        (1..=fragments).map(fragment).collect::<Vec<_>>()
    );
    w.events();
    w
}

// req: C-9-1
// req: C-9-7
#[test]
fn a_stream_is_open_when_the_service_expects_its_first_fragment() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&open("s"));
    assert_eq!(
        w.written(),
        [r#"{"type":"sendToGroup","group":"g","noEcho":false,"stream":{"streamId":"s"}}"#]
    );
    w.submit(&write(w.stream("s"), "1"));
    assert_eq!(w.written(), [""; 0], "it is not open yet");
    assert_eq!(w.settled(), []);
    stream_ack(&mut w, "s", 1);
    assert_eq!(w.settled(), [(request, WRITTEN)]);
    assert_eq!(w.session.stream_id(request).map(|id| &**id), Some("s"));
    assert_eq!(w.written(), [fragment(1)]);
}

#[test]
fn a_stream_gets_a_uuid_and_its_options() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(
        &Request::open_stream(group("g"))
            .no_echo()
            .idle_timeout(Duration::from_secs(60)),
    );
    let id = w.session.stream_id(request).expect("an id").to_string();
    assert_eq!(id.len(), 36);
    assert_eq!(
        w.written(),
        [format!(
            r#"{{"type":"sendToGroup","group":"g","noEcho":true,"stream":{{"streamId":"{id}","idleTimeoutMs":60000}}}}"#
        )]
    );
}

// req: C-4-2
#[test]
fn writes_are_settled_when_written_and_the_end_when_the_service_closes() {
    let mut w = streaming(0);
    let one = w.submit(&write(w.stream("s"), "1"));
    let keep_alive = w.submit(&Request::keep_stream_alive(w.stream("s")));
    assert_eq!(w.settled(), []);
    assert_eq!(
        w.written(),
        [
            fragment(1),
            r#"{"type":"streamData","streamId":"s"}"#.to_owned()
        ]
    );
    assert_eq!(w.settled(), [(one, WRITTEN), (keep_alive, WRITTEN)]);
    let ending = w.submit(&Request::end_stream(
        w.stream("s"),
        Some(crate::frame::StreamEndError {
            message: Some("gave up".to_owned()),
            user_error_code: Some("E42".to_owned()),
        }),
    ));
    assert_eq!(
        w.written(),
        [
            r#"{"type":"streamEnd","streamId":"s","error":{"message":"gave up","userErrorCode":"E42"}}"#
        ]
    );
    assert_eq!(w.settled(), []);
    w.receive(CLOSED);
    assert_eq!(w.settled(), [(ending, WRITTEN)]);
    w.submit(&open("s"));
}

// req: C-9-2
#[test]
fn the_window_opens_with_the_acknowledgements() {
    let mut w = streaming(64);
    assert!(!w.session.stream_has_room(w.stream("s")));
    assert_eq!(
        w.try_submit(&write(w.stream("s"), "65")),
        Err(SubmitError::Full)
    );
    stream_ack(&mut w, "s", 3);
    w.submit(&write(w.stream("s"), "65"));
    w.submit(&write(w.stream("s"), "66"));
    assert!(!w.session.stream_has_room(w.stream("s")));
    assert_eq!(w.written(), [fragment(65), fragment(66)]);
}

// req: C-9-2
// req: C-9-4
#[test]
fn after_a_recovery_the_unacknowledged_go_out_again() {
    let mut w = streaming(4);
    stream_ack(&mut w, "s", 3);
    w.cut();
    w.submit(&write(w.stream("s"), "5"));
    let ending = w.submit(&end(w.stream("s")));
    w.recover();
    assert_eq!(
        w.written(),
        [fragment(3), fragment(4), fragment(5), END.to_owned()]
    );
    stream_ack(&mut w, "s", 6);
    w.receive(CLOSED);
    assert_eq!(w.settled().last(), Some(&(ending, WRITTEN)));
}

#[test]
fn a_refused_fragment_is_written_again_once_per_refusal() {
    let mut w = streaming(4);
    stream_nack(&mut w, "InvalidSequenceId", 2);
    stream_nack(&mut w, "InvalidSequenceId", 2);
    stream_nack(&mut w, "InvalidSequenceId", 2);
    assert_eq!(w.written(), [fragment(2), fragment(3), fragment(4)]);
    stream_nack(&mut w, "InvalidSequenceId", 2);
    assert_eq!(w.written(), [""; 0], "an answer to the first copies");
    stream_ack(&mut w, "s", 4);
    stream_nack(&mut w, "InvalidSequenceId", 4);
    assert_eq!(w.written(), [fragment(4)]);
}

#[test]
fn a_passing_refusal_pauses_the_stream() {
    let mut w = streaming(2);
    for pause in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
        stream_nack(&mut w, "TransientError", 1);
        assert_eq!(w.written(), [""; 0]);
        w.advance(Duration::from_millis(pause - 1));
        assert_eq!(w.written(), [""; 0], "{pause}");
        w.advance(Duration::from_millis(1));
        let again = w.written();
        assert_eq!(again[again.len() - 2..], [fragment(1), fragment(2)]);
    }
    stream_ack(&mut w, "s", 2);
    stream_nack(&mut w, "TransientError", 2);
    w.advance(Duration::from_millis(100));
    assert_eq!(w.written(), [fragment(2)], "progress ends the growth");
}

#[test]
fn a_paused_stream_stops_no_other_and_ends_with_its_socket() {
    let mut w = streaming(1);
    w.submit(&open("t"));
    stream_nack(&mut w, "TransientError", 1);
    assert_eq!(w.written().len(), 1);
    stream_ack(&mut w, "t", 1);
    w.submit(&write(w.stream("t"), "x"));
    assert_eq!(w.written().len(), 1);
    w.cut();
    w.recover();
    assert_eq!(w.written().len(), 2, "both again, without a pause");
}

#[test]
fn streams_and_requests_take_turns() {
    let mut w = World::connected(SessionConfig::default());
    for id in ["a", "b"] {
        w.submit(&open(id));
    }
    w.written();
    for id in ["a", "b"] {
        stream_ack(&mut w, id, 1);
        for _ in 0..2 {
            w.submit(&write(w.stream(id), id));
        }
    }
    for _ in 0..4 {
        w.submit(&send("r", Acknowledge::Forget));
    }
    let order: Vec<_> = w
        .written()
        .iter()
        .map(|frame| frame.chars().rev().nth(2))
        .collect();
    assert_eq!(order, "rarbrarb".chars().map(Some).collect::<Vec<_>>());
}

#[test]
fn an_end_waits_until_what_was_refused_has_arrived() {
    let mut w = streaming(2);
    stream_nack(&mut w, "InvalidSequenceId", 2);
    let ending = w.submit(&end(w.stream("s")));
    assert_eq!(w.written(), [fragment(2)]);
    stream_ack(&mut w, "s", 3);
    assert_eq!(w.written(), [END]);
    w.receive(CLOSED);
    assert_eq!(w.settled(), [(ending, WRITTEN)]);
}

#[test]
fn giving_up_the_opening_ends_the_stream() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&open("s"));
    w.written();
    w.cancel(request);
    assert_eq!(w.settled(), [(request, Outcome::Cancelled)]);
    assert_eq!(w.written(), [""; 0], "it is not open yet");
    stream_ack(&mut w, "s", 1);
    let ends = |frames: &[String]| matches!(frames, [one] if one.starts_with(r#"{"type":"streamEnd","streamId":"s","error""#));
    assert!(ends(&w.written()));
    w.receive(CLOSED);
    assert_eq!(w.events(), []);

    let request = w.submit(&open("s"));
    w.written();
    stream_ack(&mut w, "s", 1);
    assert_eq!(w.settled(), [(request, WRITTEN)]);
    w.cancel(request);
    assert!(ends(&w.written()), "nobody took it");
    w.cancel(request);
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn a_withdrawn_fragment_never_goes_out_and_those_behind_it_close_up() {
    let mut w = streaming(1);
    let stream = w.stream("s");
    let withdrawn = w.submit(&write(stream, "never"));
    let kept = w.submit(&write(stream, "2"));
    w.cancel(withdrawn);
    assert_eq!(w.settled(), [(withdrawn, Outcome::Cancelled)]);
    w.submit(&write(stream, "3"));
    assert_eq!(w.written(), [fragment(2), fragment(3)]);
    assert!(w.settled().contains(&(kept, WRITTEN)));
    stream_ack(&mut w, "s", 4);
    assert_eq!(w.events(), [], "the numbers fit");
}

#[test]
fn a_fragment_that_was_written_cannot_be_withdrawn() {
    let mut w = streaming(0);
    let written = w.submit(&write(w.stream("s"), "1"));
    w.written();
    w.events();
    w.cancel(written);
    assert_eq!(w.events(), [], "it is settled");
    w.cut();
    w.recover();
    assert_eq!(w.written(), [fragment(1)]);
}

#[test]
fn a_keep_alive_and_an_end_can_be_withdrawn() {
    let mut w = streaming(0);
    let stream = w.stream("s");
    let keep_alive = w.submit(&Request::keep_stream_alive(stream));
    let ending = w.submit(&end(stream));
    w.cancel(ending);
    w.cancel(keep_alive);
    assert_eq!(
        w.settled(),
        [
            (ending, Outcome::Cancelled),
            (keep_alive, Outcome::Cancelled)
        ]
    );
    assert_eq!(w.written(), [""; 0]);
    w.submit(&write(stream, "1"));
    assert_eq!(w.written(), [fragment(1)], "the stream is still open");
}

#[test]
fn an_end_that_was_written_stays_when_it_is_not_waited_for() {
    let mut w = streaming(1);
    let stream = w.stream("s");
    let ending = w.submit(&end(stream));
    assert_eq!(w.written(), [END]);
    w.cancel(ending);
    assert_eq!(w.settled(), [(ending, Outcome::Cancelled)]);
    assert_eq!(
        w.try_submit(&write(stream, "2")),
        Err(SubmitError::StreamNotOpen)
    );
    w.cut();
    w.recover();
    assert_eq!(w.written(), [fragment(1), END.to_owned()]);
    w.receive(CLOSED);
    assert_eq!(w.settled(), []);
}

#[test]
fn a_late_end_of_a_dead_stream_does_not_touch_the_one_that_took_its_id() {
    let mut w = streaming(0);
    let dead = w.stream("s");
    w.receive(r#"{"type":"streamClosed","streamId":"s","error":{"name":"IdleTimeout"}}"#);
    w.submit(&open("s"));
    w.written();
    stream_ack(&mut w, "s", 1);
    w.events();
    let newer = w.stream("s");
    assert_ne!(dead, newer);
    w.cancel(dead);
    assert_eq!(w.try_submit(&end(dead)), Err(SubmitError::StreamNotOpen));
    assert_eq!(
        w.try_submit(&write(dead, "x")),
        Err(SubmitError::StreamNotOpen)
    );
    w.submit(&write(newer, "1"));
    assert_eq!(w.written(), [fragment(1)]);
}

#[test]
fn the_bytes_of_a_window_are_bounded_and_one_fragment_always_fits() {
    let mut config = SessionConfig::default();
    config.stream_window_bytes = 300;
    let mut w = World::connected(config);
    w.submit(&open("s"));
    w.written();
    stream_ack(&mut w, "s", 1);
    let stream = w.stream("s");
    w.submit(&write(stream, &"x".repeat(400)));
    let full = write(stream, "y");
    assert_eq!(w.try_submit(&full), Err(SubmitError::Full));
    w.written();
    assert_eq!(w.try_submit(&full), Err(SubmitError::Full));
    stream_ack(&mut w, "s", 2);
    let withdrawn = w.submit(&write(stream, &"x".repeat(400)));
    w.cancel(withdrawn);
    w.submit(&full);
}
