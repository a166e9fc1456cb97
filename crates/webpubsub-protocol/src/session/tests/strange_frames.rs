//! Frames that a service should not send, or that come at the wrong time.

use super::world::*;
use crate::frame::DecodeError;
use crate::session::*;
use crate::subprotocol::Subprotocol;

// req: C-5-1
// req: C-5-2
#[test]
fn what_cannot_be_read_is_skipped_and_reported() {
    let mut w = World::connected(SessionConfig::default());
    for frame in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"novelty"}"#,
        r#"{"type":"system","event":"novelty"}"#,
        r#"{"type":"message","from":"moon","dataType":"text","data":""}"#,
        r#"{"type":"message","from":"server","dataType":"xml","data":""}"#,
        r#"{"type":"ack"}"#,
        r#"{"type":"ack","ackId":-1,"success":true}"#,
        r#"{"type":"streamAck","streamId":"s"}"#,
    ] {
        w.receive(frame);
        let events = w.events();
        assert!(
            matches!(events[..], [Event::Ignored(Ignored::Undecodable(_))]),
            "{frame}: {events:?}"
        );
    }
    w.input(Input::Frame(WireFrame::Binary(vec![1, 2, 3].into())));
    assert_eq!(
        w.events(),
        [Event::Ignored(Ignored::Undecodable(DecodeError::WrongKind))]
    );
    w.message(1);
    assert_eq!(w.events().len(), 1, "the connection goes on");
}

#[test]
fn nothing_counts_before_the_connected_frame() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    w.dialled();
    w.message(1);
    w.input(Input::Opened);
    w.events();
    w.message(1);
    w.receive("?");
    assert!(matches!(
        w.events()[..],
        [
            Event::Ignored(Ignored::BeforeConnected),
            Event::Ignored(Ignored::Undecodable(_))
        ]
    ));
    w.input(Input::Opened);
    w.receive(CONNECTED);
    w.message(1);
    assert!(matches!(
        w.events()[..],
        [Event::Connected { .. }, Event::Message(_)]
    ));
}

// req: C-7.2-5
#[test]
fn another_id_on_an_open_connection_is_ignored() {
    let mut w = World::connected(SessionConfig::default());
    w.receive(&CONNECTED.replace("c1", "c2"));
    assert_eq!(w.events(), [Event::Ignored(Ignored::AnotherConnection)]);
    assert_eq!(w.session.connection_id().map(|id| &**id), Some("c1"));
}

#[test]
fn an_unreadable_frame_does_not_prove_a_recovery() {
    let mut w = World::connected(SessionConfig::default());
    w.cut();
    w.redial();
    w.input(Input::Opened);
    w.receive("?");
    assert_eq!(w.session.state(), State::Recovering);
    w.advance(SECOND * 10);
    assert!(matches!(w.actions()[0], Action::Hangup { .. }));
}

#[test]
fn late_reports_of_a_socket_change_nothing() {
    let mut w = World::connected(SessionConfig::default());
    w.input(Input::DialFailed(refused(403, None)));
    w.input(Input::Opened);
    assert_eq!(w.session.state(), State::Connected);
    w.cut();
    w.cut();
    w.message(1);
    w.input(Input::Opened);
    assert_eq!(w.session.state(), State::Recovering);
    assert_eq!(w.events().len(), 1);
}

// req: C-5-3
#[test]
fn users_may_be_null_absent_or_a_string() {
    for (user, expected) in [
        ("", None),
        (r#""userId":null,"#, None),
        (r#""userId":"ann","#, Some("ann")),
    ] {
        let mut w = World::of(Subprotocol::Json, SessionConfig::default());
        w.start();
        w.dialled();
        w.input(Input::Opened);
        w.receive(&format!(
            r#"{{"type":"system","event":"connected",{user}"connectionId":"c1"}}"#
        ));
        assert_eq!(w.session.user_id().map(|id| &**id), expected);
    }
}

// req: C-5-1
#[test]
fn an_answer_that_cannot_be_read_fails_its_request() {
    let broken = [
        r#"{"type":"ack","ackId":1,"success":"yes"}"#,
        r#"{"type":"ack","ackId":1,"success":false,"error":7}"#,
        r#"{"type":"ack","ackId":1,"success":false,"error":{"name":7}}"#,
        r#"{"type":"invokeResponse","invocationId":"1","success":true,"dataType":"xml","data":"x"}"#,
        r#"{"type":"invokeResponse","invocationId":"1","success":true,"dataType":"binary","data":"?"}"#,
        r#"{"type":"invokeResponse","invocationId":"1","success":true,"metadata":7}"#,
    ];
    for frame in broken {
        let mut w = World::connected(SessionConfig::default());
        let requests = [w.submit(&join("g")), w.submit(&invoke(None))];
        w.written();
        w.receive(frame);
        let settled = w.settled();
        assert!(
            matches!(&settled[..], [(id, Outcome::Unreadable(_))] if requests.contains(id)),
            "{frame}: {settled:?}"
        );
        w.receive(frame);
        assert!(
            matches!(w.events()[..], [Event::Ignored(Ignored::Undecodable(_))]),
            "nobody waits for it"
        );
    }
}

#[test]
fn answers_that_say_too_little_are_read_as_the_official_client_does() {
    let mut w = World::connected(SessionConfig::default());
    let refused = w.submit(&join("g"));
    let invoked = w.submit(&invoke(None));
    w.written();
    w.receive(r#"{"type":"ack","ackId":1,"success":false,"error":{"message":"no"}}"#);
    w.receive(r#"{"type":"invokeResponse","invocationId":"1","success":true,"data":"x"}"#);
    let settled = w.settled();
    assert!(
        matches!(&settled[..], [
            (first, Outcome::Rejected { error, .. }),
            (second, Outcome::Accepted { .. }),
        ] if *first == refused && *second == invoked && error.name.is_empty()),
        "{settled:?}"
    );
}
