//! Consumers of events, the fast and the slow.

use std::time::Duration;

use tokio::time::Instant;
use webpubsub_client::{ClientState, Event, Overflow, SendError};

use crate::fake::{Socket, connected, connected_frame, pass, settle};

/// Messages of a kilobyte, numbered from 1.
fn flood(socket: &Socket, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let data = format!("{number:0>1000}");
        socket.say(&format!(
            r#"{{"sequenceId":{number},"type":"message","from":"server","dataType":"text","data":"{data}"}}"#
        ));
    }
}

fn number(event: &Event) -> u32 {
    match event {
        Event::ServerMessage(message) => message.text().expect("text").parse().expect("a number"),
        other => panic!("no message but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_consumer_gets_everything() {
    let (client, mut first, _service, socket) = connected(|builder| builder).await;
    let mut second = client.events();
    flood(&socket, 1..=100);
    for events in [&mut first, &mut second] {
        for n in 1..=100 {
            assert_eq!(number(&events.next().await.expect("an event")), n);
        }
    }
}

// req: C-7.1-2
// req: C-7.1-3
#[tokio::test(start_paused = true)]
async fn messages_are_acknowledged_on_receipt_however_slow_the_application_is() {
    let (_client, _events, _service, mut socket) = connected(|builder| builder).await;
    let before = Instant::now();
    flood(&socket, 1..=5);
    assert_eq!(
        socket.text().await,
        r#"{"type":"sequenceAck","sequenceId":5}"#
    );
    assert_eq!(before.elapsed().as_secs(), 1);
    let before = Instant::now();
    flood(&socket, 6..=305);
    assert!(
        socket
            .text()
            .await
            .starts_with(r#"{"type":"sequenceAck","sequenceId":"#)
    );
    assert!(before.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_pauses_reading_and_requests_fail_with_the_cause() {
    let (client, events, _service, mut socket) = connected(|builder| builder).await;
    drop(events);
    let mut slow = client.events_with(10_000, Overflow::Pause);
    flood(&socket, 1..=50);
    settle().await;
    let error = client
        .send_to_group("g", "x")
        .await
        .expect_err("no answer can arrive");
    assert!(matches!(error, SendError::Stalled), "{error:?}");
    assert!(matches!(
        client.send_to_group("g", "y").await,
        Err(SendError::Stalled)
    ));
    client
        .send_to_group("g", "z")
        .fire_and_forget()
        .await
        .expect("it waits for no answer");

    for n in 1..=50 {
        assert_eq!(number(&slow.next().await.expect("an event")), n);
    }
    socket.texts().await;
    let (sent, ()) = tokio::join!(client.send_to_group("g", "again").into_future(), async {
        let text = socket.text().await;
        let id = text
            .split(r#""ackId":"#)
            .nth(1)
            .expect("an id")
            .split(',')
            .next()
            .expect("an id");
        socket.say(&format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#));
    });
    sent.expect("answers arrive again");
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_is_not_given_up_as_silent() {
    let (client, events, mut service, socket) = connected(|builder| builder).await;
    drop(events);
    let mut slow = client.events_with(2_000, Overflow::Pause);
    flood(&socket, 1..=50);
    pass(Duration::from_secs(600)).await;
    for n in 1..=50 {
        assert_eq!(number(&slow.next().await.expect("an event")), n);
    }
    assert!(service.try_dialled().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_does_not_cost_a_recovery() {
    let (client, events, mut service, socket) = connected(|builder| builder).await;
    drop(events);
    // Full with the first event.
    let mut full = client.events_with(0, Overflow::Pause);
    socket.cut();
    let mut again = service.dialled().await.accept();
    assert_eq!(again.text().await, r#"{"type":"ping"}"#);
    again.say(&connected_frame("c1", "t2"));
    client.wait_for(ClientState::Connected).await;
    again.say(r#"{"type":"pong"}"#);
    pass(Duration::from_secs(60)).await;
    assert!(service.try_dialled().is_none(), "the connection stands");
    assert!(matches!(full.next().await, Some(Event::Recovering { .. })));
    let recovered = full.next().await;
    assert_eq!(recovered, Some(Event::Recovered { replayed: 0 }));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_messages_are_dropped_and_counted() {
    let (client, _events, _service, socket) = connected(|builder| builder).await;
    let mut slow = client.events_with(10_000, Overflow::DropOldest);
    flood(&socket, 1..=50);
    settle().await;
    let Some(Event::Dropped { messages }) = slow.next().await else {
        panic!("nothing dropped");
    };
    let first = number(&slow.next().await.expect("an event"));
    assert_eq!(u64::from(first), messages + 1);
    for n in first + 1..=50 {
        assert_eq!(number(&slow.next().await.expect("an event")), n);
    }
    assert!((30..50).contains(&messages), "{messages}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_inbox_ends_with_its_reason_and_others_go_on() {
    let (client, mut others, _service, socket) = connected(|builder| builder).await;
    let mut slow = client.events_with(10_000, Overflow::Close);
    flood(&socket, 1..=50);
    for n in 1..=50 {
        assert_eq!(number(&others.next().await.expect("an event")), n);
    }
    let mut last = None;
    while let Some(event) = slow.next().await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Overflowed));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_skipped() {
    let (_client, mut events, _service, socket) = connected(|builder| builder).await;
    for frame in [
        "not JSON",
        "[]",
        "{}",
        r#"{"type":"unknown"}"#,
        r#"{"type":"message","from":"server","dataType":"xml","data":"<a/>"}"#,
        r#"{"type":"message","from":"server"}"#,
        r#"{"type":"ack","ackId":99,"success":true}"#,
        r#"{"type":"streamAck","streamId":"unknown","expectedSequenceId":1}"#,
        r#"{"type":"invokeResponse","invocationId":"unknown","success":true}"#,
    ] {
        socket.say(frame);
    }
    flood(&socket, 1..=1);
    assert_eq!(number(&events.next().await.expect("an event")), 1);
}

#[tokio::test(start_paused = true)]
async fn changes_of_states_cost_what_they_hold() {
    let (client, events, _service, mut socket) = connected(|builder| builder).await;
    drop(events);
    let mut slow = client.events_with(10_000, Overflow::DropOldest);
    let (subscribed, ()) = tokio::join!(client.subscribe_group_state("g").into_future(), async {
        socket.text().await;
        socket.say(r#"{"type":"ack","ackId":1,"success":true}"#);
    });
    subscribed.expect("subscribed");
    let value = "x".repeat(500);
    for n in 1..=1_000 {
        socket.say(&format!(
            r#"{{"type":"groupStateUpdate","group":"g","items":[{{"connectionId":"c","state":{{"k":"{value}"}},"updatedAt":{n}}}]}}"#
        ));
    }
    settle().await;
    client.stop().await;
    let (mut held, mut dropped) = (0, 0);
    loop {
        match slow.next().await.expect("it ends with the stop") {
            Event::GroupStateChanged { .. } => held += 1,
            Event::Dropped { messages } => dropped += messages,
            Event::Stopped { .. } => break,
            _ => {}
        }
    }
    assert_eq!(held + dropped, 1_000);
    assert!((1..20).contains(&held), "{held} were held");
}

/// A service that accepts and drops: each try leaves events, which no reading holds back.
#[tokio::test(start_paused = true)]
async fn events_of_the_connection_are_limited_too() {
    let (client, events, mut service, socket) =
        connected(|builder| builder.protocol(webpubsub_client::Subprotocol::Json)).await;
    drop(events);
    let mut unread = client.events_with(10_000, Overflow::DropOldest);
    socket.cut();
    for n in 0..600 {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame(&format!("c{n}"), "t"));
        settle().await;
    }
    client.stop().await;
    let mut events = 0;
    let Some(Event::Dropped { messages }) = unread.next().await else {
        panic!("nothing was dropped");
    };
    while !matches!(unread.next().await, Some(Event::Stopped { .. })) {
        events += 1;
    }
    assert!(messages > 500, "{messages} were dropped");
    assert_eq!(events, 999);
}

/// The names in them are the service's, and may be long.
#[tokio::test(start_paused = true)]
async fn events_of_the_connection_cost_what_they_hold() {
    let (client, events, mut service, socket) =
        connected(|builder| builder.protocol(webpubsub_client::Subprotocol::Json)).await;
    drop(events);
    let mut unread = client.events_with(10_000, Overflow::DropOldest);
    socket.cut();
    for n in 0..100 {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame(&format!("{n:0>50000}"), "t"));
        settle().await;
    }
    client.stop().await;
    let mut bytes = 0;
    loop {
        match unread.next().await.expect("it ends with the stop") {
            Event::Connected { connection_id, .. } | Event::Disconnected { connection_id, .. } => {
                bytes += connection_id.len();
            }
            Event::Stopped { .. } => break,
            _ => {}
        }
    }
    assert!(
        (100_000..=1024 * 1024).contains(&bytes),
        "{bytes} were held"
    );
}

/// Both parts are measured in the same run, so that a slow machine does not matter.
#[tokio::test]
async fn a_full_inbox_takes_a_message_as_fast_as_an_empty_one() {
    let (client, events, _service, socket) = connected(|builder| builder).await;
    drop(events);
    let _full = client.events_with(16 * 1024 * 1024, Overflow::DropOldest);
    let mut fast = client.events();
    let mut time = async |messages: u32| {
        let before = std::time::Instant::now();
        for n in 0..messages {
            socket.say(&format!(
                r#"{{"type":"message","from":"server","dataType":"text","data":"{n:0>100}"}}"#
            ));
        }
        for _ in 0..messages {
            fast.next().await;
        }
        before.elapsed() / messages
    };
    let empty = time(10_000).await;
    time(60_000).await;
    let full = time(500).await;
    assert!(
        full < empty * 20,
        "{full:?} when full, {empty:?} when empty"
    );
}
