//! What becomes of requests when their socket breaks.

use super::world::*;
use crate::session::*;

// req: C-6-4
#[test]
fn after_a_recovery_the_unanswered_go_out_again_in_order_under_the_same_ids() {
    let mut w = World::connected(SessionConfig::default());
    let ids: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|text| w.submit(&send(text, Acknowledge::Auto)))
        .collect();
    for _ in 0..3 {
        w.write_one();
    }
    w.ack(2);
    assert_eq!(w.settled(), [(ids[1], accepted(2))]);
    w.cut();
    w.submit(&send("e", Acknowledge::Auto));
    assert_eq!(w.written(), [""; 0]);
    w.recover();
    assert_eq!(
        w.written(),
        [sent("a", 1), sent("c", 3), sent("d", 4), sent("e", 5)]
    );
    w.refuse(1, "Duplicate");
    w.ack(3);
    assert_eq!(w.settled().len(), 2);
}

// req: C-6-4
#[test]
fn the_order_survives_a_second_drop_in_the_middle() {
    let mut w = World::connected(SessionConfig::default());
    for text in ["a", "b", "c"] {
        w.submit(&send(text, Acknowledge::Auto));
    }
    w.written();
    w.cut();
    w.recover();
    assert_eq!(w.write_one(), Some(sent("a", 1)));
    w.cut();
    w.recover();
    assert_eq!(w.written(), [sent("a", 1), sent("b", 2), sent("c", 3)]);
}

#[test]
fn an_answer_stops_the_resending() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&send("a", Acknowledge::Auto));
    w.submit(&send("b", Acknowledge::Auto));
    w.written();
    w.cut();
    w.recover();
    w.ack(1);
    w.refuse(2, "Timeout");
    assert_eq!(w.written(), [""; 0], "the second waits for its next try");
    w.advance(SECOND);
    assert_eq!(w.written(), [sent("b", 2)]);
    w.ack(2);
    assert!(!w.session.has_pending_requests());
}

// req: C-6-3
#[test]
fn only_what_was_written_is_lost() {
    let mut w = World::connected(SessionConfig::default());
    let written = w.submit(&send("a", Acknowledge::Auto));
    w.written();
    let retried = w.submit(&send("b", Acknowledge::Auto));
    w.written();
    w.refuse(2, "Timeout");
    let waiting = w.submit(&send("c", Acknowledge::Auto));
    let forgotten = w.submit(&send("d", Acknowledge::Forget));
    w.close(1008);
    let lost = Outcome::Lost(Loss::Closed(Closure {
        code: Some(1008),
        ..Closure::default()
    }));
    assert_eq!(w.settled(), [(written, lost)]);
    w.advance(SECOND * 2);
    w.reconnect("c2");
    let mut frames = w.written();
    frames.sort();
    assert_eq!(frames.len(), 3, "{frames:?}");
    assert!(frames.contains(&sent("b", 2)) && frames.contains(&sent("c", 3)));
    w.ack(2);
    w.ack(3);
    assert_eq!(
        w.settled(),
        [
            (forgotten, WRITTEN),
            (retried, accepted(2)),
            (waiting, accepted(3))
        ]
    );
}

#[test]
fn a_resent_request_takes_no_second_place_in_flight() {
    let mut config = SessionConfig::default();
    config.max_in_flight = 2;
    let mut w = World::connected(config);
    for text in ["a", "b", "c"] {
        w.submit(&send(text, Acknowledge::Auto));
    }
    w.written();
    w.cut();
    w.recover();
    assert_eq!(w.written(), [sent("a", 1), sent("b", 2)]);
    w.ack(1);
    assert_eq!(w.written(), [sent("c", 3)]);
}
