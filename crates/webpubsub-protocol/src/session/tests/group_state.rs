use super::world::*;
use crate::session::*;

fn subscribe(w: &mut World) {
    let request = w.submit(&Request::subscribe_group_state(group("g")));
    let written = w.written().pop().expect("a frame");
    let id = written
        .trim_end_matches('}')
        .rsplit(':')
        .next()
        .and_then(|id| id.parse().ok())
        .expect("an ack id");
    w.ack(id);
    assert!(w.settled().contains(&(request, accepted(id))));
}

fn item(id: &str, state: Option<&str>, at: i64) -> String {
    let state = state.map_or(String::new(), |value| {
        format!(r#""state":{{"k":"{value}"}},"#)
    });
    format!(r#"{{"connectionId":"{id}",{state}"updatedAt":{at}}}"#)
}

fn snapshot(w: &mut World, items: &[String]) {
    w.receive(&format!(
        r#"{{"type":"groupStateSnapshot","group":"g","items":[{}]}}"#,
        items.join(",")
    ));
}

fn update(w: &mut World, item: &str) {
    w.receive(&format!(
        r#"{{"type":"groupStateUpdate","group":"g","items":[{item}]}}"#
    ));
}

/// The states as `id=value`.
fn states(w: &World) -> Vec<String> {
    w.session
        .group_states(&group("g"))
        .expect("a subscription")
        .iter()
        .map(|member| format!("{}={}", member.connection_id, member.state[0].1))
        .collect()
}

/// The changes that were told, as `id=value` or `id gone`.
fn changes(w: &mut World) -> Vec<String> {
    let mut told = Vec::new();
    for event in w.events() {
        let Event::GroupState { changes, .. } = event else {
            continue;
        };
        told.extend(changes.into_iter().map(|change| match change {
            StateChange::Set(member) => {
                format!("{}={}", member.connection_id, member.state[0].1)
            }
            StateChange::Cleared { connection_id } => format!("{connection_id} gone"),
        }));
    }
    told
}

#[test]
fn snapshots_and_updates_make_a_view() {
    let mut w = World::connected(SessionConfig::default());
    assert_eq!(w.session.group_states(&group("g")), None);
    subscribe(&mut w);
    assert_eq!(states(&w), [""; 0]);
    snapshot(
        &mut w,
        &[item("b", Some("1"), 10), item("a", Some("1"), 11)],
    );
    assert_eq!(changes(&mut w), ["b=1", "a=1"]);
    update(&mut w, &item("b", Some("2"), 12));
    update(&mut w, &item("a", None, 13));
    assert_eq!(changes(&mut w), ["b=2", "a gone"]);
    assert_eq!(states(&w), ["b=2"]);
    w.submit(&Request::unsubscribe_group_state(group("g")));
    w.written();
    w.ack(2);
    assert_eq!(w.session.group_states(&group("g")), None);
}

// req: C-11-1
#[test]
fn records_that_are_not_newer_are_dropped() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    update(&mut w, &item("a", Some("1"), 10));
    changes(&mut w);
    for at in [9, 10] {
        update(&mut w, &item("a", Some("old"), at));
        update(&mut w, &item("a", None, at));
    }
    assert_eq!(changes(&mut w), [""; 0]);
    assert_eq!(states(&w), ["a=1"]);
}

// req: C-11-1
#[test]
fn a_cleared_record_does_not_come_back_by_a_late_update() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    update(&mut w, &item("a", None, 10));
    update(&mut w, &item("a", Some("late"), 9));
    assert_eq!(states(&w), [""; 0]);
    w.advance(SECOND * 60);
    w.receive(r#"{"type":"pong"}"#);
    w.advance(SECOND * 60);
    w.receive(r#"{"type":"pong"}"#);
    update(&mut w, &item("a", Some("late"), 10));
    assert_eq!(states(&w), [""; 0]);
    for _ in 0..3 {
        w.advance(SECOND * 60);
        w.receive(r#"{"type":"pong"}"#);
    }
    update(&mut w, &item("a", Some("late"), 10));
    assert_eq!(states(&w), ["a=late"], "five minutes are over");
    update(&mut w, &item("a", None, 11));
    update(&mut w, &item("a", Some("new"), 12));
    assert_eq!(states(&w), ["a=new"]);
}

#[test]
fn two_hundred_cleared_records_are_remembered() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    for number in 0..201 {
        w.jump(SECOND / 1000);
        update(&mut w, &item(&number.to_string(), None, 10));
    }
    update(&mut w, &item("0", Some("late"), 9));
    update(&mut w, &item("1", Some("late"), 9));
    update(&mut w, &item("200", Some("late"), 9));
    assert_eq!(states(&w), ["0=late"], "the oldest was forgotten");
}

// req: C-11-2
#[test]
fn a_snapshot_removes_what_it_does_not_list() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    for (id, at) in [("old", 10), ("new", 30), ("listed", 10)] {
        update(&mut w, &item(id, Some("1"), at));
    }
    changes(&mut w);
    snapshot(&mut w, &[item("listed", Some("2"), 20)]);
    assert_eq!(changes(&mut w), ["old gone", "listed=2"]);
    assert_eq!(states(&w), ["listed=2", "new=1"]);
    snapshot(&mut w, &[]);
    assert_eq!(states(&w), [""; 0]);
}

// req: C-11-4
#[test]
fn a_full_snapshot_is_not_taken_for_a_complete_one() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    update(&mut w, &item("z", Some("1"), 1));
    let mut items: Vec<_> = (100..300)
        .map(|id| item(&id.to_string(), Some("1"), 10))
        .collect();
    snapshot(&mut w, &items);
    assert_eq!(states(&w).len(), 201);
    items.pop();
    snapshot(&mut w, &items);
    assert_eq!(states(&w).len(), 199);
}

// req: C-11-3
#[test]
fn own_states_and_subscriptions_are_restored() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&join("g"));
    w.written();
    w.ack(1);
    for value in ["1", "2"] {
        w.submit(&Request::set_group_state(
            group("g"),
            Some(vec![("k".to_owned(), value.to_owned())]),
        ));
    }
    w.written();
    w.ack(2);
    w.refuse(3, "BadRequest");
    subscribe(&mut w);
    snapshot(
        &mut w,
        &[item("c1", Some("1"), 10), item("other", Some("1"), 11)],
    );
    w.close(1008);
    w.reconnect("c2");
    assert_eq!(
        w.written(),
        [
            r#"{"type":"joinGroup","group":"g","ackId":5}"#,
            r#"{"type":"setGroupState","group":"g","ackId":6,"state":{"k":"1"}}"#,
            r#"{"type":"subscribeGroupState","group":"g","ackId":7}"#,
        ]
    );
    for id in 5..=7 {
        w.ack(id);
    }
    assert_eq!(states(&w), ["c1=1", "other=1"], "until the snapshot comes");
    changes(&mut w);
    snapshot(&mut w, &[item("c2", Some("1"), 9)]);
    assert_eq!(changes(&mut w), ["c1 gone", "other gone", "c2=1"]);
}

#[test]
fn what_was_cleared_or_left_is_not_restored() {
    let mut w = World::connected(SessionConfig::default());
    let set = |state| Request::set_group_state(group("g"), state);
    w.submit(&set(Some(vec![])));
    w.submit(&set(None));
    w.submit(&join("h"));
    w.submit(&leave("h"));
    w.written();
    for id in 1..=4 {
        w.ack(id);
    }
    w.close(1008);
    w.reconnect("c2");
    assert_eq!(w.written(), [""; 0]);
}

#[test]
fn leaving_ends_the_view() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    w.submit(&leave("g"));
    w.written();
    w.ack(2);
    assert_eq!(w.session.group_states(&group("g")), None);
}

#[test]
fn states_without_a_subscription_are_ignored() {
    let mut w = World::connected(SessionConfig::default());
    let unknown = [Event::Ignored(Ignored::UnknownGroupState)];
    snapshot(&mut w, &[item("a", Some("1"), 1)]);
    assert_eq!(w.events(), unknown);
    update(&mut w, &item("a", Some("1"), 1));
    assert_eq!(w.events(), unknown);
    assert_eq!(w.session.group_states(&group("g")), None);
}

#[test]
fn a_replayed_snapshot_may_come_before_the_answer() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&Request::subscribe_group_state(group("g")));
    snapshot(&mut w, &[item("a", Some("1"), 1)]);
    assert!(changes(&mut w).is_empty(), "it was not asked for yet");
    w.written();
    w.cut();
    assert!(w.redial().is_some());
    w.input(Input::Opened);
    snapshot(&mut w, &[item("a", Some("1"), 1)]);
    assert_eq!(changes(&mut w), ["a=1"]);
    w.refuse(1, "Duplicate");
    assert_eq!(states(&w), ["a=1"]);
}

/// The service did both requests before the drop, so the snapshot of the second one is replayed
/// before the answer to the first one is repeated.
#[test]
fn a_repeated_answer_does_not_end_the_view_of_a_later_subscription() {
    for ending in [leave("g"), Request::unsubscribe_group_state(group("g"))] {
        for answer in ["Duplicate", "Forbidden"] {
            let mut w = World::connected(SessionConfig::default());
            subscribe(&mut w);
            w.submit(&ending);
            w.submit(&Request::subscribe_group_state(group("g")));
            w.written();
            w.cut();
            assert!(w.redial().is_some());
            w.input(Input::Opened);
            snapshot(&mut w, &[item("a", Some("1"), 1)]);
            w.refuse(2, "Duplicate");
            assert_eq!(states(&w), ["a=1"]);
            w.refuse(3, answer);
            let view = w.session.group_states(&group("g"));
            assert_eq!(view.is_some(), answer == "Duplicate");
        }
    }
}

#[test]
fn a_subscription_that_was_lost_is_not_restored_although_its_snapshot_came() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&Request::subscribe_group_state(group("g")));
    w.written();
    snapshot(&mut w, &[item("a", Some("1"), 1)]);
    w.close(1008);
    assert!(matches!(w.settled()[..], [(_, Outcome::Lost(_))]));
    w.reconnect("c2");
    assert_eq!(w.written(), [""; 0]);
    assert_eq!(w.session.group_states(&group("g")), None);
}

#[test]
fn numbered_states_are_acknowledged_and_duplicates_dropped() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    for value in ["1", "2"] {
        w.receive(&format!(
            r#"{{"sequenceId":1,"type":"groupStateUpdate","group":"g","items":[{{"connectionId":"a","state":{{"k":"{value}"}},"updatedAt":{value}}}]}}"#
        ));
    }
    assert_eq!(states(&w), ["a=1"]);
    w.advance(SECOND);
    assert_eq!(w.written(), [r#"{"type":"sequenceAck","sequenceId":1}"#]);
}

#[test]
fn a_subscription_that_cannot_be_restored_shows_nothing_old() {
    let mut w = World::connected(SessionConfig::default());
    subscribe(&mut w);
    snapshot(&mut w, &[item("a", Some("1"), 1)]);
    w.close(1008);
    w.reconnect("c2");
    w.written();
    w.events();
    w.refuse(2, "Forbidden");
    let events = w.events();
    assert!(matches!(
        &events[..],
        [
            Event::GroupState { .. },
            Event::StateRestoreFailed { error, .. }
        ] if error.name == "Forbidden"
    ));
    assert_eq!(states(&w), [""; 0]);
}

#[test]
fn members_cannot_fill_the_memory_of_who_watches_them() {
    let mut w = World::connected(SessionConfig::default());
    w.submit(&Request::subscribe_group_state(group("g")));
    w.written();
    w.ack(1);
    w.events();
    let big = "x".repeat(1024 * 1024);
    let update = |member: usize, at: i64, value: &str| {
        format!(
            r#"{{"type":"groupStateUpdate","group":"g","items":[{{"connectionId":"m{member}","state":{{"k":"{value}"}},"updatedAt":{at}}}]}}"#
        )
    };
    for member in 0..20 {
        w.receive(&update(member, 1, &big));
    }
    let ignored = [Event::Ignored(Ignored::TooManyStates)];
    assert_eq!(
        w.events()
            .iter()
            .filter(|event| ignored.contains(event))
            .count(),
        5
    );
    let known = |w: &World| {
        w.session
            .group_states(&group("g"))
            .map_or(0, |states| states.len())
    };
    assert_eq!(known(&w), 15);
    w.receive(&update(0, 2, "small"));
    w.receive(&update(19, 2, &big));
    assert_eq!(known(&w), 16, "room that was given back is used again");
}
