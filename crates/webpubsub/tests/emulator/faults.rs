//! The faults of the emulator that a caller of the REST API meets, and what becomes of its calls.

use webpubsub::ServiceErrorExt as _;
use webpubsub_emulator::Fault;

use super::world::World;

#[tokio::test]
async fn a_call_that_is_refused_for_a_while_is_tried_again() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &["room"]).await;
    let faults = world.emulator.faults();
    let busy = Fault::refuse_operation(429).retry_after(0).hub("chat");
    let rule = faults
        .add(busy.operation("SendToGroup").hit_count(1))
        .unwrap();
    let room = world.service.group("room");
    room.send_to_all("hi").await.unwrap();
    assert_eq!(faults.hits(rule), 1);
    assert_eq!(world.received(&mut ana).await, ["hi"], "done once");
}

#[tokio::test]
async fn a_call_that_is_refused_says_why_and_others_pass() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &["room"]).await;
    let faults = world.emulator.faults();
    faults
        .add(Fault::refuse_operation(403).group("room"))
        .unwrap();
    let room = world.service.group("room");
    let error = room.send_to_all("hi").await.unwrap_err();
    let reason = error.service_error().unwrap();
    assert_eq!(u16::from(reason.status()), 403);
    world.service.send_to_all("to all").await.unwrap();
    faults.clear();
    room.send_to_all("again").await.unwrap();
    assert_eq!(world.received(&mut ana).await, ["to all", "again"]);
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_sent_twice() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &[]).await;
    let lost = Fault::lose_answer().user("ana").hit_count(1);
    world.emulator.faults().add(lost).unwrap();
    world.service.send_to_user("ana", "hi").await.unwrap();
    assert_eq!(world.received(&mut ana).await, ["hi", "hi"]);
}

#[tokio::test]
async fn a_send_that_is_not_repeated_fails_although_it_was_done() {
    let world = World::start().await;
    let mut ana = world.connect("ana", &[]).await;
    let lost = Fault::lose_answer().operation("WebPubSub_SendToAll");
    world.emulator.faults().add(lost).unwrap();
    let sent = world.service.send_to_all("hi").retry_post(false).await;
    assert!(sent.is_err());
    assert_eq!(world.received(&mut ana).await, ["hi"]);
}
