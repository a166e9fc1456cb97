//! Reliable connections: numbers, loss of the socket, recovery, and its end.

use super::*;

fn numbered(id: u64, text: &str) -> String {
    format!(r#"{{"sequenceId":{id},{}"#, &server_text(text)[1..])
}

#[test]
fn messages_are_numbered_and_the_unacknowledged_are_replayed() {
    // req: S-7.1-1, S-7.2-2, S-7.2-5, S-7.2-7
    let mut world = World::new();
    let first = world.connect_reliable("a", &["g"]);
    for text in ["1", "2"] {
        world.send(&Target::All, &Selection::default(), text);
    }
    assert_eq!(first.frames(&world), [numbered(1, "1"), numbered(2, "2")]);
    world.say(&first, r#"{"type":"sequenceAck","sequenceId":1}"#);

    world.lose(&first, Gone::Lost);
    assert!(world.state.key_of("a").is_some() && world.state.group_exists("g"));
    world.send(&Target::All, &Selection::default(), "3");
    let second = world.recover("a").expect("within its window");
    assert_eq!(second.0.admission, Admission::Recovered);
    let frames = second.frames(&world);
    assert!(
        frames[0].contains(r#""event":"connected""#) && frames[0].contains(r#""connectionId":"a""#)
    );
    assert_eq!(frames[1..], [numbered(2, "2"), numbered(3, "3")]);

    // What the old socket still says does not count.
    world.say(&first, r#"{"type":"ping"}"#);
    world.lose(&first, Gone::ClosedForGood("bye".into()));
    world.say(&second, r#"{"type":"ping"}"#);
    assert_eq!(second.frames(&world), [r#"{"type":"pong"}"#]);
}

#[test]
fn the_window_ends_exactly_on_time() {
    // req: S-7.2-1
    let mut world = World::new();
    let client = world.connect_reliable("a", &["g"]);
    world.lose(&client, Gone::Lost);
    world.pass(Duration::from_millis(29_999));
    assert!(world.state.key_of("a").is_some());
    world.pass(Duration::from_millis(1));
    assert!(world.state.key_of("a").is_none() && !world.state.group_exists("g"));
    assert_eq!(world.recover("a").err(), Some(Refusal::NotRecoverable));
}

#[test]
fn an_earlier_deadline_does_not_end_a_later_absence() {
    let mut world = World::new();
    let first = world.connect_reliable("a", &[]);
    world.lose(&first, Gone::Lost);
    world.pass(Duration::from_secs(20));
    let second = world.recover("a").expect("within its window");
    world.pass(Duration::from_secs(5));
    world.lose(&second, Gone::Lost);
    world.pass(Duration::from_secs(20));
    assert!(
        world.state.key_of("a").is_some(),
        "the first window was over, the second is not"
    );
    world.pass(Duration::from_secs(10));
    assert!(world.state.key_of("a").is_none());
}

#[test]
fn some_ends_are_final() {
    // req: S-7.2-14, S-7.2-16, S-7.2-17
    let mut world = World::new();
    let closed = world.connect_reliable("closed", &[]);
    world.lose(&closed, Gone::ClosedForGood("bye".into()));
    let ended = world.connect_reliable("ended", &[]);
    let now = world.clock.now();
    world
        .state
        .end(now, ended.0.key, &End::by_server(None), &mut world.effects);
    let plain = world.connect("plain", None, &[]);
    assert_eq!(world.recover("plain").err(), Some(Refusal::NotRecoverable));
    world.lose(&plain, Gone::Lost);
    for id in ["closed", "ended", "plain", "unknown"] {
        assert_eq!(
            world.recover(id).err(),
            Some(Refusal::NotRecoverable),
            "{id}"
        );
    }
}

#[test]
fn a_socket_that_looks_alive_is_superseded() {
    // req: S-7.2-15
    let mut world = World::new();
    let first = world.connect_reliable("a", &[]);
    world.send(&Target::All, &Selection::default(), "1");
    let second = world.recover("a").expect("reliable");
    assert_eq!(second.0.admission, Admission::TakenOver);
    assert_eq!(first.look(&world, 9).0.line, Line::Superseded);
    assert_eq!(second.frames(&world)[1], numbered(1, "1"));
    world.lose(&first, Gone::Lost);
    world.pass(Duration::from_secs(31));
    assert!(world.state.key_of("a").is_some());
}

#[test]
fn a_full_buffer_ends_the_connection_also_while_it_is_away() {
    // req: S-7.1-3, S-7.1-4
    let mut world = World::with(
        OutboxLimits {
            frames: 2,
            bytes: 1 << 20,
        },
        false,
    );
    let client = world.connect_reliable("a", &[]);
    world.lose(&client, Gone::Lost);
    for text in ["1", "2", "3"] {
        world.send(&Target::All, &Selection::default(), text);
    }
    assert_eq!(world.recover("a").err(), Some(Refusal::NotRecoverable));

    let reading = world.connect_reliable("b", &[]);
    for text in ["1", "2", "3"] {
        world.send(&Target::All, &Selection::default(), text);
        reading.frames(&world);
    }
    let reason = "The reliable message buffer is full.";
    assert_eq!(reading.close(&world), Some((1008, reason.to_owned())));
}

#[test]
fn ack_ids_survive_and_calls_do_not() {
    // req: S-6-16
    let mut world = World::with(
        OutboxLimits {
            frames: 99,
            bytes: 1 << 20,
        },
        true,
    );
    let first = world.connect_reliable("a", &[]);
    world.say(&first, r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    world.say(&first, r#"{"type":"event","event":"e","ackId":2,"data":1}"#);
    let call = world.call();
    world.lose(&first, Gone::Lost);
    assert_eq!(world.effects.cancelled, [call.token]);

    let second = world.recover("a").expect("within its window");
    world.say(&second, r#"{"type":"joinGroup","group":"g","ackId":1}"#);
    world.say(
        &second,
        r#"{"type":"event","event":"e","ackId":2,"data":1}"#,
    );
    assert!(second.frames(&world)[1].contains("Duplicate"));
    let again = world.call();
    assert_eq!(again.raised.turn.event_id(), 2, "the event runs again");
}

#[test]
fn a_socket_that_was_taken_over_cannot_end_the_connection() {
    // req: S-7.2-15
    let mut world = World::new();
    let first = world.connect_reliable("a", &[]);
    let second = world.recover("a").expect("reliable");
    let now = world.clock.now();
    let malformed = End::Violation(Violation::MalformedJson);
    for client in [&first, &second] {
        assert!(world.state.key_of("a").is_some());
        let Attachment { key, epoch, .. } = client.0;
        world
            .state
            .socket_failed(now, key, epoch, &malformed, &mut world.effects);
    }
    assert!(world.state.key_of("a").is_none());
}

#[test]
fn no_deadline_is_left_when_all_have_ended() {
    let mut world = World::new();
    let lost = world.connect_reliable("lost", &["g"]);
    world.lose(&lost, Gone::Lost);
    let recovered = world.recover("lost").expect("within its window");
    let streaming = world.connect("streaming", None, &["g"]);
    world.say(
        &streaming,
        r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s"}}"#,
    );
    assert!(world.state.poll_timeout().is_some(), "the stream may idle");
    for client in [recovered, streaming] {
        world.lose(&client, Gone::ClosedForGood("bye".into()));
    }
    assert_eq!(world.state.poll_timeout(), None);
}
