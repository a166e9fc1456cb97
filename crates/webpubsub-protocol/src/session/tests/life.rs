use std::time::Duration;

use super::world::*;
use crate::session::*;

// req: C-7.2-5
#[test]
fn a_start_dials_and_the_connected_frame_opens() {
    let mut w = World::new(SessionConfig::default());
    assert_eq!(w.session.state(), State::Stopped);
    assert_eq!(w.session.poll_timeout(), None);
    w.start();
    assert_eq!(w.session.state(), State::Connecting);
    assert_eq!(w.dialled(), None);
    w.input(Input::Opened);
    assert_eq!(
        w.session.state(),
        State::Connecting,
        "an open socket is not enough"
    );
    assert_eq!(w.written(), [""; 0]);
    w.receive(
        r#"{"type":"system","event":"connected","userId":"ann","connectionId":"c1","reconnectionToken":"t1"}"#,
    );
    assert_eq!(w.session.state(), State::Connected);
    assert_eq!(w.session.connection_id().map(|id| &**id), Some("c1"));
    assert_eq!(w.session.user_id().map(|id| &**id), Some("ann"));
    w.receive(CONNECTED);
    assert_eq!(
        w.events(),
        [
            Event::Connecting { attempt: 1 },
            Event::Connected {
                connection_id: "c1".into(),
                user_id: Some("ann".into()),
            },
        ]
    );
}

#[test]
fn starting_twice_is_a_mistake() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    assert_eq!(w.session.start(w.now), Err(AlreadyStarted));
    assert_eq!(w.actions().len(), 1);
}

#[test]
fn a_stop_closes_the_connection_and_settles_everything() {
    let mut w = World::connected(SessionConfig::default());
    let written = w.submit(&join("g"));
    w.written();
    let waiting = w.submit(&join("h"));
    w.stop();
    let hangup = Action::Hangup {
        attempt: w.attempt,
        close_code: Some(1000),
    };
    assert_eq!(w.actions(), [hangup]);
    let lost = |request| Event::Settled {
        request,
        outcome: Outcome::Lost(Loss::Stopped),
    };
    assert_eq!(
        w.events(),
        [
            lost(written),
            Event::Disconnected {
                connection_id: "c1".into(),
                cause: Loss::Stopped,
                message: None,
            },
            lost(waiting),
            Event::Stopped {
                reason: StopReason::Requested,
            },
        ]
    );
    assert_eq!(w.session.poll_timeout(), None);
    w.stop();
    w.message(1);
    w.cut();
    w.advance(SECOND * 1000);
    assert_eq!((w.events(), w.actions()), (vec![], vec![]));
    assert_eq!(w.written(), [""; 0]);
    assert_eq!(w.try_submit(&join("g")), Err(SubmitError::NotStarted));
}

#[test]
fn a_stop_gives_up_a_dial_and_a_back_off() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    w.dialled();
    w.stop();
    assert!(matches!(w.actions()[..], [Action::Hangup { .. }]));
    assert!(matches!(
        w.events()[..],
        [Event::Connecting { .. }, Event::Stopped { .. }]
    ));

    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.stop();
    assert_eq!(w.actions(), [], "there is no socket to hang up");
    assert_eq!(w.session.poll_timeout(), None);
}

// req: C-6-1
#[test]
fn a_stopped_session_starts_again_as_a_new_one() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&join("g"));
    w.written();
    w.ack(1);
    w.stall(true);
    w.stop();
    w.actions();
    w.connect();
    assert_eq!(w.written(), [""; 0], "groups are forgotten");
    assert_eq!(w.session.joined_groups().count(), 0);
    w.submit(&join("g"));
    assert_eq!(
        w.written(),
        [r#"{"type":"joinGroup","group":"g","ackId":2}"#],
        "it is not stalled any more"
    );
}

#[test]
fn what_is_said_about_consumers_while_stopped_does_not_outlive_the_start() {
    let mut w = World::connected(SessionConfig::default());
    w.stop();
    w.stall(true);
    assert_eq!(w.session.poll_timeout(), None);
    w.actions();
    w.connect();
    w.submit(&join("g"));
}

// req: C-6-3
#[test]
fn without_a_token_a_lost_connection_is_over() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    w.dialled();
    w.input(Input::Opened);
    w.receive(r#"{"type":"system","event":"connected","connectionId":"c1"}"#);
    let request = w.submit(&join("g"));
    w.written();
    w.receive(r#"{"type":"system","event":"disconnected","message":"bye"}"#);
    w.events();
    w.close(1000);
    let cause = Loss::Closed(Closure {
        code: Some(1000),
        ..Closure::default()
    });
    assert_eq!(
        w.events(),
        [
            Event::Settled {
                request,
                outcome: Outcome::Lost(cause.clone()),
            },
            Event::Disconnected {
                connection_id: "c1".into(),
                cause,
                message: Some("bye".to_owned()),
            },
        ]
    );
    assert_eq!(w.session.connection_id(), None);
    w.reconnect("c2");
}

#[test]
fn the_first_dial_after_a_loss_comes_at_once() {
    let mut w = World::connected(SessionConfig::default());
    w.advance(SECOND * 20);
    w.close(1008);
    assert_eq!(w.session.poll_timeout(), Some(w.now.mono));
    w.timeout();
    assert_eq!(w.dialled(), None);
    w.refuse_dial(503);
    assert!(w.session.poll_timeout() > Some(w.now.mono));
}

#[test]
fn connections_that_are_dropped_at_once_are_dialled_less_and_less_often() {
    use crate::subprotocol::Subprotocol;
    for protocol in [Subprotocol::Json, Subprotocol::ReliableJson] {
        let mut w = World::of(protocol, SessionConfig::default());
        w.connect();
        let start = w.now.mono;
        let mut dials = 0;
        while w.now.mono - start < SECOND * 60 {
            w.cut();
            w.redial();
            dials += 1;
            w.input(Input::Opened);
            w.receive(CONNECTED);
        }
        assert!(dials < 60, "{protocol:?}: {dials} dials in a minute");
        w.advance(SECOND * 20);
        w.close(1008);
        assert_eq!(
            w.session.poll_timeout(),
            Some(w.now.mono),
            "{protocol:?}: this one lasted"
        );
    }
}

#[test]
fn plain_subprotocols_open_a_new_connection() {
    use crate::subprotocol::Subprotocol;
    let mut w = World::of(Subprotocol::Json, SessionConfig::default());
    w.connect();
    w.cut();
    assert_eq!(w.session.state(), State::Connecting);
    w.reconnect("c2");
}

#[test]
fn reconnecting_can_be_switched_off() {
    let mut config = SessionConfig::default();
    config.auto_reconnect = false;
    let mut w = World::connected(config);
    w.close(1008);
    let events = w.events();
    assert!(
        matches!(
            events.last(),
            Some(Event::Stopped {
                reason: StopReason::Lost(Loss::Closed(_))
            })
        ),
        "{events:?}"
    );
    assert_eq!(w.actions(), []);
    assert_eq!(w.session.poll_timeout(), None);
}

#[test]
fn endless_durations_never_end() {
    let mut config = SessionConfig::default();
    config.dial_timeout = Duration::MAX;
    config.handshake_timeout = Duration::MAX;
    config.keep_alive_interval = Duration::MAX;
    config.keep_alive_timeout = Duration::MAX;
    config.probe_timeout = Duration::MAX;
    config.recovery_window = Duration::MAX;
    config.sequence_ack_delay = Duration::MAX;
    config.reconnect_backoff = Backoff::Fixed(Duration::MAX);
    config.recovery_backoff = Backoff::Fixed(Duration::MAX);
    config.request_backoff = Backoff::Fixed(Duration::MAX);
    let mut w = World::connected(config);
    let request = w.submit(&join("g"));
    w.written();
    w.refuse(1, "Timeout");
    assert!(matches!(w.settled()[..], [(id, Outcome::Rejected { .. })] if id == request));
    w.message(1);
    assert_eq!(w.written(), [""; 0], "nothing is acknowledged by time");
    w.sleep(SECOND * 100);
    w.timeout();
    w.cut();
    assert_eq!(w.session.poll_timeout(), None);
    assert_eq!(w.session.state(), State::Recovering);
}
