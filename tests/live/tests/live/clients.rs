//! The real-time client on every subprotocol.

use live::{Hub, SUBPROTOCOLS, with_hub};
use webpubsub_client::{AckId, Acknowledged, Event, SendError, WebPubSubClient, payload};

#[test]
fn a_group_talks_on_every_subprotocol() {
    with_hub(async |hub: Hub| {
        let mut listener = hub.client("listener", SUBPROTOCOLS[0]).await;
        listener.client.join_group("room").await.expect("it joins");
        for subprotocol in SUBPROTOCOLS {
            let mut ana = hub.client("ana", subprotocol).await;
            ana.client.join_group("room").await.expect("she joins");
            let text = format!("on {}", subprotocol.as_str());
            let sent = ana
                .client
                .send_to_group("room", text.clone())
                .await
                .expect("it is sent");
            assert!(matches!(sent, Acknowledged::Accepted { ack_id: Some(_) }));
            assert_eq!(ana.text().await, text);
            assert_eq!(listener.text().await, text);

            ana.client
                .send_to_group("room", "no echo")
                .no_echo()
                .await
                .expect("it is sent");
            ana.client.leave_group("room").await.expect("she leaves");
            listener
                .client
                .send_to_group("room", "she is gone")
                .await
                .expect("it is sent");
            assert_eq!(listener.text().await, "no echo");
            assert_eq!(listener.text().await, "she is gone");
            hub.service
                .send_to_user("ana", "end")
                .await
                .expect("it is taken");
            assert_eq!(ana.text().await, "end");
            ana.client.stop().await;
        }
    });
}

#[test]
fn payloads_survive_every_subprotocol() {
    with_hub(async |hub: Hub| {
        for subprotocol in SUBPROTOCOLS {
            let mut ana = hub.client("ana", subprotocol).await;
            ana.client.join_group("room").await.expect("she joins");
            let message = |event| match event {
                Event::GroupMessage(message) => Some(message),
                _ => None,
            };
            let value = vec![1.5, -2.0];
            let send = ana.client.send_to_group("room", payload::Json(&value));
            send.await.expect("it is sent");
            let received = ana.event("JSON", message).await;
            assert_eq!(received.json::<Vec<f64>>().expect("JSON"), value);
            assert_eq!(received.from_user_id.as_deref(), from_user(subprotocol));

            ana.client
                .send_to_group("room", vec![0_u8, 255])
                .await
                .expect("it is sent");
            assert_eq!(ana.event("bytes", message).await.bytes(), [0, 255]);
            ana.client.stop().await;
        }
    });
}

/// Protobuf does not say whose message it is.
fn from_user(subprotocol: webpubsub_client::Subprotocol) -> Option<&'static str> {
    subprotocol.as_str().starts_with("json").then_some("ana")
}

#[test]
fn a_repeated_ack_id_is_a_duplicate() {
    with_hub(async |hub: Hub| {
        for subprotocol in SUBPROTOCOLS {
            let mut ana = hub.client("ana", subprotocol).await;
            ana.client.join_group("room").await.expect("she joins");
            let send = |text: &'static str| ana.client.send_to_group("room", text).ack_id(77);
            let first = send("once").await.expect("it is sent");
            assert_eq!(
                first,
                Acknowledged::Accepted {
                    ack_id: Some(AckId(77))
                }
            );
            let second = send("twice").await.expect("it was sent");
            assert_eq!(second, Acknowledged::Duplicate { ack_id: AckId(77) });
            ana.client
                .send_to_group("room", "end")
                .await
                .expect("it is sent");
            assert_eq!(ana.text().await, "once");
            assert_eq!(ana.text().await, "end");
            ana.client.stop().await;
        }
    });
}

#[test]
fn without_roles_clients_are_refused() {
    with_hub(async |hub: Hub| {
        for subprotocol in SUBPROTOCOLS {
            let token = hub
                .service
                .client_access_token()
                .user_id("eve")
                .await
                .expect("a token");
            let builder = WebPubSubClient::builder(token.url()).protocol(subprotocol);
            let client = builder.connect().await.expect("she connects");
            for refused in [
                client.join_group("room").await,
                client.send_to_group("room", "x").await,
            ] {
                let Err(SendError::Rejected { error, .. }) = refused else {
                    panic!("she may do nothing: {refused:?}");
                };
                assert_eq!(error.name, "Forbidden");
            }
            client.stop().await;
        }
    });
}
