use std::time::Duration;

use super::world::*;
use crate::session::*;

const PING: &str = r#"{"type":"ping"}"#;

// req: C-8-1
#[test]
fn a_ping_every_twenty_seconds_keeps_the_connection() {
    let mut w = World::connected(SessionConfig::default());
    for _ in 0..20 {
        w.advance(SECOND * 19);
        assert_eq!(w.written(), [""; 0]);
        w.advance(SECOND);
        assert_eq!(w.written(), [PING]);
        w.receive(r#"{"type":"pong"}"#);
    }
    assert_eq!(w.session.state(), State::Connected);
    assert_eq!(w.events(), []);
}

// req: C-8-1
#[test]
fn a_silent_socket_is_given_up() {
    let mut w = World::connected(SessionConfig::default());
    w.advance(SECOND * 60);
    w.receive(r#"{"type":"pong"}"#);
    w.advance(SECOND * 119);
    assert_eq!(w.session.state(), State::Connected);
    assert_eq!(w.written(), [PING], "one ping is enough");
    w.advance(SECOND);
    let attempt = w.attempt;
    let silent = Event::Recovering {
        cause: Loss::Silent(SECOND * 120),
    };
    assert_eq!(w.events(), [silent]);
    let hangup = Action::Hangup {
        attempt,
        close_code: None,
    };
    assert_eq!(
        w.actions(),
        [hangup],
        "without a close frame: it is recoverable"
    );
}

#[test]
fn both_can_be_switched_off() {
    let mut config = SessionConfig::default();
    config.keep_alive_interval = Duration::ZERO;
    config.keep_alive_timeout = Duration::ZERO;
    let mut w = World::connected(config);
    assert_eq!(w.session.poll_timeout(), None);
    w.advance(SECOND * 10_000);
    assert_eq!(w.session.state(), State::Connected);
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn after_a_sleep_the_socket_must_prove_itself() {
    let mut w = World::connected(SessionConfig::default());
    w.sleep(SECOND * 4);
    w.timeout();
    assert_eq!(w.written(), [""; 0], "clocks differ a little");
    w.sleep(SECOND * 60);
    w.timeout();
    assert_eq!(w.written(), [PING]);
    w.advance(SECOND * 9);
    w.receive(r#"{"type":"pong"}"#);
    w.advance(SECOND * 2);
    assert_eq!(w.session.state(), State::Connected);

    w.sleep(SECOND * 60);
    w.timeout();
    w.advance(SECOND * 10);
    assert_eq!(w.session.state(), State::Recovering);
    assert!(matches!(
        w.events()[..],
        [Event::Recovering {
            cause: Loss::Silent(_)
        }]
    ));
}

#[test]
fn a_clock_that_goes_back_means_nothing() {
    let mut w = World::connected(SessionConfig::default());
    w.now.wall -= SECOND * 3600;
    w.timeout();
    assert_eq!(w.written(), [""; 0]);
    w.advance(SECOND * 15);
    assert_eq!(w.session.state(), State::Connected);
}

#[test]
fn a_session_that_was_not_driven_probes_before_it_gives_up() {
    let mut w = World::connected(SessionConfig::default());
    w.jump(SECOND * 3600);
    w.timeout();
    assert_eq!(w.session.state(), State::Connected);
    assert_eq!(w.written(), [PING]);
    w.receive(r#"{"type":"pong"}"#);
    w.advance(SECOND * 15);
    assert_eq!(w.session.state(), State::Connected);

    w.jump(SECOND * 3600);
    w.timeout();
    w.advance(SECOND * 10);
    assert_eq!(w.session.state(), State::Recovering);
}

#[test]
fn pings_do_not_pile_up_behind_a_blocked_socket() {
    let mut config = SessionConfig::default();
    config.keep_alive_timeout = Duration::ZERO;
    let mut w = World::connected(config);
    w.advance(SECOND * 1000);
    assert_eq!(w.written(), [PING]);
}
