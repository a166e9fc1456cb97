//! Abuse protection: whom events are told, and when handlers are asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use http::Method;

use super::*;

const EVENT: &str = r#"{"type":"event","event":"e","ackId":1,"data":1}"#;

fn allowed(origin: &str) -> Reply {
    Reply::ok().with("webhook-allowed-origin", origin)
}

/// A handler whose probes and events the test sees; probes are answered by `answer`.
fn probed(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Handler {
    Handler::with_probes(move |seen| {
        Some(match seen.method {
            Method::POST => Reply::ok(),
            _ => answer(seen),
        })
    })
}

/// Whether an event of a new client gets through.
async fn gets_through(world: &World) -> bool {
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    client.json().await["success"] == true
}

async fn user_events_only(handler: &Handler) -> World {
    world(handler.in_process().system_events([])).await
}

#[tokio::test]
async fn a_handler_is_asked_before_its_first_event() {
    let mut handler = probed(|_| allowed("*"));
    let world = user_events_only(&handler).await;
    assert!(gets_through(&world).await);
    let probe = handler.next().await;
    assert_eq!(probe.method, Method::OPTIONS);
    let names: Vec<&str> = probe.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["webhook-request-origin", "ce-awpsversion", "host"]);
    assert_eq!(probe.header("webhook-request-origin"), "127.0.0.1");
    assert_eq!(handler.next().await.method, Method::POST);
    assert!(gets_through(&world).await);
    assert_eq!(handler.next().await.method, Method::POST, "asked once");
}

#[tokio::test]
async fn the_url_of_the_probe_names_no_event() {
    let mut handler = probed(|_| allowed("*"));
    let at = handler.on_a_port().await.system_events([]);
    let world = world(at).await;
    assert!(gets_through(&world).await);
    // One when the emulator started, one before the event, in whatever order they arrive.
    for _ in 0..2 {
        let probe = handler.next().await;
        assert_eq!(probe.method, Method::OPTIONS);
        assert_eq!(probe.uri, "/eventhandler/validate?code=1&hub=chat");
    }
}

#[tokio::test]
async fn what_allows_events_and_what_does_not() {
    for (reply, expected) in [
        (allowed("*"), true),
        (allowed("127.0.0.1"), true),
        (
            allowed("other").with("webhook-allowed-origin", "127.0.0.1"),
            true,
        ),
        (allowed("other, 127.0.0.1"), true),
        (Reply::status(204).with("webhook-allowed-origin", "*"), true),
        (allowed("127.0.0.1:8080"), false),
        (allowed("localhost"), false),
        (Reply::ok(), false),
        (
            Reply::status(400).with("webhook-allowed-origin", "*"),
            false,
        ),
        (
            Reply::status(302).with("webhook-allowed-origin", "*"),
            false,
        ),
    ] {
        let shown = format!("{reply:?}");
        let handler = probed(move |_| reply.clone());
        let world = user_events_only(&handler).await;
        assert_eq!(gets_through(&world).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn handlers_without_options_are_asked_by_get() {
    let mut handler = probed(|seen| match seen.method {
        Method::OPTIONS => Reply::status(404),
        _ => allowed("*"),
    });
    let world = user_events_only(&handler).await;
    assert!(gets_through(&world).await);
    for method in [Method::OPTIONS, Method::GET, Method::POST] {
        assert_eq!(handler.next().await.method, method);
    }
}

#[tokio::test]
async fn a_validation_that_fails_refuses_clients_with_500() {
    let handler = probed(|_| Reply::ok());
    let world = world(handler.in_process()).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    match tokio_tungstenite::connect_async(url).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 500);
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_success_counts_for_60_seconds_and_is_renewed_in_the_background() {
    let wanted = Arc::new(AtomicBool::new(true));
    let wants = Arc::clone(&wanted);
    let mut handler = probed(move |_| match wants.load(Ordering::Relaxed) {
        true => allowed("*"),
        false => Reply::status(403),
    });
    let world = user_events_only(&handler).await;
    let clock = world.emulator.clock();
    assert!(gets_through(&world).await);
    handler.next().await;
    handler.next().await;
    wanted.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_millis(59_999));
    assert!(gets_through(&world).await);
    assert_eq!(handler.next().await.method, Method::POST, "not asked");
    clock.advance(Duration::from_millis(1));
    assert!(
        gets_through(&world).await,
        "the last answer counts meanwhile"
    );
    let mut methods = [handler.next().await.method, handler.next().await.method];
    methods.sort_by_key(ToString::to_string);
    assert_eq!(methods, [Method::OPTIONS, Method::POST]);
    assert!(!gets_through(&world).await);
}

#[tokio::test]
async fn after_a_refusal_the_next_event_asks_again_at_once() {
    let status = Arc::new(AtomicU16::new(403));
    let now = Arc::clone(&status);
    let mut handler = probed(move |_| {
        Reply::status(now.load(Ordering::Relaxed)).with("webhook-allowed-origin", "*")
    });
    let world = user_events_only(&handler).await;
    for _ in 0..3 {
        assert!(!gets_through(&world).await);
        assert_eq!(handler.next().await.method, Method::OPTIONS);
        assert!(handler.is_quiet(), "asked once for each event");
    }
    status.store(200, Ordering::Relaxed);
    assert!(gets_through(&world).await, "the first event after the mend");
    assert_eq!(handler.next().await.method, Method::OPTIONS);
    assert_eq!(handler.next().await.method, Method::POST);
    // A success that has run out counts until the handler refuses.
    status.store(403, Ordering::Relaxed);
    world.emulator.clock().advance(Duration::from_secs(60));
    assert!(gets_through(&world).await);
    let methods = [handler.next().await.method, handler.next().await.method];
    assert!(methods.contains(&Method::OPTIONS), "{methods:?}");
    status.store(200, Ordering::Relaxed);
    assert!(gets_through(&world).await);
}

#[tokio::test]
async fn a_handler_that_is_known_to_fail_is_not_tried_four_times_for_each_event() {
    let mut handler = probed(|_| Reply::status(503));
    let world = user_events_only(&handler).await;
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    for pause in [1, 3, 5] {
        handler.next().await;
        world.emulator.clock().advance(Duration::from_secs(pause));
    }
    handler.next().await;
    assert_eq!(client.json().await["success"], false);
    assert!(!gets_through(&world).await, "without any time passing");
    handler.next().await;
    assert!(handler.is_quiet());
}

#[tokio::test]
async fn a_hanging_probe_is_given_up_after_10_seconds() {
    let mut handler = probed(|_| Reply::Hang);
    let world = user_events_only(&handler).await;
    let mut client = world.client("chat", user("u")).await;
    client.send(EVENT).await;
    handler.next().await;
    world.emulator.clock().advance(Duration::from_secs(10));
    assert_eq!(client.json().await["success"], false);
    assert!(handler.is_quiet());
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_switched_off() {
    let mut handler = probed(|_| Reply::status(500));
    let service = handler.in_process().system_events([]).skip_validation();
    let world = world(service).await;
    assert!(gets_through(&world).await);
    assert_eq!(handler.next().await.method, Method::POST);
}
