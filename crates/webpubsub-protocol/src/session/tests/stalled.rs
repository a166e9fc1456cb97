//! Nothing is read, because the application does not take its events.

use super::world::*;
use crate::session::*;

#[test]
fn what_waits_for_an_answer_is_settled_and_no_more_is_taken() {
    let mut w = World::connected(SessionConfig::default());
    let written = w.submit(&join("g"));
    w.written();
    let waiting = w.submit(&invoke(None));
    let forgotten = w.submit(&send("x", Acknowledge::Forget));
    assert!(w.session.has_pending_requests());
    w.stall(true);
    assert!(!w.session.has_pending_requests());
    assert_eq!(
        w.settled(),
        [(written, Outcome::Stalled), (waiting, Outcome::Stalled)]
    );
    for request in [join("h"), invoke(None), open("s")] {
        assert_eq!(w.try_submit(&request), Err(SubmitError::Stalled));
    }
    w.submit(&send("y", Acknowledge::Forget));
    assert_eq!(w.written().len(), 2);
    assert_eq!(w.settled()[0], (forgotten, WRITTEN));
    w.stall(true);
    assert_eq!(w.settled(), []);

    w.stall(false);
    w.ack(1);
    assert_eq!(w.events(), [], "it is settled already");
    assert_eq!(w.session.joined_groups().count(), 1, "but it counts");
    w.submit(&join("h"));
}

#[test]
fn room_that_only_an_answer_makes_is_not_waited_for() {
    let mut config = SessionConfig::default();
    config.outbox_bytes = 1;
    let mut w = World::connected(config);
    w.submit(&send("takes all room", Acknowledge::Auto));
    w.written();
    let waits = send("x", Acknowledge::Forget);
    assert_eq!(w.try_submit(&waits), Err(SubmitError::Full));
    w.stall(true);
    assert_eq!(w.try_submit(&waits), Err(SubmitError::Stalled));
    w.stall(false);
    assert_eq!(w.try_submit(&waits), Err(SubmitError::Full));
    w.ack(1);
    w.submit(&waits);
}

#[test]
fn streams_do_not_wait_either() {
    let mut w = World::connected(SessionConfig::default());
    let accept = |w: &mut World, id: &str| {
        w.receive(&format!(
            r#"{{"type":"streamAck","streamId":"{id}","expectedSequenceId":1}}"#
        ));
    };
    w.submit(&open("ended"));
    w.submit(&open("open"));
    w.written();
    accept(&mut w, "ended");
    accept(&mut w, "open");
    let ended = w.submit(&end(w.stream("ended")));
    let opening = w.submit(&open("opening"));
    w.written();
    let unwritten = w.submit(&open("unwritten"));
    w.settled();
    assert!(w.session.has_pending_requests());
    w.stall(true);
    assert_eq!(
        w.settled(),
        [ended, opening, unwritten].map(|id| (id, Outcome::Stalled))
    );
    assert!(!w.session.has_pending_requests());
    for _ in 0..64 {
        w.submit(&write(w.stream("open"), "x"));
    }
    assert_eq!(
        w.try_submit(&write(w.stream("open"), "x")),
        Err(SubmitError::Stalled)
    );
    let ending = w.submit(&end(w.stream("open")));
    assert_eq!(w.settled(), [(ending, Outcome::Stalled)]);
    let frames = w.written();
    assert_eq!(frames.len(), 65);
    assert_eq!(frames[64], r#"{"type":"streamEnd","streamId":"open"}"#);
    w.stall(false);
    accept(&mut w, "opening");
    let given_up = w.written();
    assert!(
        matches!(&given_up[..], [one] if one.contains(r#""type":"streamEnd","streamId":"opening""#)),
        "{given_up:?}"
    );
    assert_eq!(w.settled().len(), 64);
}

#[test]
fn silence_says_nothing() {
    let mut w = World::connected(SessionConfig::default());
    w.stall(true);
    w.advance(SECOND * 1000);
    w.sleep(SECOND * 60);
    w.timeout();
    w.advance(SECOND * 20);
    assert_eq!(w.session.state(), State::Connected);
    assert!(
        !w.written().is_empty(),
        "pings keep it alive at the service"
    );
    w.stall(false);
    w.advance(SECOND * 119);
    assert_eq!(w.session.state(), State::Connected);
    w.advance(SECOND);
    assert_eq!(w.session.state(), State::Recovering);
}

#[test]
fn a_socket_is_read_until_a_connection_stands_so_a_silent_one_is_given_up() {
    let mut w = World::connected(SessionConfig::default());
    w.stall(true);
    w.close(1008);
    assert_eq!(w.redial(), None);
    w.input(Input::Opened);
    w.advance(SECOND * 10);
    assert!(matches!(w.actions()[..], [Action::Hangup { .. }]));
    w.reconnect("c2");
}

// req: C-7.2-4
#[test]
fn a_replay_that_nobody_reads_does_not_count_as_incomplete() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    assert!(w.redial().is_some());
    w.input(Input::Opened);
    w.message(1);
    w.stall(true);
    w.advance(SECOND * 60);
    w.cut();
    assert_eq!(w.session.state(), State::Recovering);
    w.recover();
}
