//! Sending, by address and by kind of body.

use std::{io, time::Duration};

use azure_core::http::StatusCode;
use futures_util::stream;
use serde_json::json;
use webpubsub::{Streamed, bulk, odata, payload};

use super::world::World;

#[tokio::test]
async fn messages_reach_whom_they_are_for() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &["room"]).await;
    let mut bob = world.connect("bob", &["room"]).await;
    let mut eve = world.connect("O'Hara", &[]).await;
    let service = &world.service;
    let room = service.group("room");

    service.send_to_all("all").await.unwrap();
    service
        .send_to_all("not bob")
        .exclude(&bob.id)
        .await
        .unwrap();
    service
        .send_to_all("only O'Hara")
        .filter(odata!("userId eq {}", "O'Hara"))
        .await
        .unwrap();
    service.send_to_user("ana", "ana").await.unwrap();
    service
        .send_to_user("ana", "ana, elsewhere")
        .filter("'elsewhere' in groups")
        .await
        .unwrap();
    service.send_to_connection(&bob.id, "bob").await.unwrap();
    room.send_to_all("room").await.unwrap();
    room.send_to_all("room without both")
        .exclude_all([&ana.id, &bob.id])
        .await
        .unwrap();
    room.send_to_all("room, only bob")
        .filter("userId eq 'bob'")
        .await
        .unwrap();

    assert_eq!(
        world.received(&mut ana).await,
        ["all", "not bob", "ana", "room"]
    );
    assert_eq!(
        world.received(&mut bob).await,
        ["all", "bob", "room", "room, only bob"]
    );
    assert_eq!(
        world.received(&mut eve).await,
        ["all", "not bob", "only O'Hara"]
    );
}

#[tokio::test]
async fn bodies_arrive_as_what_they_are() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &[]).await;
    let service = &world.service;
    let chunks = || stream::iter([Ok::<_, io::Error>("[1,"), Ok("2]")]);

    service.send_to_all("\"hé\"").await.unwrap();
    service
        .send_to_all(payload::Json(json!({"n": 1})))
        .await
        .unwrap();
    service.send_to_all(vec![0, 255]).await.unwrap();
    service
        .send_to_all(Streamed::buffered(chunks()).json())
        .await
        .unwrap();
    service
        .send_to_all(Streamed::buffered(chunks()).text())
        .await
        .unwrap();
    let expected = [
        ("text", json!("\"hé\"")),
        ("json", json!({"n": 1})),
        ("binary", json!("AP8=")),
        ("json", json!([1, 2])),
        ("text", json!("[1,2]")),
    ];
    for (data_type, data) in expected {
        let frame = ana.next().await;
        assert_eq!(
            (&frame["dataType"], &frame["data"]),
            (&json!(data_type), &data)
        );
    }
}

#[tokio::test]
async fn options_of_delivery_are_accepted() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &["room"]).await;
    let response = world
        .service
        .group("room")
        .send_to_all("with options")
        .ttl(Duration::from_secs(300))
        .metadata("Trace", "42")
        .retry_post(false)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::Accepted);
    assert_eq!(world.received(&mut ana).await, ["with options"]);
}

#[tokio::test]
async fn many_sends_arrive_once_each() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &[]).await;
    let sends = (0..100).map(|n| world.service.send_to_user("ana", payload::Json(n)));
    let outcomes = bulk::run(8, sends).await;
    assert_eq!(outcomes.len(), 100);
    assert!(outcomes.iter().all(Result::is_ok));
    let mut received: Vec<_> = world
        .received(&mut ana)
        .await
        .iter()
        .map(|data| data.as_u64().unwrap())
        .collect();
    received.sort_unstable();
    assert!(received.into_iter().eq(0..100));
}
