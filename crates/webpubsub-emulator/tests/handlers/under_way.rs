//! Requests that are under way: how many may be, who is next, and what becomes of those whose client is gone.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tower::service_fn;

use super::*;

/// A handler that answers when a test lets it.
struct Gated {
    gate: Arc<Semaphore>,
    arrived: mpsc::UnboundedSender<String>,
    given_up: mpsc::UnboundedSender<()>,
}

/// The test's end of it.
struct Gate {
    gate: Arc<Semaphore>,
    arrived: mpsc::UnboundedReceiver<String>,
    given_up: mpsc::UnboundedReceiver<()>,
}

/// Tells when it is dropped.
struct Guard(mpsc::UnboundedSender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Fails only after the test.
        let _ = self.0.send(());
    }
}

fn gated() -> (EventHandler, Gate) {
    let gate = Arc::new(Semaphore::new(0));
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let (given_up, giving_up) = mpsc::unbounded_channel();
    let gated = Arc::new(Gated {
        gate: Arc::clone(&gate),
        arrived,
        given_up,
    });
    let service = service_fn(move |request: Request<Body>| {
        let gated = Arc::clone(&gated);
        async move {
            let (head, _) = request.into_parts();
            let [user, event] = ["ce-userid", "ce-eventname"]
                .map(|name| head.headers[name].to_str().expect("ASCII").to_owned());
            let event = format!("{user} {event}");
            let _ = gated.arrived.send(event);
            let guard = Guard(gated.given_up.clone());
            let pass = gated.gate.acquire().await.expect("an open gate");
            pass.forget();
            std::mem::forget(guard);
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let gate = Gate {
        gate,
        arrived: arrivals,
        given_up: giving_up,
    };
    (EventHandler::service(service).skip_validation(), gate)
}

impl Gate {
    /// The user and the name of the next event.
    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(TEST_TIMEOUT, self.arrived.recv()).await;
        next.expect("in time").expect("the handler lives")
    }

    /// Lets one event be answered.
    fn open(&self) {
        self.gate.add_permits(1);
    }
}

async fn limited(handler: EventHandler, requests: u64) -> World {
    World::with(|builder| {
        builder
            .hub("chat", HubOptions::new().event_handler(handler))
            .limit(Limit::HandlerRequests, requests)
    })
    .await
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_and_the_next_goes_when_one_is_answered() {
    let (handler, mut gate) = gated();
    let world = limited(handler.system_events([]), 2).await;
    let mut clients = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut client = world.client("chat", user(name)).await;
        client
            .send(r#"{"type":"event","event":"e","ackId":1,"data":1}"#)
            .await;
        if clients.len() < 2 {
            assert_eq!(gate.next().await, format!("{name} e"));
        } else {
            // An answered ping shows that the event before it was taken.
            client.send(r#"{"type":"ping"}"#).await;
            assert_eq!(client.json().await["type"], "pong");
        }
        clients.push(client);
    }
    assert!(gate.arrived.try_recv().is_err(), "a third one under way");
    for name in ["c", "d"] {
        gate.open();
        assert_eq!(gate.next().await, format!("{name} e"), "in their order");
    }
    for _ in 0..2 {
        gate.open();
    }
    for client in &mut clients {
        assert_eq!(client.json().await["success"], true);
    }
}

#[tokio::test]
async fn a_connection_with_many_events_holds_up_no_other_one() {
    let (handler, mut gate) = gated();
    let only = [SystemEvent::GroupJoined];
    let world = limited(handler.system_events(only), 1).await;
    let mut busy = world.client("chat", user("busy")).await;
    for group in 0..5 {
        let join = format!(r#"{{"type":"joinGroup","group":"g{group}","ackId":{group}}}"#);
        busy.send(&join).await;
        assert_eq!(busy.json().await["success"], true);
    }
    assert_eq!(gate.next().await, "busy joined");
    let mut other = world.client("chat", user("other")).await;
    other
        .send(r#"{"type":"event","event":"e","ackId":1,"data":1}"#)
        .await;
    other.send(r#"{"type":"ping"}"#).await;
    assert_eq!(other.json().await["type"], "pong");
    gate.open();
    assert_eq!(gate.next().await, "busy joined", "it was in line first");
    gate.open();
    assert_eq!(
        gate.next().await,
        "other e",
        "before the three that are left"
    );
    gate.open();
    assert_eq!(other.json().await["success"], true);
    for _ in 0..3 {
        assert_eq!(gate.next().await, "busy joined");
        gate.open();
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_before_it_is_accepted_is_forgotten_at_once() {
    let (handler, mut gate) = gated();
    let world = world(handler).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    let connecting = tokio::spawn(connect_async(url));
    assert_eq!(gate.next().await, "u connect");
    connecting.abort();
    let given_up = tokio::time::timeout(TEST_TIMEOUT, gate.given_up.recv()).await;
    given_up.expect("in time").expect("the handler lives");
    gate.open();
    assert_eq!(world.emulator.state().connections("chat"), 0);
    world.emulator.shutdown().await;
    assert!(
        gate.arrived.try_recv().is_err(),
        "neither connected nor disconnected"
    );
}

#[tokio::test]
async fn a_client_that_is_not_accepted_when_the_emulator_stops_is_answered_503() {
    let (handler, mut gate) = gated();
    let world = world(handler).await;
    let url = world.emulator.client_access_url("chat", "u", &[]);
    let connecting = tokio::spawn(connect_async(url));
    assert_eq!(gate.next().await, "u connect");
    let stopping = tokio::time::timeout(TEST_TIMEOUT, world.emulator.shutdown());
    let (stopped, answer) = tokio::join!(stopping, connecting);
    stopped.expect("in time");
    match answer.expect("no panic") {
        Err(Error::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("not refused: {other:?}"),
    }
    assert!(gate.arrived.try_recv().is_err(), "nothing more is told");
}
