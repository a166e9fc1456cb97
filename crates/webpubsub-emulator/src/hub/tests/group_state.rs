//! Group state.

use super::*;

fn item(id: &str, state: &str, at: &str) -> String {
    format!(r#"{{"connectionId":"{id}","userId":"{id}"{state},"updatedAt":{at}}}"#)
}

/// The `updatedAt` of the first item.
fn updated_at(frame: &str) -> i64 {
    let digits = frame.rsplit_once(r#""updatedAt":"#).expect("an item").1;
    digits
        .trim_end_matches(['}', ']'])
        .parse()
        .expect("a number")
}

#[test]
fn subscribers_get_a_snapshot_then_every_change() {
    // req: S-11-1, S-11-2, S-11-3, S-11-5, S-11-6
    let mut world = World::new();
    let ana = world.connect("ana", Some("ana"), &["g"]);
    let bob = world.connect("bob", Some("bob"), &["g"]);
    world.say(
        &ana,
        r#"{"type":"setGroupState","group":"g","ackId":1,"state":{"typing":"yes"}}"#,
    );
    assert_eq!(
        ana.frames(&world),
        [r#"{"type":"ack","ackId":1,"success":true}"#]
    );
    world.say(
        &bob,
        r#"{"type":"subscribeGroupState","group":"g","ackId":1}"#,
    );
    let frames = bob.frames(&world);
    assert_eq!(frames[0], r#"{"type":"ack","ackId":1,"success":true}"#);
    let at = updated_at(&frames[1]);
    let ana_item = item("ana", r#","state":{"typing":"yes"}"#, &at.to_string());
    assert_eq!(
        frames[1],
        format!(r#"{{"type":"groupStateSnapshot","group":"g","items":[{ana_item}]}}"#)
    );

    world.say(&ana, r#"{"type":"setGroupState","group":"g"}"#);
    let update = bob.frames(&world).remove(0);
    assert!(
        updated_at(&update) > at,
        "strictly increasing, though the clock stands still"
    );
    assert!(!update.contains("typing"));

    world.say(
        &bob,
        r#"{"type":"unsubscribeGroupState","group":"g","ackId":2}"#,
    );
    bob.frames(&world);
    world.say(&ana, r#"{"type":"setGroupState","group":"g","state":{}}"#);
    assert!(bob.frames(&world).is_empty());
}

#[test]
fn leaving_clears_the_state_and_the_subscription() {
    // req: S-11-10
    let mut world = World::new();
    let ana = world.connect("ana", Some("ana"), &["g"]);
    let bob = world.connect("bob", Some("bob"), &["g"]);
    world.say(
        &ana,
        r#"{"type":"setGroupState","group":"g","state":{"a":"1"}}"#,
    );
    world.say(&bob, r#"{"type":"subscribeGroupState","group":"g"}"#);
    bob.frames(&world);
    world.lose(&ana, Gone::Lost);
    assert!(bob.frames(&world)[0].contains(r#""connectionId":"ana","userId":"ana","updatedAt""#));
    world.say(&bob, r#"{"type":"leaveGroup","group":"g"}"#);
    assert!(world.state.subscribers.is_empty());
}

#[test]
fn what_is_refused_names_its_cause() {
    // req: S-11-7, S-11-8, S-11-9
    let mut world = World::new();
    let mut plain = request("plain", None, &["g"], WireForm::Json);
    plain.roles.clear();
    let plain = world.connect_with(plain);
    let outside = world.connect("outside", None, &[]);
    let member = world.connect("member", None, &["g"]);
    plain.frames(&world);
    let large = format!(
        r#"{{"type":"setGroupState","group":"g","ackId":1,"state":{{"k":"{}"}}}}"#,
        "x".repeat(512)
    );
    let set = r#"{"type":"setGroupState","group":"g","ackId":1,"state":{}}"#;
    let subscribe = r#"{"type":"subscribeGroupState","group":"g","ackId":2}"#;
    for (client, frame, text) in [
        (
            &plain,
            set,
            r#"{"name":"Forbidden","message":"Permission denied."}"#,
        ),
        (
            &plain,
            subscribe,
            r#"{"name":"Forbidden","message":"No permission to get states of group g."}"#,
        ),
        (
            &outside,
            set,
            r#"{"name":"Forbidden","message":"Not a member of group."}"#,
        ),
        (
            &outside,
            subscribe,
            r#"{"name":"Forbidden","message":"Not a member of group g."}"#,
        ),
        (
            &member,
            &large,
            r#"{"name":"BadRequest","message":"State payload exceeds maximum size 512 bytes."}"#,
        ),
    ] {
        world.say(client, frame);
        let answer = client.frames(&world).remove(0);
        assert!(
            answer.ends_with(&format!(r#""error":{text}}}"#)),
            "{answer}"
        );
    }
}

#[test]
fn reliable_subscribers_get_numbers_and_a_replay() {
    // req: S-11-12
    let mut world = World::new();
    let ana = world.connect("ana", Some("ana"), &["g"]);
    let bob = world.connect_reliable("bob", &["g"]);
    world.say(&bob, r#"{"type":"subscribeGroupState","group":"g"}"#);
    assert!(bob.frames(&world)[0].starts_with(r#"{"sequenceId":1,"type":"groupStateSnapshot""#));
    world.lose(&bob, Gone::Lost);
    world.say(
        &ana,
        r#"{"type":"setGroupState","group":"g","state":{"a":"1"}}"#,
    );
    let again = world.recover("bob").expect("within its window");
    let frames = again.frames(&world);
    assert!(frames[1].starts_with(r#"{"sequenceId":1,"#));
    assert!(frames[2].starts_with(r#"{"sequenceId":2,"type":"groupStateUpdate""#));
}

#[test]
fn a_snapshot_lists_200_members_in_order() {
    // req: S-11-4, S-5-12
    let mut world = World::new();
    for number in (0..201).rev() {
        let client = world.connect(&format!("c{number:03}"), None, &["g"]);
        world.say(
            &client,
            r#"{"type":"setGroupState","group":"g","state":{"k":"v"}}"#,
        );
    }
    // A member without a state is not listed.
    let reader = world.connect("a", None, &["g"]);
    world.say(&reader, r#"{"type":"subscribeGroupState","group":"g"}"#);
    let frame: serde_json::Value = serde_json::from_str(&reader.frames(&world)[0]).unwrap();
    let items = frame["items"].as_array().unwrap();
    assert_eq!(items.len(), 200);
    for (number, item) in items.iter().enumerate() {
        assert_eq!(item["connectionId"], format!("c{number:03}"));
        assert!(item.get("userId").is_none(), "left out when there is none");
    }
}

#[test]
fn own_updates_come_back_and_a_lost_socket_changes_nothing() {
    // req: S-11-11
    let mut world = World::new();
    let client = world.connect_reliable("a", &["g"]);
    world.say(&client, r#"{"type":"subscribeGroupState","group":"g"}"#);
    world.say(
        &client,
        r#"{"type":"setGroupState","group":"g","state":{"k":"v"}}"#,
    );
    let own = client.frames(&world).pop().unwrap();
    assert!(
        own.contains("groupStateUpdate") && own.contains(r#"{"k":"v"}"#),
        "{own}"
    );

    let other = world.connect("b", None, &["g"]);
    world.say(&other, r#"{"type":"subscribeGroupState","group":"g"}"#);
    other.frames(&world);
    world.lose(&client, Gone::Lost);
    assert!(other.frames(&world).is_empty());
    world.say(&other, r#"{"type":"subscribeGroupState","group":"g"}"#);
    assert!(other.frames(&world)[0].contains(r#"{"k":"v"}"#));
}

#[test]
fn a_role_may_be_for_one_group_whose_name_is_no_pattern() {
    // req: S-11-13
    let mut world = World::new();
    let mut asked = request("a", None, &["a.b", "a.*"], WireForm::Json);
    asked.roles = vec![
        "webpubsub.setGroupState.a.*".to_owned(),
        "webpubsub.getGroupState.a.*".to_owned(),
    ];
    let client = world.connect_with(asked);
    client.frames(&world);
    for (id, frame, group, allowed) in [
        (1, "setGroupState", "a.*", true),
        (2, "subscribeGroupState", "a.*", true),
        (3, "setGroupState", "a.b", false),
        (4, "subscribeGroupState", "a.b", false),
    ] {
        world.say(
            &client,
            &format!(r#"{{"type":"{frame}","group":"{group}","ackId":{id}}}"#),
        );
        let ack = client.frames(&world).remove(0);
        let expected = format!(r#""ackId":{id},"success":{allowed}"#);
        assert!(ack.contains(&expected), "{frame} {group}: {ack}");
    }
}
