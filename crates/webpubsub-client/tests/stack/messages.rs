//! Messages over a failing network.

use futures_util::future::join_all;
use webpubsub_client::{Acknowledged, Event, Subprotocol, payload::Json};

use crate::proxy::Weather;
use crate::world::{World, next};

const MESSAGES: u32 = 600;

/// What goes wrong when the receiver has seen this many messages.
fn fault(seen: u32) -> Option<Weather> {
    match seen {
        100 => Some(Weather::Fair),
        250 => Some(Weather::Stalled),
        400 => Some(Weather::BadGateway),
        500 => Some(Weather::Refusing),
        _ => None,
    }
}

async fn arrive_once_and_in_order(protocol: Subprotocol) {
    let world = World::new().await;
    let (sender, mut sender_events) = world.client("ana", protocol).await;
    let (receiver, mut events) = world.client("bob", protocol).await;
    receiver.join_group("room").await.expect("joined");
    let (sender_id, receiver_id) = (sender.connection_id(), receiver.connection_id());

    let sending = async {
        // One after the other, in lots that are under way at the same time.
        for lot in 0..MESSAGES / 20 {
            let sends = (lot * 20..(lot + 1) * 20)
                .map(|n| sender.send_to_group("room", Json(n)).into_future());
            for sent in join_all(sends).await {
                let sent = sent.expect("nothing acknowledged is lost");
                assert!(matches!(
                    sent,
                    Acknowledged::Accepted { .. } | Acknowledged::Duplicate { .. }
                ));
            }
        }
    };
    let receiving = async {
        for expected in 0..MESSAGES {
            let number = next(&mut events, |event| match event {
                Event::GroupMessage(message) => Some(message.json::<u32>().expect("a number")),
                _ => None,
            })
            .await;
            assert_eq!(number, expected, "once, and in order");
            let Some(weather) = fault(number + 1) else {
                continue;
            };
            // Both clients dial again, and once more where that fails. A stalled network they must notice first.
            let again = world.proxy.accepts(match weather {
                Weather::Fair | Weather::Stalled => 2,
                Weather::BadGateway | Weather::Refusing => 4,
            });
            world.proxy.set(weather);
            if weather != Weather::Stalled {
                world.proxy.kill();
            }
            again.await;
            world.proxy.set(Weather::Fair);
            let recovered = |event| matches!(event, Event::Recovered { .. }).then_some(());
            next(&mut sender_events, recovered).await;
        }
    };
    tokio::join!(sending, receiving);
    assert_eq!(sender.connection_id(), sender_id, "the same connection");
    assert_eq!(receiver.connection_id(), receiver_id, "the same connection");
}

#[tokio::test]
async fn json_messages_arrive_once_and_in_order() {
    arrive_once_and_in_order(Subprotocol::ReliableJson).await;
}

#[tokio::test]
async fn protobuf_messages_arrive_once_and_in_order() {
    arrive_once_and_in_order(Subprotocol::ReliableProtobuf).await;
}

/// On a plain subprotocol a lost socket is a lost connection, and the client says so.
#[tokio::test]
async fn a_plain_connection_is_lost_openly_and_groups_are_joined_again() {
    let world = World::new().await;
    let (client, mut events) = world.client("ana", Subprotocol::Json).await;
    client.join_group("room").await.expect("joined");
    let before = client.connection_id();
    world.proxy.kill();
    loop {
        match events.next().await.expect("an event") {
            Event::Disconnected { connection_id, .. } => assert_eq!(Some(connection_id), before),
            Event::Connected { connection_id, .. } if Some(&connection_id) != before.as_ref() => {
                break;
            }
            event => assert!(!matches!(event, Event::Recovering { .. }), "{event:?}"),
        }
    }
    // Its frame goes out behind the one that joins again.
    client.send_to_group("room", "back").await.expect("sent");
    let text = next(&mut events, |event| match event {
        Event::GroupMessage(message) => message.text().map(str::to_owned),
        _ => None,
    });
    assert_eq!(text.await, "back");
}
