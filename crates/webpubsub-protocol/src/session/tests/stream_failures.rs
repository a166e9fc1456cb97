use super::outbound_streams::{CLOSED, END, fragment, stream_ack, stream_nack, streaming};
use super::world::*;
use crate::frame::FrameError;
use crate::session::*;

const NOT_FOUND: &str =
    r#"{"type":"streamClosed","streamId":"s","error":{"name":"StreamNotFound","message":"m"}}"#;

fn failed(w: &World, name: &str) -> Event {
    Event::StreamFailed {
        stream: w.stream("s"),
        stream_id: "s".into(),
        error: FrameError {
            name: name.into(),
            message: Some("m".into()),
        },
    }
}

#[test]
fn a_refused_start_rejects_the_opening_and_what_waited() {
    let mut w = World::connected(SessionConfig::default());
    let opening = w.submit(&open("s"));
    let writing = w.submit(&write(w.stream("s"), "1"));
    w.written();
    w.receive(
        r#"{"type":"streamClosed","streamId":"s","error":{"name":"Forbidden","message":"m"}}"#,
    );
    let settled = w.settled();
    let ids: Vec<_> = settled.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [opening, writing]);
    for (_, outcome) in settled {
        assert!(matches!(outcome, Outcome::Rejected { error, .. } if error.name == "Forbidden"));
    }
    assert_eq!(
        w.try_submit(&write(w.stream("s"), "2")),
        Err(SubmitError::StreamNotOpen)
    );
}

// req: C-9-3
#[test]
fn an_acknowledgement_outside_the_window_breaks_the_stream() {
    let violate: [fn(&mut World); 4] = [
        |w| stream_ack(w, "s", 2),
        |w| stream_ack(w, "s", 6),
        |w| stream_nack(w, "InvalidSequenceId", 6),
        |w| stream_ack(w, "s", u64::MAX),
    ];
    for violate in violate {
        let mut w = streaming(4);
        stream_ack(&mut w, "s", 3);
        let waiting = w.submit(&write(w.stream("s"), "5"));
        violate(&mut w);
        let events = w.events();
        assert!(
            matches!(&events[..], [
                Event::StreamFailed { error, .. },
                Event::Settled { request, outcome: Outcome::Rejected { .. } },
            ] if error.name == "ProtocolViolation" && *request == waiting),
            "{events:?}"
        );
        let frames = w.written();
        assert!(
            matches!(&frames[..], [one] if one.contains(r#""userErrorCode":"ProtocolViolation""#)),
            "{frames:?}"
        );
        w.receive(CLOSED);
        assert_eq!(w.events(), [Event::Ignored(Ignored::UnknownStream)]);
    }
}

// req: C-9-3
#[test]
fn a_start_is_answered_by_one() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&open("s"));
    w.written();
    stream_ack(&mut w, "s", 2);
    assert!(matches!(w.settled()[..], [(_, Outcome::Rejected { .. })]));
}

// req: C-9-6
#[test]
fn control_frames_for_unknown_streams_are_ignored() {
    let mut w = World::connected(SessionConfig::default());
    let unknown = [Event::Ignored(Ignored::UnknownStream)];
    stream_ack(&mut w, "s", 1);
    assert_eq!(w.events(), unknown);
    stream_nack(&mut w, "TransientError", 1);
    assert_eq!(w.events(), unknown);
    w.receive(CLOSED);
    assert_eq!(w.events(), unknown);
    assert_eq!(w.written(), [""; 0]);
}

// req: C-9-6
#[test]
fn late_frames_of_an_earlier_stream_do_not_touch_its_successor() {
    let mut w = World::connected(SessionConfig::default());
    let opening = w.submit(&open("s"));
    stream_ack(&mut w, "s", 1);
    stream_nack(&mut w, "InvalidSequenceId", 1);
    w.receive(NOT_FOUND);
    w.written();
    w.receive(CLOSED);
    w.receive(NOT_FOUND);
    stream_nack(&mut w, "InvalidSequenceId", 1);
    assert_eq!(w.events().len(), 6);
    stream_ack(&mut w, "s", 1);
    assert_eq!(w.settled(), [(opening, WRITTEN)]);
}

// req: C-9-5
#[test]
fn a_stream_whose_start_is_unanswered_fails_with_its_socket() {
    let mut w = World::connected(SessionConfig::default());
    let written = w.submit(&open("s"));
    w.written();
    let waiting = w.submit(&open("t"));
    w.cut();
    let lost = Outcome::Lost(Loss::Closed(Closure::default()));
    assert_eq!(w.settled(), [(written, lost)]);
    w.recover();
    assert_eq!(w.written().len(), 1, "the other one begins now");
    stream_ack(&mut w, "t", 1);
    assert_eq!(w.settled(), [(waiting, WRITTEN)]);
}

// req: C-9-4
#[test]
fn without_a_recovery_streams_fail() {
    let mut w = streaming(2);
    let ending = w.submit(&end(w.stream("s")));
    let waiting = w.submit(&open("t"));
    w.cut();
    assert_eq!(w.settled(), []);
    w.redial();
    w.input(Input::Opened);
    w.close(1008);
    let events = w.events();
    assert!(
        matches!(&events[0], Event::StreamFailed { error, .. } if error.name == "ConnectionLost")
    );
    assert!(
        matches!(&events[1], Event::Settled { request, outcome: Outcome::Lost(_) } if *request == ending)
    );
    w.reconnect("c2");
    w.events();
    assert_eq!(w.written().len(), 1, "unwritten starts wait");
    stream_ack(&mut w, "t", 1);
    assert_eq!(w.settled(), [(waiting, WRITTEN)]);
}

#[test]
fn the_service_can_close_a_stream_at_any_time() {
    let mut w = streaming(1);
    w.receive(
        r#"{"type":"streamClosed","streamId":"s","error":{"name":"IdleTimeout","message":"m"}}"#,
    );
    assert_eq!(w.events(), [failed(&w, "IdleTimeout")]);
    let mut w = streaming(1);
    w.receive(CLOSED);
    assert!(matches!(w.events()[..], [Event::StreamFailed { .. }]));
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn an_end_that_the_service_has_forgotten_was_done() {
    let mut w = streaming(1);
    stream_ack(&mut w, "s", 2);
    let ending = w.submit(&end(w.stream("s")));
    assert_eq!(w.written(), [END]);
    w.cut();
    w.recover();
    assert_eq!(w.written(), [END]);
    w.receive(NOT_FOUND);
    assert_eq!(w.settled(), [(ending, WRITTEN)]);
}

#[test]
fn fragments_that_the_service_has_forgotten_are_not_delivered() {
    let mut w = streaming(1);
    let ending = w.submit(&end(w.stream("s")));
    w.written();
    w.cut();
    w.recover();
    assert_eq!(w.written(), [fragment(1), END.to_owned()]);
    w.events();
    w.receive(NOT_FOUND);
    assert_eq!(w.events()[0], failed(&w, "StreamNotFound"));
    assert!(w.settled().is_empty(), "told once");
    let _ = ending;
}

#[test]
fn an_end_that_overtook_a_refused_fragment_is_no_success() {
    let mut w = streaming(2);
    let ending = w.submit(&end(w.stream("s")));
    assert_eq!(w.written(), [END]);
    stream_nack(&mut w, "TransientError", 2);
    w.receive(CLOSED);
    let events = w.events();
    assert!(
        matches!(&events[..], [
            Event::StreamFailed { .. },
            Event::Settled { request, outcome: Outcome::Rejected { .. } },
        ] if *request == ending),
        "{events:?}"
    );
}

#[test]
fn a_start_that_is_answered_by_a_nack_is_refused() {
    let mut w = World::connected(SessionConfig::default());
    let opening = w.submit(&open("s"));
    let writing = w.submit(&write(w.stream("s"), "1"));
    w.written();
    stream_nack(&mut w, "StreamAlreadyExists", 1);
    let settled = w.settled();
    let ids: Vec<_> = settled.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [opening, writing]);
    for (_, outcome) in settled {
        assert!(
            matches!(outcome, Outcome::Rejected { error, .. } if error.name == "StreamAlreadyExists")
        );
    }
    w.submit(&open("s"));
}

#[test]
fn a_start_that_is_not_answered_is_given_up() {
    let mut w = World::connected(SessionConfig::default());
    let opening = w.submit(&open("s"));
    w.advance(SECOND * 5);
    w.written();
    let writing = w.submit(&write(w.stream("s"), "1"));
    for _ in 0..29 {
        w.advance(SECOND);
        w.receive(r#"{"type":"pong"}"#);
    }
    assert_eq!(w.settled(), []);
    w.written();
    w.advance(SECOND);
    assert_eq!(
        w.settled(),
        [(opening, Outcome::TimedOut), (writing, Outcome::TimedOut)]
    );
    let frames = w.written();
    assert!(
        matches!(&frames[..], [one] if one.starts_with(r#"{"type":"streamEnd","streamId":"s","error""#)),
        "{frames:?}"
    );
    stream_ack(&mut w, "s", 1);
    assert_eq!(w.events(), [Event::Ignored(Ignored::UnknownStream)]);
    assert!(w.session.stream_id(opening).is_none());
}
