use std::time::Duration;

use super::world::*;
use crate::session::*;

// req: C-7.2-1
// req: C-7.2-7
// req: C-7.2-5
#[test]
fn a_lost_socket_is_replaced_and_its_first_frame_is_enough() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    assert_eq!(w.session.state(), State::Recovering);
    let recovery = w.redial().expect("a recovery");
    assert_eq!(&*recovery.connection_id, "c1");
    assert_eq!(&*recovery.reconnection_token, "t1");
    assert!(!format!("{recovery:?}").contains("t1"), "a secret");
    w.input(Input::Opened);
    assert_eq!(w.session.state(), State::Recovering, "it is not proved");
    assert_eq!(w.written(), [r#"{"type":"ping"}"#]);
    w.message(1);
    assert_eq!(w.session.state(), State::Connected);
    w.message(2);
    w.receive(r#"{"type":"pong"}"#);
    w.receive(r#"{"type":"pong"}"#);
    let events = w.events();
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| !matches!(event, Event::Message(_)))
        .collect();
    assert_eq!(
        kinds,
        [
            &Event::Recovering {
                cause: Loss::Closed(Closure::default())
            },
            &Event::Recovered { replayed: 2 },
        ]
    );
    assert_eq!(w.session.connection_id().map(|id| &**id), Some("c1"));
}

// req: C-7.2-6
// req: C-7.2-5
#[test]
fn the_latest_token_recovers() {
    let mut w = World::connected(SessionConfig::default());
    for token in ["t2", "t3"] {
        w.cut();
        w.redial();
        w.input(Input::Opened);
        w.receive(&CONNECTED.replace("t1", token));
    }
    w.cut();
    let events = w.events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Connected { .. }))
    );
    w.redial();
    w.input(Input::Opened);
    w.receive(r#"{"type":"system","event":"connected","connectionId":"c1"}"#);
    w.cut();
    let recovery = w.redial().expect("a recovery");
    assert_eq!(
        &*recovery.reconnection_token, "t3",
        "without a new token the old one stays"
    );
}

// req: C-7.2-3
#[test]
fn no_failure_but_1008_ends_the_tries() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    let failures = [400, 401, 403, 404, 429, 500, 502, 503]
        .map(|status| refused(status, None))
        .into_iter()
        .chain([
            DialFailure::Network("no route".to_owned()),
            DialFailure::Subprotocol("mqtt".to_owned()),
            DialFailure::Credential("busy".to_owned()),
        ]);
    let started = w.now.mono;
    for failure in failures {
        assert!(w.redial().is_some(), "after {:?}", w.now.mono - started);
        w.input(Input::DialFailed(failure));
    }
    for code in [1000, 1001, 1006, 1011] {
        assert!(w.redial().is_some());
        w.input(Input::Opened);
        w.close(code);
    }
    w.recover();
}

// req: C-7.2-2
// req: C-6-3
#[test]
fn a_1008_ends_the_connection() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&join("g"));
    w.written();
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.events();
    w.close(1008);
    let cause = Loss::RecoveryRefused(Closure {
        code: Some(1008),
        ..Closure::default()
    });
    assert_eq!(
        w.events(),
        [
            Event::Settled {
                request,
                outcome: Outcome::Lost(cause.clone())
            },
            Event::Disconnected {
                connection_id: "c1".into(),
                cause,
                message: None
            },
        ]
    );
    w.reconnect("c2");
}

// req: C-7.2-2
#[test]
fn a_1008_counts_also_after_the_first_frame_and_on_a_healthy_socket() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.recover();
    w.close(1008);
    assert_eq!(w.session.state(), State::Connecting);
    w.reconnect("c2");
}

// req: C-7.2-4
#[test]
fn after_thirty_seconds_a_new_connection_is_opened() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    let start = w.now.mono;
    while w.session.state() == State::Recovering {
        w.advance(Duration::from_millis(10));
        if w.session.state() == State::Recovering && !w.actions().is_empty() {
            w.attempt.0 += 1;
            w.refuse_dial(503);
        }
        assert!(w.now.mono - start < SECOND * 31, "it does not end");
    }
    assert_eq!(w.now.mono - start, SECOND * 30);
    assert!(w.events().iter().any(|event| matches!(
        event,
        Event::Disconnected {
            cause: Loss::RecoveryExpired(_),
            ..
        }
    )));
    w.reconnect("c2");
}

// req: C-7.2-4
#[test]
fn a_hanging_dial_does_not_outlive_the_window() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.advance(SECOND * 10);
    assert!(matches!(
        w.actions()[0],
        Action::Hangup {
            close_code: None,
            ..
        }
    ));
    w.advance(SECOND * 20);
    assert_eq!(w.session.state(), State::Connecting);
    let last = w.actions().pop();
    assert!(
        matches!(
            last,
            Some(
                Action::Hangup {
                    close_code: None,
                    ..
                } | Action::Dial { recover: None, .. }
            )
        ),
        "{last:?}"
    );
}

/// A replay that breaks each socket, such as a message that is too large for something on the way.
// req: C-7.2-4
#[test]
fn recoveries_that_die_before_their_replay_is_complete_end_with_the_window_of_the_first_drop() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    let start = w.now.mono;
    let mut recoveries = 0;
    // The last dial may be given up before it opens.
    while w.redial().is_some() && w.session.state() == State::Recovering {
        assert!(w.now.mono - start <= SECOND * 30, "it does not end");
        recoveries += 1;
        w.input(Input::Opened);
        w.message(recoveries);
        assert_eq!(w.session.state(), State::Connected);
        w.advance(SECOND);
        w.cut();
    }
    assert!(recoveries > 10, "{recoveries}");
    let expired = |event: &Event| {
        let cause = Loss::RecoveryExpired(SECOND * 30);
        matches!(event, Event::Disconnected { cause: ended, .. } if *ended == cause)
    };
    assert_eq!(w.events().iter().filter(|event| expired(event)).count(), 1);

    // A replay that was complete begins anew.
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.recover();
    w.advance(SECOND * 31);
    w.cut();
    assert_eq!(w.session.state(), State::Recovering);
    w.recover();
}

// req: C-7.2-4
#[test]
fn a_late_alarm_dials_no_recovery_after_the_window() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.jump(SECOND * 31);
    w.timeout();
    assert_eq!(w.session.state(), State::Connecting);
    w.reconnect("c2");
}

#[test]
fn tries_begin_at_once_and_come_at_most_two_seconds_apart() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    for failures in 0..12_u32 {
        let due = w.session.poll_timeout().expect("another try");
        let bound = (Duration::from_millis(200) * 2_u32.pow(failures.min(4))).min(SECOND * 2);
        assert!(due - w.now.mono <= bound, "try {failures}");
        assert!(w.redial().is_some());
        w.refuse_dial(503);
    }
}

#[test]
fn a_message_that_is_too_large_ends_the_connection_for_good_and_is_reported_once() {
    let too_large = || {
        Input::Closed(Closure {
            error: Some("too long".to_owned()),
            too_large: Some(1000),
            ..Closure::default()
        })
    };
    let ended = [Event::Disconnected {
        connection_id: "c1".into(),
        cause: Loss::MessageTooLarge { limit: 1000 },
        message: None,
    }];
    let mut w = World::connected(SessionConfig::default());
    w.input(too_large());
    assert_eq!(w.events(), ended);
    w.reconnect("c2");

    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.events();
    w.input(too_large());
    assert_eq!(w.events(), ended, "before anything else was replayed");
    w.reconnect("c2");
}

#[test]
fn another_connection_id_replaces_the_connection() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&join("g"));
    w.written();
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.events();
    w.receive(&CONNECTED.replace("c1", "c2"));
    assert_eq!(
        w.events(),
        [
            Event::Settled {
                request,
                outcome: Outcome::Lost(Loss::Replaced)
            },
            Event::Disconnected {
                connection_id: "c1".into(),
                cause: Loss::Replaced,
                message: None
            },
            Event::Connected {
                connection_id: "c2".into(),
                user_id: None
            },
        ]
    );

    let mut config = SessionConfig::default();
    config.auto_reconnect = false;
    let mut w = World::connected(config);
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.receive(&CONNECTED.replace("c1", "c2"));
    assert_eq!(w.session.state(), State::Stopped);
    assert!(matches!(w.actions()[..], [Action::Hangup { .. }]));
}

#[test]
fn a_reason_to_disconnect_that_was_not_the_end_is_forgotten() {
    let mut w = World::connected(SessionConfig::default());
    w.receive(r#"{"type":"system","event":"disconnected","message":"Service reload"}"#);
    w.cut();
    w.recover();
    w.events();
    w.close(1008);
    assert!(matches!(
        &w.events()[..],
        [Event::Disconnected { message: None, .. }]
    ));
}

#[test]
fn what_the_machine_slept_counts_towards_the_window() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.sleep(SECOND * 29);
    w.timeout();
    assert_eq!(w.session.state(), State::Recovering);
    w.advance(SECOND);
    assert_eq!(w.session.state(), State::Connecting);

    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.sleep(SECOND * 3600);
    w.timeout();
    assert_eq!(w.session.state(), State::Connecting);
}
