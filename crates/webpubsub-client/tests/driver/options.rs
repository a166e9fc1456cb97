//! Options of requests and clients: what is refused, and what limits in time do.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use webpubsub_client::{BuildError, InvalidMetadata, SendError, StartError, WebPubSubClient};

use crate::fake::{URL, client, connected, connected_frame, service, settle};

#[tokio::test(start_paused = true)]
async fn a_time_to_live_is_whole_seconds_up_to_300() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    for ttl in [
        Duration::from_millis(500),
        Duration::from_millis(2500),
        Duration::from_secs(301),
        Duration::MAX,
    ] {
        let sent = client.send_to_group("g", "x").ttl(ttl).await;
        assert!(
            matches!(sent, Err(SendError::InvalidValue(_))),
            "{ttl:?}: {sent:?}"
        );
    }
    assert_eq!(socket.texts().await, [""; 0], "nothing was sent");
    let longest = client.send_to_group("g", "x").ttl(Duration::from_secs(300));
    longest.fire_and_forget().await.expect("written");
    let frame = socket.text().await;
    assert!(frame.contains(r#""ttlSeconds":300"#), "{frame}");
}

#[tokio::test(start_paused = true)]
async fn metadata_is_added_entry_by_entry_and_checked() {
    let (client, _events, _service, mut socket) = connected(|builder| builder).await;
    let send = client.send_event("e", "x").fire_and_forget();
    let send = send.metadata("one", "1").metadata("two", "2");
    send.await.expect("written");
    let frame = socket.text().await;
    assert!(frame.contains(r#"{"one":"1","two":"2"}"#), "{frame}");

    let twice = client.send_to_group("g", "x").metadata("a", "1");
    let error = twice.metadata("a", "2").await.expect_err("a key twice");
    assert!(matches!(
        error,
        SendError::InvalidMetadata(InvalidMetadata::Duplicate)
    ));
    let broken = client.invoke_event("e", "x").metadata("a b", "1").await;
    assert!(matches!(broken, Err(SendError::InvalidMetadata(_))));
    assert_eq!(socket.texts().await, [""; 0], "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn requests_end_at_their_time_out_or_that_of_the_client() {
    let default = Duration::from_secs(30);
    let (client, _events, _service, mut socket) =
        connected(|builder| builder.request_timeout(default)).await;
    let before = Instant::now();
    let own = client
        .join_group("g")
        .timeout(Duration::from_secs(2))
        .await
        .expect_err("no answer");
    assert!(matches!(own, SendError::TimedOut) && own.is_uncertain());
    assert_eq!(before.elapsed().as_secs(), 2);

    let before = Instant::now();
    let (state, stream, invoked) = tokio::join!(
        client.set_group_state("g", [("a", "b")]),
        client.open_group_stream("g"),
        client.invoke_event("e", "x"),
    );
    assert!(matches!(state, Err(SendError::TimedOut)));
    assert!(matches!(stream, Err(SendError::TimedOut)));
    assert!(matches!(invoked, Err(SendError::TimedOut)));
    assert_eq!(before.elapsed().as_secs(), 30);

    // A socket that takes nothing: what was not written when its time was over never is.
    while !socket.texts().await.is_empty() {}
    socket.jam(true);
    let before = Instant::now();
    let sent = client
        .send_event("late", "x")
        .timeout(Duration::from_secs(5))
        .await;
    assert!(matches!(sent, Err(SendError::TimedOut)));
    assert_eq!(before.elapsed().as_secs(), 5);
    socket.jam(false);
    let texts = socket.texts().await;
    assert!(texts.iter().all(|text| !text.contains("late")), "{texts:?}");
}

#[test]
fn what_cannot_be_decoded_cannot_be_allowed() {
    const MOST: usize = 32 * 1024 * 1024;
    let build = |bytes| {
        let (connector, _service) = service();
        let builder = WebPubSubClient::builder(URL).connector(connector);
        builder.max_receive_message_bytes(bytes).build()
    };
    assert!(build(MOST).is_ok());
    let error = build(MOST + 1).expect_err("more than can be decoded");
    assert!(matches!(
        error,
        BuildError::ReceiveLimit { limit: MOST, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn the_limits_for_sending_and_receiving_are_two() {
    let (client, mut service) = client(|builder| {
        builder
            .max_send_message_bytes(100)
            .max_receive_message_bytes(1000)
    });
    let (started, _socket) = tokio::join!(client.start(), async {
        let dialled = service.dialled().await;
        assert_eq!(dialled.dial.max_message_bytes, 1000);
        let socket = dialled.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    started.expect("started");
    let sent = client.send_event("e", "x".repeat(100)).await;
    assert!(matches!(sent, Err(SendError::TooLarge { limit: 100, .. })));
}

#[test]
fn a_start_outside_of_a_runtime_is_an_error() {
    let (connector, _service) = service();
    let builder = WebPubSubClient::builder(URL).connector(connector);
    let client = builder
        .request_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        let Poll::Ready(started) = pin!(client.start()).poll(&mut cx) else {
            panic!("it waits");
        };
        assert_eq!(started, Err(StartError::NoRuntime));
    }
    let Poll::Ready(joined) = pin!(client.join_group("g").into_future()).poll(&mut cx) else {
        panic!("it waits");
    };
    assert!(matches!(joined, Err(SendError::NoRuntime)));
}

/// An application that only sends has nobody to read its messages, so they must not stop it.
#[tokio::test(start_paused = true)]
async fn a_client_without_events_goes_on_reading() {
    let (connector, mut service) = service();
    let connect = WebPubSubClient::builder(URL).connector(connector).connect();
    let (client, socket) = tokio::join!(connect, async {
        let socket = service.dialled().await.accept();
        socket.say(&connected_frame("c1", "t1"));
        socket
    });
    let client = client.expect("connected");
    let data = "x".repeat(1 << 20);
    for id in 1..=40 {
        socket.say(&format!(
            r#"{{"sequenceId":{id},"type":"message","from":"server","dataType":"text","data":"{data}"}}"#
        ));
    }
    settle().await;
    let (joined, ()) = tokio::join!(client.join_group("g").into_future(), async {
        settle().await;
        socket.say(r#"{"type":"ack","ackId":1,"success":true}"#);
    });
    joined.expect("the answer was read");
}
