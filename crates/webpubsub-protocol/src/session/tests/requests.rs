use super::world::*;
use crate::frame::AckId;
use crate::metadata::Metadata;
use crate::name::EventName;
use crate::payload::Payload;
use crate::session::*;

// req: C-4-1
// req: C-4-3
// req: C-9-7
#[test]
fn requests_look_as_the_official_client_writes_them() {
    let mut w = World::connected(SessionConfig::default());
    let requests = [
        join("g"),
        leave("g"),
        send("hi", Acknowledge::Auto),
        Request::send_to_group(group("g"), Payload::Json("1".into()))
            .no_echo()
            .ttl_seconds(60)
            .metadata(Metadata::new([("trace", "a1")]).expect("metadata"))
            .acknowledge(Acknowledge::Forget),
        Request::send_event(
            EventName::new("echo").expect("an event name"),
            Payload::binary(&b"\x01\x02\x03"[..]),
        )
        .acknowledge(Acknowledge::Id(AckId(99))),
        invoke(None),
        Request::set_group_state(group("g"), None).acknowledge(Acknowledge::Forget),
        Request::subscribe_group_state(group("g")),
        Request::unsubscribe_group_state(group("g")),
    ];
    for request in &requests {
        w.submit(request);
    }
    assert_eq!(
        w.written(),
        [
            r#"{"type":"joinGroup","group":"g","ackId":1}"#,
            r#"{"type":"leaveGroup","group":"g","ackId":2}"#,
            r#"{"type":"sendToGroup","group":"g","ackId":3,"noEcho":false,"dataType":"text","data":"hi"}"#,
            r#"{"type":"sendToGroup","group":"g","noEcho":true,"ttlSeconds":60,"metadata":{"trace":"a1"},"dataType":"json","data":1}"#,
            r#"{"type":"event","event":"echo","ackId":99,"dataType":"binary","data":"AQID"}"#,
            r#"{"type":"invoke","invocationId":"1","target":"event","event":"sum","dataType":"json","data":[1,2]}"#,
            r#"{"type":"setGroupState","group":"g","ackId":4}"#,
            r#"{"type":"subscribeGroupState","group":"g","ackId":5}"#,
            r#"{"type":"unsubscribeGroupState","group":"g","ackId":6}"#,
        ]
    );
    w.submit(&open("s"));
    assert_eq!(
        w.written(),
        [r#"{"type":"sendToGroup","group":"g","noEcho":false,"stream":{"streamId":"s"}}"#]
    );
}

// req: C-6-2
// req: C-6-5
#[test]
fn each_answer_settles_its_request_once() {
    let mut w = World::connected(SessionConfig::default());
    let ids: Vec<_> = (0..3)
        .map(|_| w.submit(&send("x", Acknowledge::Auto)))
        .collect();
    w.written();
    w.refuse(3, "SomethingNew");
    w.refuse(2, "Duplicate");
    w.ack(1);
    let settled = w.settled();
    assert_eq!(
        settled[1],
        (ids[1], Outcome::Duplicate { ack_id: AckId(2) })
    );
    assert_eq!(settled[2], (ids[0], accepted(1)));
    let (id, Outcome::Rejected { ack_id, error }) = &settled[0] else {
        panic!("{settled:?}");
    };
    assert_eq!(
        (*id, *ack_id, &*error.name),
        (ids[2], Some(AckId(3)), "SomethingNew")
    );
    for id in 1..=4 {
        w.ack(id);
    }
    let unknown = |id| Event::Ignored(Ignored::UnknownAck(id));
    assert_eq!(w.events(), [1, 2, 3, 4].map(unknown));
    w.advance(SECOND * 15);
    assert_eq!(w.written(), [""; 0], "nothing is tried again");
}

#[test]
fn fire_and_forget_is_settled_when_it_is_written() {
    let mut w = World::connected(SessionConfig::default());
    let request = w.submit(&send("x", Acknowledge::Forget));
    assert!(!w.session.has_pending_requests());
    assert_eq!(w.settled(), []);
    w.written();
    assert_eq!(w.settled(), [(request, WRITTEN)]);
}

#[test]
fn an_answer_before_the_question_is_ignored() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&join("g"));
    let invocation = w.submit(&invoke(None));
    w.ack(1);
    w.receive(r#"{"type":"invokeResponse","invocationId":"1","success":true}"#);
    assert_eq!(
        w.events(),
        [
            Event::Ignored(Ignored::UnknownAck(1)),
            Event::Ignored(Ignored::UnknownInvocation)
        ]
    );
    w.written();
    w.receive(r#"{"type":"invokeResponse","invocationId":"1","success":true}"#);
    assert_eq!(w.settled(), [(invocation, WRITTEN)]);
}

#[test]
fn requests_wait_for_the_first_connection() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    w.submit(&join("g"));
    w.submit(&send("x", Acknowledge::Forget));
    w.dialled();
    w.input(Input::Opened);
    assert_eq!(w.written(), [""; 0]);
    w.receive(CONNECTED);
    assert_eq!(w.written().len(), 2);
}

#[test]
fn no_more_than_the_service_remembers_are_in_flight() {
    let mut config = SessionConfig::default();
    config.outbox_frames = 2000;
    let mut w = World::connected(config);
    for _ in 0..1200 {
        w.submit(&send("x", Acknowledge::Auto));
    }
    w.submit(&send("last", Acknowledge::Forget));
    assert_eq!(w.written().len(), 1000);
    w.ack(500);
    assert_eq!(w.written(), [sent("x", 1001)], "one for one");
    for id in 1..500 {
        w.ack(id);
    }
    assert_eq!(w.written().len(), 200, "the order is kept");
    assert!(w.session.has_pending_requests());
}

// req: C-6-1
#[test]
fn chosen_ids_never_meet_automatic_ones() {
    let mut w = World::new(SessionConfig::default());
    w.start();
    w.submit(&send("a", Acknowledge::Id(AckId(2))));
    assert_eq!(
        w.try_submit(&send("b", Acknowledge::Id(AckId(2)))),
        Err(SubmitError::AckIdInUse(AckId(2)))
    );
    // The id is still waiting when the first connection comes, and is done on it.
    w.dialled();
    w.input(Input::Opened);
    w.receive(CONNECTED);
    w.submit(&send("c", Acknowledge::Auto));
    w.submit(&send("d", Acknowledge::Auto));
    assert_eq!(w.written(), [sent("a", 2), sent("c", 1), sent("d", 3)]);
    w.submit(&send("e", Acknowledge::Id(AckId(4))));
    w.written();
    w.ack(4);
    w.submit(&send("f", Acknowledge::Auto));
    assert_eq!(w.written(), [sent("f", 5)], "4 was done");
}

// req: C-6-1
#[test]
fn a_chosen_id_that_waited_through_a_loss_is_remembered_on_the_next_connection() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&send("a", Acknowledge::Id(AckId(1))));
    w.close(1008);
    w.reconnect("c2");
    assert_eq!(w.written(), [sent("a", 1)]);
    w.ack(1);
    w.submit(&send("b", Acknowledge::Auto));
    assert_eq!(w.written(), [sent("b", 2)]);
}

#[test]
fn the_same_id_may_be_used_again_once_it_is_answered() {
    let mut w = World::connected(SessionConfig::default());
    for _ in 0..2 {
        w.submit(&send("a", Acknowledge::Id(AckId(u64::MAX))));
        assert_eq!(w.written().len(), 1);
        w.refuse(u64::MAX, "Forbidden");
        assert_eq!(w.settled().len(), 1);
    }
}

#[test]
fn a_request_can_be_withdrawn_until_it_is_written() {
    let mut w = World::connected(SessionConfig::default());
    for request in [
        send("x", Acknowledge::Auto),
        send("x", Acknowledge::Forget),
        invoke(None),
        open("s"),
    ] {
        let id = w.submit(&request);
        w.cancel(id);
        assert_eq!(w.settled(), [(id, Outcome::Cancelled)]);
        w.cancel(id);
        assert_eq!(w.settled(), []);
    }
    assert_eq!(w.written(), [""; 0]);
    assert!(!w.session.has_pending_requests());
}

#[test]
fn a_cancelled_join_still_counts_when_it_was_written() {
    let mut w = World::connected(SessionConfig::default());
    let id = w.submit(&join("g"));
    w.written();
    w.cancel(id);
    assert_eq!(w.settled(), [(id, Outcome::Cancelled)]);
    assert!(!w.session.has_pending_requests());
    w.ack(1);
    assert_eq!(w.events(), []);
    assert_eq!(w.session.joined_groups().count(), 1);
}

#[test]
fn what_is_cancelled_between_two_tries_is_not_tried_again() {
    let mut w = World::connected(SessionConfig::default());
    let id = w.submit(&join("g"));
    w.written();
    w.refuse(1, "Timeout");
    w.cancel(id);
    assert_eq!(w.settled(), [(id, Outcome::Cancelled)]);
    w.advance(SECOND * 15);
    assert_eq!(w.written(), [""; 0]);

    let id = w.submit(&join("g"));
    w.written();
    w.cancel(id);
    w.refuse(2, "Timeout");
    w.advance(SECOND * 4);
    assert_eq!(w.written(), [""; 0], "nobody cares");
}
