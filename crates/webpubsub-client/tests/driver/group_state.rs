//! Group state as an application sees it.

use webpubsub_client::{Event, NotSubscribed, StateChange, WebPubSubClient};

use crate::fake::{Socket, connected, settle};

async fn subscribe(client: &WebPubSubClient, socket: &mut Socket, ack_id: u64) {
    let (subscribed, ()) = tokio::join!(client.subscribe_group_state("g"), async {
        let expected = format!(r#"{{"type":"subscribeGroupState","group":"g","ackId":{ack_id}}}"#);
        assert_eq!(socket.text().await, expected);
        socket.say(&format!(
            r#"{{"type":"ack","ackId":{ack_id},"success":true}}"#
        ));
    });
    subscribed.expect("subscribed");
}

#[tokio::test(start_paused = true)]
async fn a_view_follows_the_states_of_a_group() {
    let (client, mut events, _service, mut socket) = connected(|builder| builder).await;
    let mut view = client.group_state_view("g").expect("a name");
    assert_eq!(view.current(), Err(NotSubscribed));
    subscribe(&client, &mut socket, 1).await;
    assert_eq!(view.current().expect("subscribed"), []);

    socket.say(
        r#"{"type":"groupStateSnapshot","group":"g","items":[{"connectionId":"c2","userId":"bob","state":{"k":"v"},"updatedAt":5}]}"#,
    );
    assert!(view.changed().await);
    let states = client.group_states("g").expect("subscribed");
    assert_eq!(view.current().expect("subscribed"), states);
    assert_eq!(
        (
            states[0].connection_id.as_ref() as &str,
            states[0].updated_at
        ),
        ("c2", 5)
    );
    assert_eq!(states[0].state, [("k".to_owned(), "v".to_owned())]);
    let bob = client
        .group_state("g", "c2")
        .expect("subscribed")
        .expect("a state");
    assert_eq!(bob.user_id.as_deref(), Some("bob"));
    assert_eq!(client.group_state("g", "c9").expect("subscribed"), None);

    socket.say(
        r#"{"type":"groupStateUpdate","group":"g","items":[{"connectionId":"c2","updatedAt":6}]}"#,
    );
    assert!(view.changed().await);
    assert_eq!(view.current().expect("subscribed"), []);
    // An older update changes nothing, and nobody is told.
    socket.say(
        r#"{"type":"groupStateUpdate","group":"g","items":[{"connectionId":"c2","state":{"k":"old"},"updatedAt":4}]}"#,
    );
    settle().await;
    let mut changes = Vec::new();
    for _ in 0..2 {
        match events.next().await.expect("an event") {
            Event::GroupStateChanged { changes: some, .. } => changes.extend(some),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        matches!(
            &changes[..],
            [StateChange::Set(_), StateChange::Cleared { .. }]
        ),
        "{changes:?}"
    );

    drop(client);
    assert!(!view.changed().await, "the client is gone");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_subscribed_to_is_a_typed_error() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    assert_eq!(client.group_states("g"), Err(NotSubscribed));
    subscribe(&client, &mut socket, 1).await;
    assert!(client.group_states("g").is_ok());
    let (unsubscribed, ()) = tokio::join!(client.unsubscribe_group_state("g"), async {
        assert_eq!(
            socket.text().await,
            r#"{"type":"unsubscribeGroupState","group":"g","ackId":2}"#
        );
        socket.say(r#"{"type":"ack","ackId":2,"success":true}"#);
    });
    unsubscribed.expect("unsubscribed");
    assert_eq!(client.group_states("g"), Err(NotSubscribed));

    let (set, ()) = tokio::join!(client.set_group_state("g", [("k", "v")]), async {
        let expected = r#"{"type":"setGroupState","group":"g","ackId":3,"state":{"k":"v"}}"#;
        assert_eq!(socket.text().await, expected);
        socket.say(
            r#"{"type":"ack","ackId":3,"success":false,"error":{"name":"Forbidden","message":"Not a member of group."}}"#,
        );
    });
    assert_eq!(set.expect_err("not joined").name(), Some("Forbidden"));
}
