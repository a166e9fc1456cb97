//! Event handlers of many kinds, each on a port of its own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use tokio::net::TcpListener;
use webpubsub_emulator::WELL_KNOWN_KEY;
use webpubsub_protocol::{access::AccessKey, cloud_event::signature};

/// A request that a handler got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// `connect` and so on, `validate` for the preflight.
    pub(crate) fn event(&self) -> &str {
        self.path.rsplit('/').next().expect("a path")
    }
}

/// A running handler.
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Handler {
    /// Answers with what `answer` says, or as a [healthy](healthy) handler when it says nothing.
    pub(crate) async fn start<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Response>> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (answer, log) = (answer.clone(), Arc::clone(&log));
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let request = Seen {
                    method: head.method,
                    path: head.uri.path().to_owned(),
                    headers: head.headers,
                    body,
                };
                log.lock().expect("no panic").push(request.clone());
                match answer(request.clone()).await {
                    Some(response) => response,
                    None => healthy(&request),
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/eventhandler/{{event}}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// Serves the hub `chat` at `/eventhandler/{event}`, with the well-known key.
fn healthy(request: &Seen) -> Response {
    if !request.path.starts_with("/eventhandler/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    if request.method == Method::OPTIONS {
        return [("WebHook-Allowed-Origin", "*")].into_response();
    }
    if request.header("ce-hub") != "chat" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !is_signed(request, WELL_KNOWN_KEY) {
        return (StatusCode::UNAUTHORIZED, "no signature matches").into_response();
    }
    match request.event() {
        "connect" => {
            let state = [("ce-connectionState", "eyJuIjoxfQ==")];
            (state, axum::Json(serde_json::json!({"userId": "doctor"}))).into_response()
        }
        "connected" | "disconnected" => StatusCode::OK.into_response(),
        _ => {
            let content_type = [("content-type", request.header("content-type").to_owned())];
            (content_type, request.body.clone()).into_response()
        }
    }
}

pub(crate) fn is_signed(request: &Seen, key: &str) -> bool {
    let id = request.header("ce-connectionId");
    signature::verify(request.header("ce-signature"), &[AccessKey::new(key)], id)
}

/// An answer of these parts.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Response> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value.as_bytes());
    }
    Some(
        response
            .body(Body::from(body.to_owned()))
            .expect("an answer"),
    )
}
