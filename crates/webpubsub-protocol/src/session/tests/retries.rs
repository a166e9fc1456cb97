use std::time::Duration;

use super::world::*;
use crate::frame::AckId;
use crate::session::*;

fn fixed() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.request_backoff = Backoff::Fixed(SECOND);
    config
}

#[test]
fn passing_failures_are_tried_again_under_the_same_id() {
    for name in [
        "InternalServerError",
        "ServiceUnavailable",
        "Timeout",
        "TransientError",
    ] {
        let mut w = World::connected(fixed());
        let request = w.submit(&send("a", Acknowledge::Id(AckId(9))));
        for _ in 0..4 {
            assert_eq!(w.written(), [sent("a", 9)]);
            assert_eq!(w.settled(), []);
            w.refuse(9, name);
            assert_eq!(w.written(), [""; 0], "not at once");
            w.advance(SECOND);
        }
        assert!(matches!(w.settled()[..], [(id, Outcome::Rejected { .. })] if id == request));
        assert_eq!(w.written(), [""; 0], "three times and no more");
    }
}

#[test]
fn other_failures_are_final() {
    for name in [
        "Forbidden",
        "BadRequest",
        "NotFound",
        "internalservererror",
        "",
    ] {
        let mut w = World::connected(fixed());
        w.submit(&send("a", Acknowledge::Auto));
        w.written();
        w.refuse(1, name);
        assert!(matches!(w.settled()[..], [(_, Outcome::Rejected { .. })]));
    }
}

#[test]
fn a_second_answer_between_two_tries_is_ignored() {
    let mut w = World::connected(fixed());
    w.submit(&send("a", Acknowledge::Auto));
    w.written();
    w.refuse(1, "Timeout");
    w.ack(1);
    assert_eq!(w.events(), [Event::Ignored(Ignored::UnknownAck(1))]);
    w.advance(SECOND);
    w.written();
    w.ack(1);
    assert_eq!(w.settled().len(), 1);
}

#[test]
fn tries_go_on_while_the_connection_is_recovered() {
    let mut w = World::connected(fixed());
    w.submit(&send("a", Acknowledge::Auto));
    w.written();
    w.refuse(1, "Timeout");
    w.cut();
    w.redial();
    w.advance(SECOND * 5);
    w.input(Input::Opened);
    w.receive(r#"{"type":"pong"}"#);
    assert_eq!(w.written(), [r#"{"type":"ping"}"#.to_owned(), sent("a", 1)]);
}

#[test]
fn a_retry_gives_its_place_in_flight_to_others() {
    let mut config = fixed();
    config.max_in_flight = 1;
    let mut w = World::connected(config);
    w.submit(&send("a", Acknowledge::Auto));
    w.submit(&send("b", Acknowledge::Auto));
    assert_eq!(w.written(), [sent("a", 1)]);
    w.refuse(1, "Timeout");
    assert_eq!(w.written(), [sent("b", 2)]);
    w.advance(SECOND);
    assert_eq!(w.written(), [""; 0]);
    w.ack(2);
    assert_eq!(w.written(), [sent("a", 1)]);
}

#[test]
fn retries_can_be_switched_off() {
    let mut config = fixed();
    config.request_retries = 0;
    let mut w = World::connected(config);
    w.submit(&send("a", Acknowledge::Auto));
    w.written();
    w.refuse(1, "Timeout");
    assert_eq!(w.settled().len(), 1);
    w.advance(Duration::from_secs(15));
    assert_eq!(w.written(), [""; 0]);
}
