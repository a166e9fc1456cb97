//! What clients send, and who receives it.

use super::*;

#[test]
fn group_messages_carry_their_sender_and_echo_before_the_ack() {
    let mut world = World::new();
    let ana = world.connect("a", Some("ana"), &["g"]);
    let bob = world.connect("b", None, &["g"]);
    world.say(
        &ana,
        r#"{"type":"sendToGroup","group":"g","ackId":1,"dataType":"text","data":"hi"}"#,
    );
    let message = r#"{"type":"message","from":"group","fromUserId":"ana","group":"g","dataType":"text","data":"hi"}"#;
    assert_eq!(
        ana.frames(&world),
        [message, r#"{"type":"ack","ackId":1,"success":true}"#]
    );
    assert_eq!(bob.frames(&world), [message]);

    let quiet = r#"{"type":"sendToGroup","group":"g","ackId":2,"noEcho":true,"dataType":"text","data":"hi"}"#;
    world.say(&bob, quiet);
    assert_eq!(
        bob.frames(&world),
        [r#"{"type":"ack","ackId":2,"success":true}"#]
    );
    assert!(ana.frames(&world)[0].contains(r#""fromUserId":null"#));
}

#[test]
fn repeated_ack_ids_are_not_executed_again() {
    // req: S-6-2, S-6-3, S-6-4, S-6-6
    let mut world = World::new();
    let client = world.connect("a", None, &[]);
    world.say(&client, r#"{"type":"joinGroup","group":"g","ackId":0}"#);
    world.say(&client, r#"{"type":"leaveGroup","group":"g","ackId":0}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":0,"success":true}"#,
            r#"{"type":"ack","ackId":0,"success":false,"error":{"name":"Duplicate","message":"Message with ack-id: 0 has been processed"}}"#,
        ]
    );
    assert!(
        world.state.group_exists("g"),
        "the second frame was not executed"
    );

    // A failed request does not use up its id.
    let id = client.0.connection_id.as_str().to_owned();
    world
        .state
        .revoke(
            world.clock.now(),
            &id,
            Permission::JoinLeaveGroup,
            &group("h"),
            &mut world.effects,
        )
        .expect("connected");
    world.say(&client, r#"{"type":"joinGroup","group":"h","ackId":1}"#);
    world
        .state
        .grant(&id, Permission::JoinLeaveGroup, &group("h"))
        .expect("connected");
    world.say(&client, r#"{"type":"joinGroup","group":"h","ackId":1}"#);
    assert_eq!(
        client.frames(&world),
        [
            r#"{"type":"ack","ackId":1,"success":false,"error":{"name":"Forbidden","message":"The client does not have permission to join group 'h'."}}"#,
            r#"{"type":"ack","ackId":1,"success":true}"#,
        ]
    );
}

#[test]
fn every_verb_names_itself_when_forbidden() {
    // req: S-6-7, S-6-11, S-4-6
    let mut world = World::new();
    let mut request = request("a", None, &[], WireForm::Json);
    request.roles.clear();
    let client = world.connect_with(request);
    client.frames(&world);
    world.say(&client, r#"{"type":"leaveGroup","group":"g","ackId":1}"#);
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ackId":2,"data":1}"#,
    );
    world.say(&client, r#"{"type":"sendToGroup","group":"g","data":1}"#);
    let frames = client.frames(&world);
    assert!(frames[0].contains("permission to leave group 'g'."));
    assert!(frames[1].contains("permission to send to group 'g'."));
    assert_eq!(frames.len(), 2, "without an ack id nothing is said");
    assert_eq!(client.close(&world), None);
}

#[test]
fn undelivered_messages_expire() {
    // req: S-7.4-3
    let mut world = World::new();
    let client = world.connect("a", None, &["g"]);
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ttlSeconds":10,"dataType":"text","data":"old"}"#,
    );
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"kept"}"#,
    );
    world.clock.advance(Duration::from_secs(10));
    let frames = client.frames(&world);
    assert_eq!(frames.len(), 1);
    assert!(frames[0].contains("kept"));
}

#[test]
fn recipients_share_one_encoding() {
    let mut world = World::new();
    let clients = [
        world.connect("a", None, &["g"]),
        world.connect("b", None, &["g"]),
    ];
    world.send(&Target::All, &Selection::default(), "x");
    let pointers = clients.map(|client| {
        let frames = client.drain(&world);
        frames[0].parts()[1].as_ptr()
    });
    assert_eq!(pointers[0], pointers[1]);
}

#[test]
fn raw_send_to_group_mode_needs_the_permission() {
    let mut world = World::new();
    let member = world.connect("m", None, &["g"]);
    let raw = |world: &mut World, id: &str, no_echo, roles: Vec<String>| {
        let raw_mode = RawMode::SendToGroup {
            group: group("g"),
            no_echo,
        };
        let request = OpenRequest {
            raw_mode,
            roles,
            ..request(id, Some("u"), &["g"], WireForm::Raw)
        };
        world.connect_with(request)
    };
    let allowed = vec!["webpubsub.sendToGroup.g".to_owned()];
    let echoing = raw(&mut world, "r1", false, allowed.clone());
    world.receive(&echoing, Received::raw(Payload::text("hi")));
    assert!(
        member.frames(&world)[0]
            .contains(r#""fromUserId":"u","group":"g","dataType":"text","data":"hi""#)
    );
    assert_eq!(echoing.frames(&world), ["hi"]);

    let quiet = raw(&mut world, "r2", true, allowed);
    world.receive(&quiet, Received::raw(Payload::binary(&b"\x01"[..])));
    assert!(quiet.frames(&world).is_empty());
    assert!(member.frames(&world)[0].contains(r#""dataType":"binary","data":"AQ==""#));

    let forbidden = raw(&mut world, "r3", false, Vec::new());
    world.receive(&forbidden, Received::raw(Payload::text("hi")));
    assert_eq!(
        forbidden.close(&world),
        Some((
            1008,
            "The connection is not authorized for raw sendToGroup mode.".into()
        ))
    );
}

#[test]
fn effects_wake_each_socket_after_the_push() {
    let mut world = World::new();
    world.connect("a", None, &[]);
    world.effects = Effects::default();
    world.send(&Target::All, &Selection::default(), "x");
    assert_eq!(world.effects.wakes.len(), 1);
    assert!(!world.effects.changed, "a message changes no membership");
}
