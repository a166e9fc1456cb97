use super::world::*;
use crate::session::*;

fn ack_of(id: u64) -> String {
    format!(r#"{{"type":"sequenceAck","sequenceId":{id}}}"#)
}

// req: C-7.1-1
// req: C-7.1-2
// req: C-7.1-3
#[test]
fn messages_are_acknowledged_a_second_after_the_first() {
    let mut w = World::connected(SessionConfig::default());
    w.message(1);
    w.advance(SECOND / 2);
    w.message(2);
    assert_eq!(w.written(), [""; 0]);
    w.advance(SECOND / 2);
    assert_eq!(w.written(), [ack_of(2)]);
    w.advance(SECOND * 5);
    assert_eq!(w.written(), [""; 0], "once");
    w.message(3);
    w.advance(SECOND);
    assert_eq!(w.written(), [ack_of(3)]);
}

// req: C-7.1-3
// req: C-7.1-5
#[test]
fn a_lag_of_three_hundred_is_acknowledged_at_once() {
    let mut w = World::connected(SessionConfig::default());
    for id in 1..300 {
        w.message(id);
    }
    assert_eq!(w.written(), [""; 0]);
    w.message(300);
    assert_eq!(w.written(), [ack_of(300)]);
    w.message(10_000);
    assert_eq!(w.written(), [ack_of(10_000)], "a gap counts");
    w.advance(SECOND * 2);
    assert_eq!(w.written(), [""; 0], "the timer has nothing left to do");
}

// req: C-7.1-4
#[test]
fn duplicates_are_dropped_and_acknowledged_again() {
    let mut w = World::connected(SessionConfig::default());
    w.message(5);
    w.advance(SECOND);
    assert_eq!(w.written(), [ack_of(5)]);
    w.events();
    w.message(4);
    w.message(5);
    let duplicate = |id| Event::Ignored(Ignored::Duplicate(id));
    assert_eq!(w.events(), [4, 5].map(duplicate));
    w.advance(SECOND);
    assert_eq!(w.written(), [ack_of(5)], "it never goes back");
}

// req: C-7.1-1
#[test]
fn ids_go_on_over_a_recovery_and_begin_anew_on_a_new_connection() {
    let mut w = World::connected(SessionConfig::default());
    w.message(7);
    w.cut();
    w.recover();
    assert_eq!(w.written(), [ack_of(7)], "it was due, and the socket new");
    w.message(7);
    w.message(8);
    w.advance(SECOND);
    assert_eq!(w.written(), [ack_of(8)]);
    w.close(1008);
    w.reconnect("c2");
    w.events();
    w.message(1);
    assert!(matches!(w.events()[..], [Event::Message(_)]));
    w.advance(SECOND);
    assert_eq!(w.written(), [ack_of(1)]);
}

#[test]
fn an_acknowledgement_waits_for_the_socket() {
    let mut w = World::connected(SessionConfig::default());
    w.message(1);
    w.advance(SECOND * 3);
    w.message(2);
    assert_eq!(w.written(), [ack_of(2)]);
}

#[test]
fn plain_subprotocols_number_nothing() {
    use crate::subprotocol::Subprotocol;
    let mut w = World::of(Subprotocol::Json, SessionConfig::default());
    w.connect();
    w.message(2);
    w.message(1);
    assert_eq!(w.events().len(), 2);
    w.advance(SECOND * 2);
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn a_number_that_leaves_none_for_the_next_message_ends_the_connection() {
    for id in [u64::MAX, 1 << 53] {
        let mut w = World::connected(SessionConfig::default());
        w.message(id);
        let events = w.events();
        assert!(
            matches!(&events[..], [
                Event::Message(_),
                Event::Disconnected { cause: Loss::InvalidSequenceId(seen), .. },
            ] if *seen == id),
            "{events:?}"
        );
        let hangup = Action::Hangup {
            attempt: w.attempt,
            close_code: Some(1002),
        };
        assert_eq!(w.actions(), [hangup]);
        w.reconnect("c2");
        w.events();
        w.message(1);
        assert!(matches!(w.events()[..], [Event::Message(_)]));
    }
}

#[test]
fn an_endless_delay_acknowledges_by_count_only() {
    let mut config = SessionConfig::default();
    config.sequence_ack_delay = Duration::MAX;
    config.sequence_ack_lag = 3;
    let mut w = World::connected(config);
    w.message(1);
    w.message(2);
    w.advance(SECOND * 15);
    assert_eq!(w.written(), [""; 0]);
    w.message(3);
    assert_eq!(w.written(), [ack_of(3)]);
    w.message(4);
    assert_eq!(w.written(), [""; 0]);
}
