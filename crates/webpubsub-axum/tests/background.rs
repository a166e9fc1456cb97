//! Events that the service does not wait for, and what is traced.

use std::{io, sync::Arc};

use crate::support::{Call, chat, event, user_event};
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tracing_subscriber::fmt::MakeWriter;
use webpubsub_axum::{
    ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest, Rejection,
    UserEventRequest, WebPubSubEventHandler,
};

fn connected() -> Call {
    event("azure.webpubsub.sys.connected", "{}")
}

fn disconnected(reason: &str) -> Call {
    event(
        "azure.webpubsub.sys.disconnected",
        format!(r#"{{"reason":"{reason}"}}"#),
    )
}

/// Handlers that report what they see once they may.
struct Held {
    handler: WebPubSubEventHandler,
    release: Arc<Semaphore>,
    log: mpsc::UnboundedReceiver<String>,
}

fn held(queue: usize) -> Held {
    let release = Arc::new(Semaphore::new(0));
    let (send, log) = mpsc::unbounded_channel();
    let (on_connected, on_disconnected) = (send.clone(), send.clone());
    let gate = Arc::clone(&release);
    let handler = chat()
        .queue(queue)
        .on_connected(move |event: ConnectedRequest| async move {
            gate.acquire().await.expect("never closed").forget();
            on_connected
                .send(format!("connected {}", event.context.event_name()))
                .expect("the test listens");
        })
        .on_disconnected(move |event: DisconnectedRequest| async move {
            let reason = event.reason.unwrap_or_default();
            on_disconnected
                .send(format!("disconnected {reason}"))
                .expect("the test listens");
        })
        .on_group_joined(broken)
        .on_group_left(move |event: GroupLeftRequest| async move {
            send.send(format!("left {}", event.group))
                .expect("the test listens");
        })
        .build()
        .expect("the configuration is right");
    Held {
        handler,
        release,
        log,
    }
}

#[tokio::test]
async fn they_are_acknowledged_at_once_and_run_in_order() {
    let mut held = held(8);
    assert_eq!(connected().to(&held.handler).await.seen(), (200, None, ""));
    assert_eq!(
        disconnected("bye").to(&held.handler).await.seen(),
        (200, None, "")
    );
    assert!(
        held.log.try_recv().is_err(),
        "the first one is held, so the second one waits"
    );
    held.release.add_permits(1);
    assert_eq!(
        held.log.recv().await.as_deref(),
        Some("connected connected")
    );
    assert_eq!(held.log.recv().await.as_deref(), Some("disconnected bye"));
}

#[tokio::test]
async fn a_full_queue_acknowledges_later() {
    let mut held = held(1);
    assert_eq!(connected().to(&held.handler).await.status, 200);
    let mut waiting = Box::pin(disconnected("late").to(&held.handler));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    held.release.add_permits(1);
    assert_eq!(waiting.await.status, 200);
    assert_eq!(
        held.log.recv().await.as_deref(),
        Some("connected connected")
    );
    assert_eq!(held.log.recv().await.as_deref(), Some("disconnected late"));
}

#[tokio::test]
async fn a_shutdown_waits_for_them_and_takes_no_more() {
    let mut held = held(8);
    assert_eq!(connected().to(&held.handler).await.status, 200);
    assert_eq!(disconnected("bye").to(&held.handler).await.status, 200);
    let mut shutdown = Box::pin(held.handler.shutdown());
    assert!(futures_util::poll!(&mut shutdown).is_pending());
    let late = disconnected("too late").to(&held.handler).await;
    assert_eq!(
        (late.status.as_u16(), late.rejection()),
        (503, Some(&Rejection::ShuttingDown))
    );
    held.release.add_permits(1);
    shutdown.await;
    assert_eq!(held.log.try_recv().as_deref(), Ok("connected connected"));
    assert_eq!(held.log.try_recv().as_deref(), Ok("disconnected bye"));
}

#[tokio::test]
async fn a_panic_stops_nothing() {
    let mut held = held(8);
    let group = |ce_type: &str| event(ce_type, r#"{"group":"g"}"#);
    assert_eq!(
        group("azure.webpubsub.gp.joined")
            .to(&held.handler)
            .await
            .status,
        200
    );
    assert_eq!(
        group("azure.webpubsub.gp.left")
            .to(&held.handler)
            .await
            .status,
        200
    );
    assert_eq!(held.log.recv().await.as_deref(), Some("left g"));
    held.handler.shutdown().await;
}

async fn broken(_: GroupJoinedRequest) {
    panic!("a handler panics on purpose")
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn spans_name_the_event_and_its_trace() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let handler = chat()
        .on_user_event(
            "order",
            |event: UserEventRequest<String>, headers: HeaderMap| async move {
                assert_eq!(
                    event.context.traceparent(),
                    headers["traceparent"].to_str().ok()
                );
                tracing::info!("handling");
            },
        )
        .build()
        .unwrap();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = user_event("order", "text/plain", "private").with("traceparent", traceparent);
    assert_eq!(
        call.with("ce-userid", "private").to(&handler).await.status,
        200
    );
    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    for part in [
        "handling",
        "hub=\"chat\"",
        "connection=\"conn-0001\"",
        "event=\"order\"",
        traceparent,
    ] {
        assert!(logged.contains(part), "{part} in {logged}");
    }
    assert!(!logged.contains("private"), "{logged}");
}
