//! Distributed tracing by `azure_core`.

use std::{
    any::Any,
    borrow::Cow,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use crate::common::{Answer, Recorder};
use azure_core::{
    http::{Context, InstrumentationOptions, Request},
    tracing::{
        AsAny, Attribute, AttributeValue, Span, SpanGuard, SpanKind, SpanStatus, Tracer,
        TracerProvider,
    },
};

/// The names and kinds of the spans that were started, and what was said about the way they ended.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl Spans {
    fn record(&self, line: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn start(&self, name: Cow<'static, str>, kind: &SpanKind) -> Arc<dyn Span> {
        self.record(format!("{kind:?} {name}"));
        Arc::new(Recorded(self.clone()))
    }
}

impl TracerProvider for Spans {
    fn get_tracer(
        &self,
        _: Option<&'static str>,
        crate_name: &'static str,
        _: Option<&'static str>,
    ) -> Arc<dyn Tracer> {
        assert_eq!(crate_name, "webpubsub");
        Arc::new(self.clone())
    }
}

impl Tracer for Spans {
    fn start_span(
        &self,
        name: Cow<'static, str>,
        kind: SpanKind,
        _: Vec<Attribute>,
    ) -> Arc<dyn Span> {
        self.start(name, &kind)
    }

    fn start_span_with_parent(
        &self,
        name: Cow<'static, str>,
        kind: SpanKind,
        _: Vec<Attribute>,
        _: Arc<dyn Span>,
    ) -> Arc<dyn Span> {
        self.start(name, &kind)
    }

    fn namespace(&self) -> Option<&'static str> {
        None
    }
}

struct Recorded(Spans);

impl Span for Recorded {
    fn is_recording(&self) -> bool {
        true
    }

    fn span_id(&self) -> [u8; 8] {
        [1; 8]
    }

    fn end(&self) {}

    fn set_status(&self, _: SpanStatus) {}

    fn set_attribute(&self, key: &'static str, value: AttributeValue) {
        if key == "error.type" {
            self.0.record(format!("{key} {value:?}"));
        }
    }

    fn record_error(&self, _: &dyn Error) {}

    fn set_current(&self, _: &Context<'_>) -> Box<dyn SpanGuard> {
        Box::new(Current)
    }

    fn propagate_headers(&self, request: &mut Request) {
        request.insert_header("traceparent", "00-trace-span-01");
    }
}

impl AsAny for Recorded {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Current;

impl SpanGuard for Current {
    fn end(self) {}
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_with_a_span_for_each_try() {
    let spans = Spans::default();
    let recorder = Recorder::new([Answer::Status(503)], 202);
    let client = recorder.client_with("chat", |options| {
        options.client_options.instrumentation = InstrumentationOptions {
            tracer_provider: Some(Arc::new(spans.clone())),
        };
    });
    client
        .group("room")
        .send_to_all("hi")
        .await
        .expect("the second try succeeds");
    assert_eq!(
        *spans.0.lock().unwrap(),
        [
            "Internal WebPubSubServiceClient.group.send_to_all",
            "Client POST",
            "error.type String(\"503\")",
            "Client POST",
        ]
    );
    for sent in recorder.sent() {
        assert_eq!(sent.header("traceparent"), Some("00-trace-span-01"));
    }
}
