//! How connections open and end.

use super::*;

#[test]
fn connected_comes_first_and_token_groups_are_joined() {
    // req: S-2-8
    let mut world = World::new();
    let client = world.connect_with(request("c1", Some("ana"), &["g"], WireForm::Json));
    world.send(&Target::Group(group("g")), &Selection::default(), "hi");
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"system","event":"connected","userId":"ana","connectionId":"c1"}"#,
            r#"{"type":"message","from":"group","fromUserId":null,"group":"g","dataType":"text","data":"hi"}"#,
        ]
    );
}

#[test]
fn a_ticket_is_good_once_and_for_a_while() {
    let mut world = World::new();
    let fresh = |world: &mut World| {
        let request = request("c1", None, &[], WireForm::Json);
        world
            .state
            .open(world.clock.now(), request, &mut world.effects)
            .0
    };
    let accept = |world: &mut World, ticket| {
        let now = world.clock.now();
        world
            .state
            .accept(now, ticket, Overrides::default(), &mut world.effects)
            .map(|attachment| attachment.admission)
    };
    let too_late = Err(Refusal::OpeningTimedOut);

    let rejected = fresh(&mut world);
    world.state.reject(rejected);
    assert_eq!(accept(&mut world, rejected), too_late);

    let late = fresh(&mut world);
    assert!(world.effects.deadline_moved);
    let due = world.state.poll_timeout().expect("a deadline");
    assert_eq!(due, world.clock.now().mono + Duration::from_secs(100));
    world.clock.advance(Duration::from_secs(100));
    world
        .state
        .handle_timeout(world.clock.now(), &mut world.effects);
    assert_eq!(accept(&mut world, late), too_late);

    let first = fresh(&mut world);
    let second = fresh(&mut world);
    assert_eq!(accept(&mut world, first), Ok(Admission::Opened));
    assert_eq!(accept(&mut world, first), too_late);
    assert_eq!(accept(&mut world, second), Err(Refusal::IdInUse));
    assert_eq!(world.state.snapshot().connections.len(), 1);
}

#[test]
fn the_connect_answer_replaces_what_the_token_said() {
    let mut world = World::new();
    let now = world.clock.now();
    let request = request("c1", Some("ana"), &["token"], WireForm::Json);
    let (ticket, _) = world.state.open(now, request, &mut world.effects);
    let overrides = Overrides {
        user: Some(Some(UserId::new("bob").expect("a user"))),
        roles: Some(Vec::new()),
        groups: Some(vec![group("answer")]),
        ..Overrides::default()
    };
    let client = Client(
        world
            .state
            .accept(now, ticket, overrides, &mut world.effects)
            .expect("accepted"),
    );
    assert!(world.state.user_exists("bob") && !world.state.user_exists("ana"));
    assert!(world.state.group_exists("answer") && !world.state.group_exists("token"));
    client.frames(&world);
    world.say(&client, r#"{"type":"joinGroup","group":"x","ackId":1}"#);
    assert!(client.frames(&world)[0].contains("Forbidden"));
}

#[test]
fn a_rest_close_says_why_in_the_last_frame_only() {
    let mut world = World::new();
    let json = world.connect("a", Some("u"), &["g"]);
    let raw = world.connect_with(request("r", Some("u"), &["g"], WireForm::Raw));
    let spared = world.connect("s", Some("u"), &["g"]);
    let now = world.clock.now();
    let target = Target::Group(group("g"));
    let excluded = ["s".to_owned()];
    let end = End::by_server(Some("bye"));
    world
        .state
        .close(now, &target, &excluded, &end, &mut world.effects);
    assert_eq!(
        json.frames(&world),
        [
            r#"{"type":"system","event":"disconnected","message":"Application server closed the connection. Reason: bye"}"#
        ]
    );
    assert_eq!(json.close(&world), Some((1000, String::new())));
    assert!(raw.frames(&world).is_empty());
    assert_eq!(raw.close(&world), Some((1000, String::new())));
    assert_eq!(spared.close(&world), None);
    assert!(world.state.key_of("a").is_none(), "gone at once");

    world.state.close(
        now,
        &Target::All,
        &[],
        &End::by_server(None),
        &mut world.effects,
    );
    assert!(spared.frames(&world)[0].ends_with(r#""Application server closed the connection."}"#));
    assert!(!world.state.user_exists("u") && !world.state.group_exists("g"));
}

#[test]
fn a_slow_client_is_closed_and_nobody_else_notices() {
    let mut world = World::with(
        OutboxLimits {
            frames: 2,
            bytes: 1 << 20,
        },
        false,
    );
    let slow = world.connect("slow", None, &["g"]);
    let quick = world.connect("quick", None, &["g"]);
    for text in ["1", "2", "3"] {
        world.send(&Target::Group(group("g")), &Selection::default(), text);
        assert_eq!(quick.frames(&world).len(), 1);
    }
    let frames = slow.frames(&world);
    assert_eq!(frames.len(), 3);
    assert!(frames[2].contains("The outbound message queue is full."));
    assert_eq!(
        slow.close(&world),
        Some((1008, "The outbound message queue is full.".into()))
    );
    assert!(world.state.key_of("slow").is_none());
}

#[test]
fn late_news_of_an_earlier_socket_changes_nothing() {
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    let earlier = client.0.epoch.next();
    let frame = Received::frame(ClientFrame::Ping, 15);
    world.state.receive(
        world.clock.now(),
        client.0.key,
        earlier,
        frame,
        &mut world.effects,
    );
    world.state.socket_gone(
        world.clock.now(),
        client.0.key,
        earlier,
        Gone::Lost,
        &mut world.effects,
    );
    assert!(client.frames(&world).is_empty());
    assert!(world.state.key_of("a").is_some());

    world.state.socket_gone(
        world.clock.now(),
        client.0.key,
        client.0.epoch,
        Gone::Lost,
        &mut world.effects,
    );
    let again = world.connect("a", None, &[]);
    world.say(&client, r#"{"type":"ping"}"#);
    assert!(again.frames(&world).is_empty(), "keys are never used twice");
}
