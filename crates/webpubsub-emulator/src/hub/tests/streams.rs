//! Streams to a group.

use super::*;

const START: &str = r#"{"type":"sendToGroup","group":"g","noEcho":true,"stream":{"streamId":"s","idleTimeoutMs":1000}}"#;

fn data(number: u64, text: &str) -> String {
    format!(
        r#"{{"type":"streamData","streamId":"s","streamSequenceId":{number},"dataType":"text","data":"{text}"}}"#
    )
}

fn ack(expected: u64) -> String {
    format!(r#"{{"type":"streamAck","streamId":"s","expectedSequenceId":{expected}}}"#)
}

/// A publisher with an open stream, and a member of the group.
fn opened() -> (World, Client, Client) {
    let mut world = World::new();
    let publisher = world.connect("p", Some("u"), &["g"]);
    let member = world.connect("m", None, &["g"]);
    world.say(&publisher, START);
    assert_eq!(publisher.frames(&world), [ack(1)]);
    (world, publisher, member)
}

#[test]
fn fragments_arrive_in_order_and_once() {
    // req: S-9-1, S-9-7, S-9-8, S-9-9, S-9-12, S-9-19, S-9-20, S-9-25
    let (mut world, publisher, member) = opened();
    world.say(&publisher, &data(1, "one"));
    world.say(&publisher, &data(1, "again"));
    world.say(&publisher, &data(3, "early"));
    assert_eq!(
        publisher.frames(&world),
        [
            ack(2),
            ack(2),
            r#"{"type":"streamNack","streamId":"s","name":"InvalidSequenceId","message":"Fragment 2 is expected.","expectedSequenceId":2}"#.to_owned(),
        ]
    );
    world.say(&publisher, r#"{"type":"streamEnd","streamId":"s"}"#);
    assert_eq!(
        publisher.frames(&world),
        [r#"{"type":"streamClosed","streamId":"s"}"#]
    );
    let frame = |rest: &str| {
        format!(
            r#"{{"type":"message","from":"group","fromUserId":"u","group":"g","dataType":"text",{rest}}}"#
        )
    };
    assert_eq!(
        member.frames(&world),
        [
            frame(r#""data":"one","stream":{"streamId":"s","streamSequenceId":1}"#),
            frame(r#""data":"","stream":{"streamId":"s","streamSequenceId":2,"endOfStream":true}"#),
        ]
    );
    world.say(&publisher, START);
    assert_eq!(publisher.frames(&world), [ack(1)], "the id is free again");
}

#[test]
fn an_idle_stream_ends_and_a_kept_one_does_not() {
    // req: S-9-6, S-9-11, S-9-14
    let (mut world, publisher, member) = opened();
    world.pass(Duration::from_millis(999));
    world.say(&publisher, r#"{"type":"streamData","streamId":"s"}"#);
    world.pass(Duration::from_millis(999));
    assert!(publisher.frames(&world).is_empty());
    world.pass(Duration::from_millis(1));
    assert!(publisher.frames(&world)[0].contains(r#""name":"IdleTimeout""#));
    assert!(
        member.frames(&world)[0].contains(r#""endOfStream":true,"error":{"name":"IdleTimeout"}"#)
    );
    world.say(&publisher, &data(1, "late"));
    assert!(publisher.frames(&world)[0].contains("StreamNotFound"));
}

#[test]
fn mistakes_end_the_stream_and_not_the_connection() {
    // req: S-9-10
    let (mut world, publisher, member) = opened();
    world.say(&publisher, START);
    assert!(
        publisher.frames(&world)[0].contains(r#""name":"BadRequest""#),
        "the id is in use"
    );
    world.say(&publisher, &data(1, "still open"));
    assert_eq!(publisher.frames(&world), [ack(2)]);
    world.say(
        &publisher,
        r#"{"type":"streamData","streamId":"s","streamSequenceId":2}"#,
    );
    assert!(publisher.frames(&world)[0].contains(r#""name":"BadRequest""#));
    assert!(member.frames(&world)[1].contains(r#""endOfStream":true"#));
    assert_eq!(publisher.close(&world), None);
}

#[test]
fn a_lost_permission_and_a_lost_publisher_end_it() {
    // req: S-9-15, S-9-16
    let (mut world, publisher, member) = opened();
    let now = world.clock.now();
    let send = Permission::SendToGroup;
    world
        .state
        .revoke(now, "p", send, &group("g"), &mut world.effects)
        .expect("connected");
    assert!(publisher.frames(&world)[0].contains(r#""name":"Forbidden""#));
    assert!(member.frames(&world)[0].contains(r#""error":{"name":"Forbidden"}"#));

    let (mut world, publisher, member) = opened();
    world.lose(&publisher, Gone::Lost);
    assert!(member.frames(&world)[0].contains(r#""error":{"name":"Cancelled"}"#));
}

#[test]
fn a_stream_outlives_the_socket_of_a_reliable_publisher() {
    // req: S-9-24
    let mut world = World::new();
    let publisher = world.connect_reliable("p", &["g"]);
    world.say(
        &publisher,
        r#"{"type":"sendToGroup","group":"g","noEcho":true,"stream":{"streamId":"s"}}"#,
    );
    world.lose(&publisher, Gone::Lost);
    let again = world.recover("p").expect("within its window");
    again.frames(&world);
    world.say(&again, &data(1, "one"));
    assert_eq!(again.frames(&world), [ack(2)]);
}

#[test]
fn a_stream_may_be_idle_for_five_minutes_or_a_day_at_most() {
    // req: S-9-17, S-9-18
    let day = 24 * 60 * 60;
    for (asked, seconds) in [("", 300), (r#","idleTimeoutMs":4294967295"#, day)] {
        let mut world = World::new();
        let publisher = world.connect("p", None, &[]);
        world.say(
            &publisher,
            &format!(r#"{{"type":"sendToGroup","group":"g","stream":{{"streamId":"s"{asked}}}}}"#),
        );
        world.pass(Duration::from_secs(seconds - 1));
        assert_eq!(publisher.frames(&world), [ack(1)]);
        // A sign of life counts, a fragment that is not taken does not.
        world.say(&publisher, r#"{"type":"streamData","streamId":"s"}"#);
        world.pass(Duration::from_secs(seconds - 1));
        world.say(&publisher, &data(9, "early"));
        assert!(publisher.frames(&world)[0].contains("streamNack"));
        world.pass(Duration::from_secs(1));
        let closed = publisher.frames(&world).remove(0);
        assert!(closed.contains("IdleTimeout"), "{closed}");
    }
}
