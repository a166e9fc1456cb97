//! The client against the emulator, from start to stop.

use std::time::Duration;

use webpubsub_client::{
    Acknowledged, ClientState, Event, Events, Subprotocol, WebPubSubClient, payload::Json,
};
use webpubsub_emulator::Emulator;

const ROLES: [&str; 4] = [
    "webpubsub.joinLeaveGroup",
    "webpubsub.sendToGroup",
    "webpubsub.getGroupState",
    "webpubsub.setGroupState",
];

async fn message(events: &mut Events) -> webpubsub_client::GroupMessage {
    loop {
        match events.next().await.expect("the client lives") {
            Event::GroupMessage(message) => return message,
            Event::Disconnected { cause, .. } => panic!("disconnected: {cause}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn clients_of_all_subprotocols_talk() {
    let emulator = Emulator::start().await.expect("an emulator");
    let mut clients = Vec::new();
    for protocol in Subprotocol::ALL {
        let url = emulator.client_access_url("chat", protocol.as_str(), &ROLES);
        let (client, events) = WebPubSubClient::builder(url)
            .protocol(protocol)
            .connect_with_events()
            .await
            .expect("connected");
        client.join_group("room").await.expect("joined");
        clients.push((protocol, client, events));
    }
    for at in 0..clients.len() {
        let (protocol, client, _) = &clients[at];
        let sent = client.send_to_group("room", Json(at)).await.expect("sent");
        assert!(matches!(sent, Acknowledged::Accepted { ack_id: Some(_) }));
        let protocol = *protocol;
        for (_, _, events) in &mut clients {
            let message = message(events).await;
            assert_eq!(message.json::<usize>().expect("JSON"), at);
            assert_eq!(
                message.from_user_id.as_deref().unwrap_or(protocol.as_str()),
                protocol.as_str()
            );
        }
    }
    for (_, client, _) in &clients {
        client.stop().await;
        assert_eq!(client.state(), ClientState::Stopped);
    }
}

#[tokio::test]
async fn streams_and_states_go_from_client_to_client() {
    let emulator = Emulator::start().await.expect("an emulator");
    let ana = WebPubSubClient::connect(emulator.client_access_url("chat", "ana", &ROLES))
        .await
        .expect("connected");
    let (bob, mut bob_events) =
        WebPubSubClient::connect_with_events(emulator.client_access_url("chat", "bob", &ROLES))
            .await
            .expect("connected");
    for client in [&ana, &bob] {
        client.join_group("room").await.expect("joined");
    }
    let mut streams = bob.group_streams().from_start().subscribe();
    let mut writer = ana.open_group_stream("room").await.expect("opened");
    for n in 0..200 {
        writer.write(Json(n)).await.expect("written");
    }
    writer.end().await.expect("ended");
    let mut stream = streams.next().await.expect("a stream");
    for n in 0..200 {
        let fragment = stream.next().await.expect("a fragment").expect("no gap");
        assert_eq!(fragment.payload.as_bytes(), n.to_string().as_bytes());
    }
    assert!(stream.next().await.is_none());

    bob.subscribe_group_state("room").await.expect("subscribed");
    ana.set_group_state("room", [("typing", "yes")])
        .await
        .expect("set");
    loop {
        if let Event::GroupStateChanged { .. } = bob_events.next().await.expect("an event") {
            let states = bob.group_states("room").expect("subscribed");
            if !states.is_empty() {
                assert_eq!(states[0].state, [("typing".to_owned(), "yes".to_owned())]);
                break;
            }
        }
    }
    let denied = tokio::time::timeout(
        Duration::from_secs(5),
        ana.invoke_event_without_data("nobody"),
    );
    assert!(denied.await.expect("in time").is_err());
}
