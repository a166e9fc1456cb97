//! What the event handler is told without being asked.

use super::*;

/// What was told since the last look, with the numbers of the events.
fn told(world: &mut World) -> Vec<(u64, NoticeKind)> {
    let notices = world.effects.notices.drain(..);
    notices
        .map(|notice| (notice.raised.turn.event_id(), notice.kind))
        .collect()
}

/// A reliable client whose handshake is done.
fn greeted(world: &mut World, groups: &[&str]) -> Client {
    let client = world.connect_reliable("c", groups);
    world.state.handshake_done(client.0.key, &mut world.effects);
    client
}

fn interested() -> World {
    let mut world = World::new();
    world.state.group_events = GroupEvents {
        joined: true,
        left: true,
    };
    world
}

#[test]
fn nothing_is_told_before_the_handshake_is_done() {
    let mut world = interested();
    let client = world.connect("c", None, &["g"]);
    let now = world.clock.now();
    let add = world
        .state
        .add_connection_to_group(now, "c", &group("h"), &mut world.effects);
    assert!(add.is_ok());
    world.lose(&client, Gone::Lost);
    assert_eq!(told(&mut world), []);

    let client = world.connect("c", None, &["g", "f"]);
    world.state.handshake_done(client.0.key, &mut world.effects);
    let expected = [
        (1, NoticeKind::Connected),
        (2, NoticeKind::Joined(group("f"))),
        (3, NoticeKind::Joined(group("g"))),
    ];
    assert_eq!(told(&mut world), expected);
}

#[test]
fn a_session_is_told_once_however_many_sockets_it_had() {
    let mut world = interested();
    let first = greeted(&mut world, &["g"]);
    told(&mut world);
    world.lose(&first, Gone::Lost);
    let second = world.recover("c").expect("within its window");
    world.state.handshake_done(second.0.key, &mut world.effects);
    world.lose(&first, Gone::ClosedForGood("an earlier socket".into()));
    assert_eq!(told(&mut world), []);
    world.lose(&second, Gone::ClosedForGood("done".into()));
    world.lose(&second, Gone::Lost);
    world.pass(Duration::from_secs(60));
    let expected = [
        (3, NoticeKind::Left(group("g"))),
        (4, NoticeKind::Disconnected("done".into())),
    ];
    assert_eq!(told(&mut world), expected);
}

type Ending<'a> = &'a dyn Fn(&mut World, &Client);

#[test]
fn each_end_has_its_reason() {
    let ends: [(Ending<'_>, &str); 5] = [
        (
            &|world, client| {
                world.lose(client, Gone::Lost);
                world.pass(Duration::from_secs(30));
            },
            "The connection recovery timeout expired.",
        ),
        (
            &|world, client| end(world, client, &End::by_server(Some("tired"))),
            "Application server closed the connection. Reason: tired",
        ),
        (
            &|world, client| end(world, client, &End::ServiceReload),
            "Service reload",
        ),
        (
            &|world, client| end(world, client, &End::Violation(Violation::MalformedJson)),
            "The client message is not a valid JSON protocol message.",
        ),
        (
            &|world, _| {
                for _ in 0..=1000 {
                    world.send(&Target::All, &Selection::default(), "x");
                }
            },
            "The reliable message buffer is full.",
        ),
    ];
    for (end, reason) in ends {
        let mut world = World::new();
        let client = greeted(&mut world, &["g"]);
        told(&mut world);
        end(&mut world, &client);
        let expected = [(2, NoticeKind::Disconnected(reason.into()))];
        assert_eq!(told(&mut world), expected);
    }
}

fn end(world: &mut World, client: &Client, end: &End) {
    let now = world.clock.now();
    world.state.end(now, client.0.key, end, &mut world.effects);
}

#[test]
fn what_nobody_wants_to_know_gets_no_number() {
    let mut world = World::new();
    world.state.group_events.left = true;
    let client = greeted(&mut world, &["g"]);
    world.say(&client, r#"{"type":"joinGroup","group":"h"}"#);
    world.say(&client, r#"{"type":"leaveGroup","group":"h"}"#);
    let expected = [
        (1, NoticeKind::Connected),
        (2, NoticeKind::Left(group("h"))),
    ];
    assert_eq!(told(&mut world), expected);
}
