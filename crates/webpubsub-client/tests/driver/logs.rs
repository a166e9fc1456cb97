//! What a client does is logged inside a span that names its connection.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use webpubsub_client::{Event, Overflow, WebPubSubClient};

use crate::fake::{connected, connected_frame, pass};

#[tokio::test(start_paused = true)]
async fn each_connection_has_a_span_of_its_own() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let (client, mut events, mut service, mut socket) = connected(|builder| builder).await;
    for id in ["c2", "c3"] {
        socket.close(1008, "Gone.");
        socket = service.dialled().await.accept();
        socket.say(&connected_frame(id, "t"));
        while !matches!(events.next().await, Some(Event::Connected { .. })) {}
    }
    client.stop().await;

    let spans = spans.0.lock();
    let ids: Vec<_> = spans.iter().filter_map(|span| span.id.as_deref()).collect();
    assert_eq!(ids, ["c1", "c2", "c3"]);
    // A span inside the one before would keep it, and all before that.
    assert!(spans.iter().all(|span| span.ancestors == 0));
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

struct Span {
    id: Option<String>,
    ancestors: usize,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("webpubsub_client")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut connection_id = ConnectionId(None);
        attributes.record(&mut connection_id);
        self.0.lock().push(Span {
            id: connection_id.0,
            ancestors: context
                .span_scope(id)
                .map_or(0, |scope| scope.skip(1).count()),
        });
    }
}

struct ConnectionId(Option<String>);

impl Visit for ConnectionId {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "connection_id" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_nobody_reads_says_so_before_it_blocks() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(warnings.clone()));
    let (client, events, _service, socket) = connected(|builder| builder).await;
    drop(events);
    let _unread = client.events_with(10_000, Overflow::Pause);
    let mut read = client.events_with(10_000, Overflow::Pause);
    let message = |data: &str| {
        format!(r#"{{"type":"message","from":"server","dataType":"text","data":"{data}"}}"#)
    };
    socket.say(&message("x"));
    assert!(read.next().await.is_some());
    assert_eq!(*warnings.0.lock(), 0);
    socket.say(&message(&"x".repeat(6_000)));
    assert!(read.next().await.is_some());
    assert_eq!(*warnings.0.lock(), 1);
    // It still takes this one, and says it once.
    socket.say(&message(&"x".repeat(1_000)));
    assert!(read.next().await.is_some());
    assert_eq!(*warnings.0.lock(), 1);
}

/// An application may log through its client, or look at it.
#[tokio::test(start_paused = true)]
async fn nothing_is_logged_while_the_client_is_locked() {
    let looks = Looks::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(looks.clone()));
    let (client, events, mut service, socket) = connected(|builder| builder).await;
    *looks.client.lock() = Some(client.clone());
    drop(events);
    // Neglected and full with the first message.
    let _unread = client.events_with(0, Overflow::Pause);
    let _streams = client.group_streams().max_waiting(0).subscribe();
    let fragment = r#"{"type":"message","from":"group","group":"g","dataType":"text","data":"x","stream":{"streamId":"s","streamSequenceId":1}}"#;
    for frame in ["not JSON", fragment] {
        socket.say(frame);
    }
    // Long enough for the stall to be noticed.
    pass(std::time::Duration::from_secs(2)).await;
    socket.cut();
    client.stop().await;
    drop(service.try_dialled());
    looks.client.lock().take();
    let seen = looks.seen.lock();
    for part in [
        "never been read",
        "does not keep up",
        "is not shown",
        "stopped",
    ] {
        assert!(
            seen.iter().any(|text| text.contains(part)),
            "{part}: {seen:?}"
        );
    }
}

/// Looks at the client whenever it logs something.
#[derive(Clone, Default)]
struct Looks {
    client: Arc<Mutex<Option<WebPubSubClient>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Looks {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let Some(client) = self.client.lock().clone() else {
            return;
        };
        let (answer, answered) = std::sync::mpsc::channel();
        std::thread::spawn(move || answer.send(client.state()));
        let mut text = Text(String::new());
        event.record(&mut text);
        let is_locked = answered
            .recv_timeout(std::time::Duration::from_secs(10))
            .is_err();
        assert!(!is_locked, "logged under the lock: {}", text.0);
        self.seen.lock().push(text.0);
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{value:?} ");
    }
}

/// Counts what says that a consumer is never read.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<usize>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message(false);
        event.record(&mut message);
        *self.0.lock() += usize::from(message.0);
    }
}

struct Message(bool);

impl Visit for Message {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0 |= format!("{value:?}").contains("has never been read");
    }
}
