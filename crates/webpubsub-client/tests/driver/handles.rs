//! Handles that wait, are given up or meet a driver that ends.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use webpubsub_client::{ClientState, Event, Loss, Overflow, Protocol, SendError, Subprotocol};
use webpubsub_protocol::frame::{ClientFrame, DecodeError, ServerFrame};
use webpubsub_protocol::session::WireFrame;

use crate::fake::{Up, client, connected, connected_frame, settle};

#[tokio::test(start_paused = true)]
async fn a_stop_while_there_is_no_connection_wakes_all_that_wait_for_room() {
    let (client, _events, mut service, socket) = connected(|b| b.outbox(1, 1 << 20)).await;
    socket.cut();
    service.dialled().await.refuse_with(503);
    settle().await;
    let sends: Vec<_> = ["in the outbox", "waits for room", "waits, too"]
        .into_iter()
        .map(|text| {
            let client = client.clone();
            tokio::spawn(async move { client.send_to_group("g", text).await })
        })
        .collect();
    settle().await;
    client.stop().await;
    for send in sends {
        let error = send.await.unwrap().expect_err("the client was stopped");
        assert!(
            matches!(
                error,
                SendError::Lost(Loss::Stopped) | SendError::NotStarted
            ),
            "{error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn callers_get_room_in_order_and_cost_nothing_while_they_wait() {
    let counting = Counting::default();
    let encoded = Arc::clone(&counting.0);
    let (client, _events, _service, mut socket) =
        connected(|b| b.outbox(1, 1 << 20).protocol(counting)).await;
    socket.jam(true);
    let sends: Vec<_> = (0..200)
        .map(|n| {
            let client = client.clone();
            let send = tokio::spawn(async move {
                let send = client.send_to_group("g", n.to_string());
                send.fire_and_forget().await
            });
            (n, send)
        })
        .collect();
    settle().await;
    let before = encoded.load(Ordering::SeqCst);
    for n in 0..100 {
        socket.say(&format!(
            r#"{{"type":"message","from":"server","dataType":"text","data":"{n}"}}"#
        ));
        settle().await;
    }
    assert_eq!(
        encoded.load(Ordering::SeqCst),
        before,
        "nothing was written"
    );
    socket.jam(false);
    for (n, send) in sends {
        let text = socket.text().await;
        assert!(text.contains(&format!(r#""data":"{n}""#)), "{n}: {text}");
        send.await.unwrap().expect("written");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_lets_the_next_one_have_its_room() {
    let (client, _events, _service, mut socket) = connected(|b| b.outbox(1, 1 << 20)).await;
    socket.jam(true);
    let send = |text: &'static str| {
        let client = client.clone();
        async move { client.send_to_group("g", text).fire_and_forget().await }
    };
    let _first = tokio::spawn(send("first"));
    settle().await;
    let mut second = Box::pin(send("second"));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    let third = tokio::spawn(send("third"));
    settle().await;
    // Room comes free, and the second is woken; it goes without having tried.
    socket.jam(false);
    assert!(socket.text().await.contains("first"));
    settle().await;
    drop(second);
    assert!(socket.text().await.contains("third"));
    third.await.unwrap().expect("written");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_does_not_stop_a_later_one() {
    let (client, mut service) = client(|b| b);
    let mut first = Box::pin(client.start());
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    client.stop().await;
    let (second, _socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    second.expect("started");
    drop(first);
    settle().await;
    assert_eq!(client.state(), ClientState::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_stalled_and_started_again_notices_the_next_stall() {
    let (client, events, mut service, socket) = connected(|b| b).await;
    drop(events);
    // Full with the first message.
    let _slow = client.events_with(0, Overflow::Pause);
    let message = r#"{"type":"message","from":"server","dataType":"text","data":"x"}"#;
    socket.say(message);
    let error = client.send_to_group("g", "x").await.expect_err("stalled");
    assert!(matches!(error, SendError::Stalled), "{error:?}");

    let mut stop = Box::pin(client.stop());
    assert!(futures_util::poll!(stop.as_mut()).is_pending());
    let (started, _socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c2", "t1"));
        socket
    });
    started.expect("started");
    stop.await;
    let sent = client.send_to_group("g", "x").await;
    let error = sent.expect_err("nothing is read, so no answer can arrive");
    assert!(matches!(error, SendError::Stalled), "{error:?}");
}

/// A consumer that waits for requests of its own takes no events, so the answers that would make room never arrive.
#[tokio::test(start_paused = true)]
async fn callers_that_wait_for_room_hear_of_a_consumer_that_takes_no_events() {
    let (client, events, _service, mut socket) = connected(|b| b.outbox(1_000, 1)).await;
    drop(events);
    // Full with the first message.
    let mut slow = client.events_with(0, Overflow::Pause);
    socket.say(r#"{"type":"message","from":"server","dataType":"text","data":"x"}"#);
    let first = client.send_to_group("g", "takes all room");
    let mut first = Box::pin(first.into_future());
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let another = client.clone();
    let second = tokio::spawn(async move { another.send_to_group("g", "waits for room").await });
    settle().await;
    let third = client.send_to_group("g", "waits, too").fire_and_forget();
    let mut third = Box::pin(third.into_future());
    assert!(futures_util::poll!(third.as_mut()).is_pending());
    let fourth = client.send_to_group("g", "is last");
    let mut fourth = Box::pin(fourth.into_future());
    assert!(futures_util::poll!(fourth.as_mut()).is_pending());
    // They hear of it in whatever order they are polled.
    let minute = std::time::Duration::from_secs(60);
    let all = async {
        (
            fourth.await,
            third.await,
            second.await.unwrap(),
            first.await,
        )
    };
    let all = tokio::time::timeout(minute, all).await;
    let (fourth, third, second, first) = all.expect("nobody waits for ever");
    for sent in [first, second, third, fourth] {
        assert!(matches!(sent, Err(SendError::Stalled)), "{sent:?}");
    }

    assert!(slow.next().await.is_some());
    settle().await;
    assert_eq!(socket.texts().await.len(), 1, "the others were not written");
    socket.say(r#"{"type":"ack","ackId":1,"success":true}"#);
    settle().await;
    let again = client.send_to_group("g", "again").fire_and_forget();
    again.await.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_said_before_a_write_failed_is_heard() {
    let (client, mut events, _service, socket) = connected(|b| b.auto_reconnect(false)).await;
    socket.break_writes(
        r#"{"type":"message","from":"server","dataType":"text","data":"the last"}"#,
        1008,
        "Out of quota.",
    );
    let _ = client.send_to_group("g", "x").await;
    let first = events.next().await;
    assert!(
        matches!(&first, Some(Event::ServerMessage(message)) if message.text() == Some("the last")),
        "{first:?}"
    );
    let Some(Event::Disconnected {
        cause: Loss::Closed(closure),
        ..
    }) = events.next().await
    else {
        panic!("not disconnected");
    };
    assert_eq!(
        (closure.code, closure.reason.as_str()),
        (Some(1008), "Out of quota.")
    );
}

/// Of a transport that somebody else wrote.
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_driver_settles_everything() {
    let (client, mut events, mut service, socket) = connected(|b| b).await;
    socket.panic_on_write();
    let error = client.send_to_group("g", "x").await.expect_err("a panic");
    assert!(matches!(error, SendError::Lost(Loss::Stopped)), "{error:?}");
    client.stop().await;
    while !matches!(events.next().await, Some(Event::Stopped { .. })) {}
    let (started, mut socket) = tokio::join!(client.start(), async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c2", "t1"));
        socket
    });
    started.expect("it can be started again");
    client.stop().await;
    assert_eq!(socket.heard().await, Some(Up::CloseFrame(1000)));
}

/// Encodes as reliable JSON, and counts.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Protocol for Counting {
    fn name(&self) -> &str {
        Protocol::name(&Subprotocol::ReliableJson)
    }

    fn is_reliable(&self) -> bool {
        true
    }

    fn encode(&self, frame: &ClientFrame) -> WireFrame {
        self.0.fetch_add(1, Ordering::SeqCst);
        Protocol::encode(&Subprotocol::ReliableJson, frame)
    }

    fn decode(&self, frame: WireFrame) -> Result<ServerFrame, DecodeError> {
        Protocol::decode(&Subprotocol::ReliableJson, frame)
    }
}
