//! What a client does is logged inside a span that names its connection.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use webpubsub_client::Event;

use crate::fake::{connected, connected_frame};

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
