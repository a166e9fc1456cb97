use super::world::*;
use crate::session::*;

fn joined(config: SessionConfig) -> World {
    let mut w = World::connected(config);
    for name in ["a", "b"] {
        w.submit(&join(name));
    }
    w.written();
    w.ack(1);
    w.ack(2);
    w.events();
    w
}

fn joins(first: u64) -> [String; 2] {
    ["a", "b"].map(|name| {
        let id = first + u64::from(name == "b");
        format!(r#"{{"type":"joinGroup","group":"{name}","ackId":{id}}}"#)
    })
}

// req: C-7.2-8
#[test]
fn a_new_connection_joins_before_anything_else() {
    let mut w = joined(SessionConfig::default());
    w.close(1008);
    w.submit(&send("x", Acknowledge::Auto));
    w.reconnect("c2");
    let [a, b] = joins(4);
    assert_eq!(w.written(), [a, b, sent("x", 3)]);
    w.events();
    w.ack(4);
    w.ack(5);
    assert_eq!(w.events(), [], "success is not reported");
}

#[test]
fn a_recovered_connection_is_still_in_its_groups() {
    let mut w = joined(SessionConfig::default());
    w.cut();
    w.recover();
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn each_group_that_cannot_be_joined_is_reported_and_tried_on_the_next_connection() {
    let mut w = joined(SessionConfig::default());
    w.close(1008);
    w.reconnect("c2");
    w.written();
    w.events();
    w.refuse(3, "Forbidden");
    w.ack(4);
    let events = w.events();
    assert!(
        matches!(&events[..], [Event::RejoinFailed { group, error }]
            if group.as_str() == "a" && error.name == "Forbidden"),
        "{events:?}"
    );
    w.close(1008);
    w.reconnect("c3");
    assert_eq!(w.written(), joins(5));
}

#[test]
fn passing_failures_are_tried_again_before_they_are_reported() {
    let mut config = SessionConfig::default();
    config.request_backoff = Backoff::Fixed(SECOND);
    let mut w = joined(config);
    w.close(1008);
    w.reconnect("c2");
    w.events();
    w.written();
    w.ack(4);
    for _ in 0..3 {
        w.refuse(3, "InternalServerError");
        assert_eq!(w.events(), []);
        w.advance(SECOND);
        assert_eq!(w.written(), joins(3)[..1]);
    }
    w.refuse(3, "InternalServerError");
    assert!(matches!(w.events()[..], [Event::RejoinFailed { .. }]));
}

// req: C-6-4
#[test]
fn a_drop_in_the_middle_of_it_goes_on_where_it_was() {
    let mut w = joined(SessionConfig::default());
    w.close(1008);
    w.reconnect("c2");
    let [a, b] = joins(3);
    assert_eq!(w.write_one().as_ref(), Some(&a));
    w.cut();
    w.recover();
    assert_eq!(w.written(), [a, b]);
    w.close(1008);
    w.reconnect("c3");
    assert_eq!(w.written(), joins(5), "new ids, and each once");
}

#[test]
fn rejoining_can_be_switched_off() {
    let mut config = SessionConfig::default();
    config.auto_rejoin_groups = false;
    let mut w = joined(config);
    w.close(1008);
    w.reconnect("c2");
    assert_eq!(w.written(), [""; 0]);
    assert_eq!(w.session.joined_groups().count(), 0);
}
