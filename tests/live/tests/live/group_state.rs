//! The states of a group's members.

use live::{Client, Hub, SUBPROTOCOLS, with_hub};
use webpubsub_client::Event;

/// Waits until the states that `client` sees in the room are these, as pairs of connection and value.
async fn until_states_are(client: &mut Client, expected: &[(String, String)]) {
    loop {
        let states = client
            .client
            .group_states("room")
            .expect("it is subscribed");
        let mut states: Vec<_> = states
            .into_iter()
            .map(|member| {
                let value = member.state.iter().find(|(key, _)| key == "mood");
                let value = value.map(|(_, value)| value.clone()).unwrap_or_default();
                (member.connection_id.to_string(), value)
            })
            .collect();
        states.sort();
        if states == expected {
            return;
        }
        let changed = |event| matches!(event, Event::GroupStateChanged { .. }).then_some(());
        client.event("a change", changed).await;
    }
}

#[test]
fn members_see_each_others_state_on_every_subprotocol() {
    with_hub(async |hub: Hub| {
        for subprotocol in SUBPROTOCOLS {
            let ana = hub.client("ana", subprotocol).await;
            let mut ben = hub.client("ben", subprotocol).await;
            for client in [&ana, &ben] {
                client.client.join_group("room").await.expect("both join");
            }
            ben.client
                .subscribe_group_state("room")
                .await
                .expect("he subscribes");
            let mood = |mood: &'static str| ana.client.set_group_state("room", [("mood", mood)]);
            mood("happy").await.expect("it is set");
            until_states_are(&mut ben, &[(ana.id(), "happy".to_owned())]).await;
            mood("tired").await.expect("it is set");
            until_states_are(&mut ben, &[(ana.id(), "tired".to_owned())]).await;
            ana.client
                .clear_group_state("room")
                .await
                .expect("it is cleared");
            until_states_are(&mut ben, &[]).await;
            ben.client
                .unsubscribe_group_state("room")
                .await
                .expect("he has seen enough");
            ana.client.stop().await;
            ben.client.stop().await;
        }
    });
}
