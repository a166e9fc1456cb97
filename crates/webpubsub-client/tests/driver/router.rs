//! Typed handlers: order, concurrency, shapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Semaphore;
use webpubsub_client::{MessageRouter, Metrics, Overflow};

use crate::fake::{Socket, connected, settle};

#[derive(Deserialize)]
struct Chat {
    text: String,
}

#[derive(Deserialize)]
struct Move {
    x: i32,
}

type Log = Arc<Mutex<Vec<String>>>;

fn say(socket: &Socket, group: &str, data: &str) {
    socket.say(&format!(
        r#"{{"type":"message","from":"group","fromUserId":null,"group":"{group}","dataType":"json","data":{data}}}"#
    ));
}

#[tokio::test(start_paused = true)]
async fn the_first_handler_that_fits_group_and_shape_is_called() {
    let (client, events, _service, socket) = connected(|builder| builder).await;
    let log = Log::default();
    let note = |what: &'static str| {
        let log = Arc::clone(&log);
        move |text: String| log.lock().push(format!("{what} {text}"))
    };
    let (chat, moved, any, other, server) = (
        note("chat"),
        note("move"),
        note("any"),
        note("other"),
        note("server"),
    );
    let router = MessageRouter::new()
        .group("room", move |data: Chat, cx| {
            chat(format!("{} in {}", data.text, cx.group().expect("a group")));
            async {}
        })
        .expect("a name")
        .group("room", move |data: Move, _| {
            moved(data.x.to_string());
            async {}
        })
        .expect("a name")
        .any_group(move |data: i32, _| {
            any(data.to_string());
            async {}
        })
        .server(move |data: Chat, cx| {
            assert!(cx.message.is_none());
            server(data.text);
            async {}
        })
        .unhandled(move |message, _| {
            other(String::from_utf8_lossy(message.bytes()).into_owned());
            async {}
        });
    let serving = tokio::spawn(router.serve(client.clone(), events));
    say(&socket, "room", r#"{"text":"hi"}"#);
    say(&socket, "room", r#"{"x":3}"#);
    say(&socket, "room", "7");
    say(&socket, "hall", r#"{"text":"hi"}"#);
    socket.say(r#"{"type":"message","from":"server","dataType":"json","data":{"text":"all"}}"#);
    settle().await;
    client.stop().await;
    serving.await.expect("it ends when the client stops");
    let mut log = log.lock().clone();
    log.sort();
    let expected = [
        "any 7",
        "chat hi in room",
        "move 3",
        r#"other {"text":"hi"}"#,
        "server all",
    ];
    assert_eq!(log, expected);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_handled_in_order_and_groups_at_the_same_time() {
    let (client, events, _service, socket) = connected(|builder| builder).await;
    let gate = Arc::new(Semaphore::new(0));
    let log = Log::default();
    let (handler_gate, handler_log) = (Arc::clone(&gate), Arc::clone(&log));
    let router = MessageRouter::new()
        .concurrency(2)
        .any_group(move |number: u32, cx| {
            let (gate, log) = (Arc::clone(&handler_gate), Arc::clone(&handler_log));
            async move {
                let name = format!("{}{number}", cx.group().expect("a group"));
                log.lock().push(format!("begin {name}"));
                gate.acquire().await.expect("open").forget();
                log.lock().push(format!("end {name}"));
            }
        });
    let serving = tokio::spawn(router.serve(client.clone(), events));
    for (group, number) in [("a", "1"), ("a", "2"), ("b", "1"), ("c", "1")] {
        say(&socket, group, number);
    }
    settle().await;
    assert_eq!(
        *log.lock(),
        ["begin a1", "begin b1"],
        "one per group, two in all"
    );
    gate.add_permits(1);
    settle().await;
    assert_eq!(log.lock()[2..], ["end a1", "begin a2"]);
    gate.add_permits(3);
    settle().await;
    assert!(log.lock().contains(&"end c1".to_owned()));
    client.stop().await;
    serving.await.expect("it ends when the client stops");
    assert_eq!(log.lock().len(), 8);
}

#[test]
fn groups_that_cannot_exist_are_refused() {
    let long = "g".repeat(1025);
    for group in ["", " ", long.as_str()] {
        let router = MessageRouter::new().group(group, async |_: Chat, _| {});
        assert!(router.is_err(), "{group:?}");
    }
}

#[derive(Clone, Default)]
struct Received(Arc<AtomicUsize>);

impl Metrics for Received {
    fn frame_received(&self, _: usize) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn one_busy_group_holds_the_service_back() {
    const MESSAGES: usize = 1_000;
    let received = Received::default();
    let (client, _, _service, socket) = connected(|builder| {
        builder
            .metrics(received.clone())
            .keep_alive_timeout(Duration::ZERO)
    })
    .await;
    let events = client.events_with(10_000, Overflow::Pause);
    let gate = Arc::new(Semaphore::new(0));
    let handled = Arc::new(AtomicUsize::new(0));
    let (opened, counter) = (Arc::clone(&gate), Arc::clone(&handled));
    let router = MessageRouter::new().any_group(move |_: String, _| {
        let (gate, handled) = (Arc::clone(&opened), Arc::clone(&counter));
        async move {
            gate.acquire().await.expect("open").forget();
            handled.fetch_add(1, Ordering::Relaxed);
        }
    });
    let serving = tokio::spawn(router.serve(client.clone(), events));
    let data = format!(r#""{}""#, "x".repeat(1_000));
    for _ in 0..MESSAGES {
        say(&socket, "busy", &data);
    }
    settle().await;
    let taken = received.0.load(Ordering::Relaxed);
    assert!(taken < 100, "{taken} messages were read");
    gate.add_permits(MESSAGES);
    for _ in 0..MESSAGES {
        settle().await;
    }
    assert_eq!(handled.load(Ordering::Relaxed), MESSAGES);
    client.stop().await;
    serving.await.expect("it ends when the client stops");
}
