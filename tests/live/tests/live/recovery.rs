//! A reliable client whose network fails.

use live::{Client, Cuttable, Hub, with_hub};
use webpubsub_client::{Event, Subprotocol};

#[test]
fn nothing_is_lost_when_a_socket_is() {
    with_hub(async |hub: Hub| {
        for subprotocol in [Subprotocol::ReliableJson, Subprotocol::ReliableProtobuf] {
            let line = Cuttable::new();
            let builder = hub.builder("ana", subprotocol).await;
            let mut ana = Client::connect(builder.connector(line.clone())).await;
            ana.client.join_group("room").await.expect("she joins");
            let id = ana.id();
            let room = hub.service.group("room");
            room.send_to_all("before").await.expect("it is taken");
            assert_eq!(ana.text().await, "before");

            line.cut();
            let lost = |event| matches!(event, Event::Recovering { .. }).then_some(());
            ana.event("the loss", lost).await;
            room.send_to_all("meanwhile").await.expect("it is taken");
            assert_eq!(ana.text().await, "meanwhile");
            ana.client
                .send_to_group("room", "after")
                .await
                .expect("it is sent");
            assert_eq!(ana.text().await, "after");
            assert_eq!(ana.id(), id, "it is the same connection");
            ana.client.stop().await;
        }
    });
}

#[test]
fn a_plain_client_connects_anew_and_joins_its_groups_again() {
    with_hub(async |hub: Hub| {
        let line = Cuttable::new();
        let builder = hub.builder("ana", Subprotocol::Json).await;
        let mut ana = Client::connect(builder.connector(line.clone())).await;
        ana.client.join_group("room").await.expect("she joins");
        let id = ana.id();
        line.cut();
        let connected = |event| match event {
            Event::Connected { connection_id, .. } if connection_id != id => Some(()),
            _ => None,
        };
        ana.event("a new connection", connected).await;
        // Its frames keep their order, so the group is joined when this is answered.
        ana.client
            .send_to_group("room", "again")
            .await
            .expect("it is sent");
        assert_eq!(ana.text().await, "again");
        ana.client.stop().await;
    });
}
