//! A handler that does what a test says, and tells the test what it saw.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::service_fn;
use webpubsub_emulator::EventHandler;

use super::TEST_TIMEOUT;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The header with this name; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(HeaderValue::as_bytes);
        str::from_utf8(value.unwrap_or_default()).expect("UTF-8")
    }

    /// The name of the event.
    pub(crate) fn event(&self) -> &str {
        self.header("ce-eventname")
    }

    pub(crate) fn id(&self) -> u64 {
        self.header("ce-id").parse().expect("a decimal number")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// What a handler does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    },
    /// Never answers.
    Hang,
    Panic,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn ok() -> Self {
        Self::status(200)
    }

    pub(crate) fn body(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status: 200,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn json(body: Value) -> Self {
        Self::body("application/json", body.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    async fn carry_out(self) -> Response<Body> {
        let (status, headers, body) = match self {
            Self::Answer {
                status,
                headers,
                body,
            } => (status, headers, body),
            Self::Hang => std::future::pending().await,
            Self::Panic => panic!("told to"),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            response
                .headers_mut()
                .append(HeaderName::from_static(name), value);
        }
        response
    }
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// The test's end of a handler.
pub(crate) struct Handler {
    script: Script,
    sender: mpsc::UnboundedSender<Seen>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Handler {
    /// Answers events as `script` says. Probes are allowed, and not shown to the test.
    pub(crate) fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_probes(move |seen| match seen.method {
            Method::POST => Some(script(seen)),
            _ => None,
        })
    }

    /// As [`new`](Self::new); what `script` passes on is allowed and not shown.
    pub(crate) fn with_probes(
        script: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let shown = sender.clone();
        let script = move |request: &Seen| match script(request) {
            Some(reply) => {
                // Fails only after the test.
                let _ = shown.send(request.clone());
                reply
            }
            None => Reply::ok().with("webhook-allowed-origin", "*"),
        };
        Self {
            script: Arc::new(script),
            sender,
            seen,
        }
    }

    /// Accepts everybody and answers nothing.
    pub(crate) fn silent() -> Self {
        Self::new(|_| Reply::ok())
    }

    /// As a service in this process.
    pub(crate) fn in_process(&self) -> EventHandler {
        let script = Arc::clone(&self.script);
        EventHandler::service(service_fn(move |request: Request<Body>| {
            let script = Arc::clone(&script);
            async move { Ok::<_, Infallible>(answer(script, request).await) }
        }))
    }

    /// On a port of its own, at `/eventhandler/{event}`.
    pub(crate) async fn on_a_port(&self) -> EventHandler {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::clone(&self.script);
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let script = Arc::clone(&script);
            answer(script, request)
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let url = format!("http://{address}/eventhandler/{{event}}?code=1&hub={{hub}}");
        EventHandler::url(&url).expect("a URL")
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Seen {
        let next = tokio::time::timeout(TEST_TIMEOUT, self.seen.recv()).await;
        next.expect("in time").expect("the sender lives")
    }

    /// The next request, which tells of this event.
    pub(crate) async fn event(&mut self, name: &str) -> Seen {
        let seen = self.next().await;
        assert_eq!(seen.event(), name, "{seen:?}");
        seen
    }

    /// The next requests in the order of the ids of their events: those that nobody waits for may arrive in any order.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Seen> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await);
        }
        events.sort_by_key(Seen::id);
        events
    }

    /// Whether nothing more has arrived.
    pub(crate) fn is_quiet(&mut self) -> bool {
        // The sender of this end keeps the channel open.
        let _ = &self.sender;
        self.seen.try_recv().is_err()
    }
}

async fn answer(script: Script, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 2 << 20).await;
    let seen = Seen {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: body.expect("a whole body"),
    };
    script(&seen).carry_out().await
}
