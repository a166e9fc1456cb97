//! Who is in which group and may do what, and whom a call addresses.

use super::*;

#[test]
fn targets_exclusions_and_filters_select() {
    let mut world = World::new();
    let a = world.connect("a", Some("user1"), &["g1", "g2"]);
    let b = world.connect("b", Some("user2"), &["g1"]);
    let c = world.connect("c", None, &[]);
    let mut reached = |target: Target, excluded: &[&str], filter: Option<&str>| -> String {
        let selection = Selection {
            excluded: excluded.iter().map(|&id| id.to_owned()).collect(),
            filter: filter.map(|text| Filter::parse(text).expect("a filter")),
        };
        world.send(&target, &selection, "x");
        [(&a, 'a'), (&b, 'b'), (&c, 'c')]
            .into_iter()
            .filter(|(client, _)| !client.frames(&world).is_empty())
            .map(|(_, name)| name)
            .collect()
    };
    let user = |name| Target::User(UserId::new(name).expect("a user"));
    let id = |name| Target::Connection(ConnectionId::new(name).expect("an id"));

    assert_eq!(reached(Target::All, &[], None), "abc");
    assert_eq!(reached(Target::All, &["a", "nobody"], None), "bc");
    assert_eq!(
        reached(Target::All, &["a,b"], None),
        "abc",
        "no comma lists"
    );
    assert_eq!(reached(Target::All, &[], Some("userId eq null")), "c");
    assert_eq!(reached(Target::All, &["b"], Some("'g1' in groups")), "a");
    assert_eq!(reached(Target::Group(group("g1")), &[], None), "ab");
    assert_eq!(reached(Target::Group(group("G1")), &[], None), "");
    assert_eq!(reached(Target::Group(group("g1")), &["b"], None), "a");
    assert_eq!(reached(user("user1"), &[], None), "a");
    assert_eq!(reached(user("USER1"), &[], None), "");
    assert_eq!(reached(user("user1"), &[], Some("'g3' in groups")), "");
    assert_eq!(reached(id("c"), &[], None), "c");
    assert_eq!(reached(id("C"), &[], None), "");
}

#[test]
fn members_are_listed_in_order_from_any_place() {
    let mut world = World::new();
    for id in ["d", "b", "a", "c"] {
        world.connect(id, Some(id), &["g"]);
    }
    let page = |after, limit| {
        let (members, more) = world.state.members("g", after, limit);
        let ids: String = members
            .iter()
            .map(|member| member.connection_id.to_string())
            .collect();
        (ids, more)
    };
    assert_eq!(page(None, 2), ("ab".into(), true));
    assert_eq!(page(Some("b"), 2), ("cd".into(), false));
    assert_eq!(page(Some("bb"), 1), ("c".into(), true));
    assert_eq!(page(Some("d"), 2), (String::new(), false));
    assert_eq!(world.state.members("none", None, 2), (Vec::new(), false));
}

#[test]
fn bulk_changes_select_before_they_change() {
    let mut world = World::new();
    world.connect("a", None, &["g1"]);
    world.connect("b", None, &[]);
    let filter = Filter::parse("'g1' in groups").expect("a filter");
    let groups = [group("g2"), group("g1")];
    world.state.change_groups(
        world.clock.now(),
        Some(&filter),
        &groups,
        Change::Join,
        &mut world.effects,
    );
    assert_eq!(world.state.members("g2", None, 9).0.len(), 1);
    world.state.change_groups(
        world.clock.now(),
        Some(&filter),
        &groups,
        Change::Leave,
        &mut world.effects,
    );
    assert!(!world.state.group_exists("g1") && !world.state.group_exists("g2"));
}

#[test]
fn permissions_change_at_once_and_do_not_evict() {
    let mut world = World::new();
    let client = world.connect("a", None, &["g"]);
    let g = group("g");
    assert_eq!(
        world.state.check("a", Permission::SendToGroup, &g),
        Some(true)
    );
    world
        .state
        .revoke(
            world.clock.now(),
            "a",
            Permission::SendToGroup,
            &g,
            &mut world.effects,
        )
        .expect("connected");
    assert_eq!(
        world.state.check("a", Permission::SendToGroup, &g),
        Some(false)
    );
    assert!(world.state.group_exists("g"));
    world.say(
        &client,
        r#"{"type":"sendToGroup","group":"g","ackId":1,"data":1}"#,
    );
    assert!(client.frames(&world)[0].contains("Forbidden"));

    assert_eq!(world.state.check("x", Permission::SendToGroup, &g), None);
    assert_eq!(
        world.state.grant("x", Permission::SendToGroup, &g),
        Err(GrantError::NoSuchConnection)
    );
    assert_eq!(
        world.state.revoke(
            world.clock.now(),
            "x",
            Permission::SendToGroup,
            &g,
            &mut world.effects
        ),
        Err(GrantError::NoSuchConnection)
    );
}

#[test]
fn users_join_with_all_their_connections() {
    let mut world = World::new();
    world.connect("a", Some("u"), &[]);
    world.connect("b", Some("u"), &[]);
    assert!(!world.state.add_user_to_group(
        world.clock.now(),
        "nobody",
        &group("g"),
        &mut world.effects
    ));
    assert!(
        world
            .state
            .add_user_to_group(world.clock.now(), "u", &group("g"), &mut world.effects)
    );
    assert_eq!(world.state.members("g", None, 9).0.len(), 2);
    world
        .state
        .remove_user_from_groups(world.clock.now(), "u", None, &mut world.effects);
    assert!(!world.state.group_exists("g"));
    assert!(world.state.user_exists("u"));
}

#[test]
fn those_who_leave_or_end_together_do_so_in_order_of_their_ids() {
    let mut world = World::new();
    let watchers = ["c", "b", "a"].map(|id| world.connect(id, Some("ann"), &["g"]));
    for client in &watchers {
        world.say(client, r#"{"type":"subscribeGroupState","group":"g"}"#);
        world.say(client, r#"{"type":"setGroupState","group":"g","state":{}}"#);
        client.frames(&world);
    }
    for client in &watchers {
        client.frames(&world);
    }
    let now = world.clock.now();
    let g = group("g");
    world
        .state
        .remove_user_from_groups(now, "ann", Some(&g), &mut world.effects);
    // Whoever is still a member hears of those before it.
    let [c, b, a] = watchers.map(|client| client.frames(&world).len());
    assert_eq!((a, b, c), (0, 1, 2));
}
