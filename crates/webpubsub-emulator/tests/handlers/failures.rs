//! Handlers that fail, hang and cannot be reached: what is tried again, and when it is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;

/// Answers each try with the next of these, and then with success.
fn in_turn(replies: Vec<Reply>) -> Handler {
    let count = AtomicUsize::new(0);
    let replies = Arc::new(replies);
    Handler::new(move |_| {
        let reply = replies.get(count.fetch_add(1, Ordering::Relaxed));
        reply.cloned().unwrap_or(Reply::ok())
    })
}

async fn user_events_only(handler: &Handler) -> World {
    world(handler.in_process().system_events([])).await
}

const EVENT: &str = r#"{"type":"event","event":"e","ackId":1,"data":1}"#;

#[tokio::test]
async fn what_may_pass_is_tried_again_after_1_3_and_5_seconds() {
    let mut handler = in_turn(vec![Reply::status(500), Reply::Panic, Reply::status(408)]);
    let world = user_events_only(&handler).await;
    let clock = world.emulator.clock();
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    let first = handler.event("e").await;
    for pause in [1, 3, 5] {
        clock.advance(Duration::from_secs(pause) - Duration::from_millis(1));
        client.send(r#"{"type":"ping"}"#).await;
        assert_eq!(client.json().await["type"], "pong");
        assert!(handler.is_quiet(), "not before {pause} s are over");
        clock.advance(Duration::from_millis(1));
        let again = handler.event("e").await;
        assert_eq!(again.headers, first.headers, "the same request");
        assert_eq!(again.body, first.body);
    }
    assert_eq!(client.json().await["success"], true);
}

#[tokio::test]
async fn the_fourth_failure_is_the_last() {
    let mut handler = Handler::new(|_| Reply::status(503));
    let world = user_events_only(&handler).await;
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    for pause in [1, 3, 5] {
        handler.event("e").await;
        world.emulator.clock().advance(Duration::from_secs(pause));
    }
    handler.event("e").await;
    assert_eq!(client.json().await["success"], false);
    assert!(handler.is_quiet());
    assert_eq!(
        world.emulator.counts().handler_calls,
        1,
        "a retry is no other event"
    );
}

#[tokio::test]
async fn what_will_not_pass_is_tried_once() {
    for status in [400, 401, 404, 409, 429, 301, 304] {
        let mut handler = Handler::new(move |_| Reply::status(status));
        let world = user_events_only(&handler).await;
        let mut client = world.client("chat", user("u")).await;
        client.send(EVENT).await;
        assert_eq!(client.json().await["success"], false, "{status}");
        handler.event("e").await;
        assert!(handler.is_quiet(), "{status}");
    }
}

#[tokio::test]
async fn pauses_count_towards_the_limit_and_time_outs_are_not_tried_again() {
    let mut handler = in_turn(vec![Reply::status(500), Reply::Hang]);
    let world = user_events_only(&handler).await;
    let clock = world.emulator.clock();
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    handler.event("e").await;
    clock.advance(Duration::from_secs(1));
    handler.event("e").await;
    clock.advance(Duration::from_millis(98_999));
    client.send(r#"{"type":"ping"}"#).await;
    assert_eq!(client.json().await["type"], "pong", "100 s are not over");
    clock.advance(Duration::from_millis(1));
    assert_eq!(client.json().await["success"], false);
    assert!(handler.is_quiet());
}

#[tokio::test]
async fn a_clock_that_follows_the_machine_can_be_moved_to_the_time_out() {
    let mut handler = Handler::new(|_| Reply::Hang);
    let options = HubOptions::new().event_handler(handler.in_process().system_events([]));
    let world = World::of(
        Emulator::builder()
            .hub("chat", options)
            .limit(Limit::SilenceLimit, 24 * 60 * 60),
    )
    .await;
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    handler.event("e").await;
    world.emulator.clock().advance(EventHandler::TIMEOUT);
    assert_eq!(client.json().await["success"], false);
}

#[tokio::test]
async fn a_handler_may_have_its_own_limit() {
    let mut handler = Handler::new(|_| Reply::Hang);
    let hasty = handler.in_process().timeout(Duration::from_secs(2));
    let world = world(hasty.system_events([])).await;
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    handler.event("e").await;
    world.emulator.clock().advance(Duration::from_secs(2));
    assert_eq!(client.json().await["success"], false);
}

#[tokio::test]
async fn a_connect_handler_that_fails_or_hangs_is_answered_for() {
    let mut handler = Handler::new(|seen| match seen.header("ce-userid") {
        "hang" => Reply::Hang,
        _ => Reply::status(503),
    });
    let world = world(handler.in_process()).await;
    for (user, advances, expected) in [("fail", &[1, 3, 5][..], 503), ("hang", &[100], 500)] {
        let url = world.emulator.client_access_url("chat", user, &[]);
        let connecting = tokio::spawn(tokio_tungstenite::connect_async(url));
        for seconds in advances {
            handler.event("connect").await;
            world
                .emulator
                .clock()
                .advance(Duration::from_secs(*seconds));
        }
        if expected == 503 {
            // The fourth try.
            handler.event("connect").await;
        }
        match connecting.await.expect("no panic") {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                assert_eq!(response.status().as_u16(), expected);
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_handler_that_is_not_there_refuses_clients() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    for (scheme, validated) in [("http", true), ("http", false), ("https", true)] {
        let url = format!("{scheme}://{address}/{{event}}");
        let handler = EventHandler::url(&url).expect("a URL");
        let handler = if validated {
            handler
        } else {
            handler.skip_validation()
        };
        let world = world(handler).await;
        let url = world.emulator.client_access_url("chat", "u", &[]);
        let mut connecting = Box::pin(tokio_tungstenite::connect_async(url));
        // Four refused connections, and the pauses between them.
        let result = loop {
            tokio::select! {
                biased;
                result = &mut connecting => break result,
                () = tokio::task::yield_now() => {
                    world.emulator.clock().advance(Duration::from_millis(10));
                }
            }
        };
        match result {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), 500);
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stopping_emulator_does_not_wait_for_ever() {
    let mut handler = Handler::new(|seen| match seen.event() {
        "disconnected" => Reply::Hang,
        _ => Reply::ok(),
    });
    let world = world(handler.in_process()).await;
    let mut client = world.client("chat", user("u")).await;
    let closing = async move {
        assert_eq!(client.json().await["event"], "disconnected");
        client.closed().await;
    };
    // The few seconds that it gives them are the machine's, and pass when nothing else is left to do.
    tokio::time::pause();
    let stopping = world.emulator.shutdown();
    tokio::time::timeout(TEST_TIMEOUT, async { tokio::join!(stopping, closing) })
        .await
        .expect("in time");
    for name in ["connect", "connected", "disconnected"] {
        handler.event(name).await;
    }
}
