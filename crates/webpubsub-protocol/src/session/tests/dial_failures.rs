use std::time::Duration;

use super::world::*;
use crate::session::*;

fn started(config: SessionConfig) -> World {
    let mut w = World::new(config);
    w.start();
    w.dialled();
    w
}

/// A session that had a connection, and dials for another one.
fn later(mut config: SessionConfig) -> World {
    config.reconnect_backoff = Backoff::Fixed(SECOND);
    let mut w = World::connected(config);
    w.close(1008);
    assert_eq!(w.redial(), None);
    w.events();
    w
}

fn stop_reason(w: &mut World) -> Option<StopReason> {
    assert_eq!(w.actions(), [], "nothing to dial or to hang up");
    match w.events().pop() {
        Some(Event::Stopped { reason }) => Some(reason),
        _ => None,
    }
}

#[test]
fn a_401_asks_once_for_another_url() {
    for mut w in [
        started(SessionConfig::default()),
        later(SessionConfig::default()),
    ] {
        w.refuse_dial(401);
        assert_eq!(w.dialled(), None, "at once");
        w.refuse_dial(401);
        let refused = StopReason::Refused(refused(401, None));
        assert_eq!(stop_reason(&mut w), Some(refused));
    }
}

#[test]
fn another_failure_in_between_makes_the_next_401_the_first() {
    let mut w = later(SessionConfig::default());
    for _ in 0..3 {
        w.refuse_dial(401);
        w.dialled();
        w.refuse_dial(503);
        assert_eq!(w.redial(), None);
    }
}

// req: C-1-1
#[test]
fn what_will_not_heal_stops_the_session() {
    let failures = [400, 403, 404]
        .map(|status| refused(status, None))
        .into_iter()
        .chain([DialFailure::Subprotocol(
            "json.webpubsub.azure.v1".to_owned(),
        )]);
    for failure in failures {
        let mut config = SessionConfig::default();
        config.retry_initial_connect = true;
        for mut w in [started(config.clone()), later(config)] {
            w.input(Input::DialFailed(failure.clone()));
            let refused = StopReason::Refused(failure.clone());
            assert_eq!(stop_reason(&mut w), Some(refused));
            assert_eq!(w.session.poll_timeout(), None);
        }
    }
}

#[test]
fn refusals_of_a_gateway_can_be_survived_by_who_had_a_connection() {
    let mut config = SessionConfig::default();
    config.retry_refused_reconnects = true;
    let mut w = later(config.clone());
    for status in [400, 403, 404] {
        w.refuse_dial(status);
        assert_eq!(w.redial(), None);
    }
    w.refuse_dial(401);
    w.dialled();
    w.refuse_dial(401);
    assert!(stop_reason(&mut w).is_some(), "not for want of a token");

    config.retry_initial_connect = true;
    let mut w = started(config);
    w.refuse_dial(403);
    assert!(stop_reason(&mut w).is_some(), "nor on the first start");
}

fn passing() -> Vec<DialFailure> {
    vec![
        refused(429, None),
        refused(500, None),
        refused(503, None),
        DialFailure::Network("no route".to_owned()),
        DialFailure::Credential("busy".to_owned()),
        DialFailure::TimedOut(SECOND),
        DialFailure::ClosedAtOnce(Closure::default()),
    ]
}

#[test]
fn the_first_dial_may_be_tried_again() {
    for failure in passing() {
        let mut w = started(SessionConfig::default());
        w.input(Input::DialFailed(failure.clone()));
        assert_eq!(
            stop_reason(&mut w),
            Some(StopReason::Refused(failure.clone()))
        );

        let mut config = SessionConfig::default();
        config.retry_initial_connect = true;
        let mut w = started(config);
        w.input(Input::DialFailed(failure));
        assert_eq!(w.redial(), None);
        assert_eq!(
            w.events(),
            [
                Event::Connecting { attempt: 1 },
                Event::Connecting { attempt: 2 }
            ]
        );
    }
}

#[test]
fn later_dials_are_tried_for_ever() {
    let mut w = later(SessionConfig::default());
    for failure in passing().into_iter().cycle().take(200) {
        w.input(Input::DialFailed(failure));
        assert_eq!(w.redial(), None);
    }
    w.input(Input::Opened);
    w.receive(CONNECTED);
    assert_eq!(w.session.state(), State::Connected);
}

#[test]
fn the_number_of_tries_can_be_limited() {
    let mut config = SessionConfig::default();
    config.max_reconnect_attempts = Some(3);
    let mut w = later(config);
    for _ in 0..2 {
        w.refuse_dial(503);
        w.redial();
    }
    w.refuse_dial(502);
    let exhausted = StopReason::Exhausted {
        attempts: 3,
        last: refused(502, None),
    };
    assert_eq!(stop_reason(&mut w), Some(exhausted));
}

#[test]
fn retry_after_is_obeyed_within_reason() {
    let mut w = later(SessionConfig::default());
    for status in [429, 503] {
        w.input(Input::DialFailed(refused(status, Some(SECOND * 40))));
        w.advance(SECOND * 39);
        assert_eq!(w.actions(), []);
        w.advance(SECOND);
        assert_eq!(w.dialled(), None);
    }
    w.input(Input::DialFailed(refused(429, Some(Duration::MAX))));
    w.advance(SECOND * 3599);
    assert_eq!(w.actions(), []);
    w.advance(SECOND);
    assert_eq!(w.dialled(), None);
}

#[test]
fn retry_after_outlives_the_window_of_the_recovery_that_was_refused() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    assert!(w.redial().is_some());
    w.input(Input::DialFailed(refused(429, Some(SECOND * 40))));
    w.advance(SECOND * 39);
    assert_eq!(w.session.state(), State::Connecting);
    assert_eq!(w.actions(), []);
    w.advance(SECOND);
    assert_eq!(w.dialled(), None);
}

#[test]
fn back_off_grows_to_its_bound_and_starts_anew_after_a_success() {
    let mut config = SessionConfig::default();
    config.retry_initial_connect = true;
    let mut w = started(config);
    let mut longest = Duration::ZERO;
    for failures in 0..60_u32 {
        w.refuse_dial(503);
        let due = w.session.poll_timeout().expect("another try");
        let delay = due - w.now.mono;
        let bound = SECOND * 2_u32.pow(failures.min(5)).min(30);
        assert!(delay <= bound, "{delay:?} after {failures} failures");
        longest = longest.max(delay);
        w.redial();
    }
    assert!(longest > SECOND * 20, "{longest:?}");
    w.input(Input::Opened);
    w.receive(CONNECTED);
    w.close(1008);
    let due = w.session.poll_timeout().expect("another try");
    assert_eq!(due, w.now.mono);
}

#[test]
fn a_dial_and_a_silent_socket_are_given_up() {
    let mut w = later(SessionConfig::default());
    w.advance(SECOND * 20);
    let hangup = |attempt| Action::Hangup {
        attempt,
        close_code: None,
    };
    assert_eq!(w.actions(), [hangup(w.attempt)]);
    w.redial();
    w.input(Input::Opened);
    w.advance(SECOND * 10);
    assert_eq!(w.actions(), [hangup(w.attempt)]);
    assert_eq!(w.redial(), None);

    let mut w = started(SessionConfig::default());
    w.advance(SECOND * 20);
    assert_eq!(w.actions(), [hangup(w.attempt)]);
    let timed_out = DialFailure::TimedOut(SECOND * 20);
    assert_eq!(stop_reason(&mut w), Some(StopReason::Refused(timed_out)));
}

#[test]
fn reports_of_an_abandoned_dial_change_nothing() {
    let mut w = later(SessionConfig::default());
    let old = w.attempt;
    w.advance(SECOND * 20);
    w.actions();
    w.events();
    w.input_of(old, Input::Opened);
    w.input_of(old, Input::Frame(WireFrame::Text(CONNECTED.into())));
    assert_eq!(w.events(), []);
    w.redial();
    for input in [
        Input::Opened,
        Input::Closed(Closure::default()),
        Input::DialFailed(refused(403, None)),
    ] {
        w.input_of(old, input);
    }
    assert_eq!(w.session.state(), State::Connecting);
    w.input(Input::Opened);
    w.receive(CONNECTED);
    w.input_of(old, Input::Closed(Closure::default()));
    assert_eq!(w.session.state(), State::Connected);
}
