//! Requests to event handlers: there is always an answer, handlers see what was sent, and refusals say why.

use std::sync::LazyLock;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use webpubsub_axum::{
    ConnectRequest, ConnectResponse, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest,
    GroupLeftRequest, Rejection, UserEventRequest, UserEventResponse, WebPubSubEventHandler,
};
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::{ConnectionState, EventType, allowed_origin, signature};

use crate::check;

const KEY: &str = "the key of a service";
const BODY_LIMIT: usize = 1024;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers starts")
});

/// A request as text: `METHOD path`, headers, a blank line, the body. `ce-signature: *` stands for the right one.
pub(super) fn run(input: &[u8]) {
    parts(input);
    let Some((request, body)) = request(input) else {
        return;
    };
    RUNTIME.block_on(answered(request, body));
}

/// Made once: that takes longer than a request.
static HANDLER: LazyLock<WebPubSubEventHandler> = LazyLock::new(|| {
    WebPubSubEventHandler::builder("chat")
        .access_key(KEY)
        .body_limit(BODY_LIMIT)
        .on_connect(|client: ConnectRequest| async move {
            match client.claim("sub") {
                Some(user) => ConnectResponse::accept().user_id(user).state("user", user),
                None => ConnectResponse::fail(StatusCode::UNAUTHORIZED, "no user"),
            }
        })
        .on_any_user_event(|event: UserEventRequest| async {
            UserEventResponse::success(event.data)
        })
        .on_connected(|_: ConnectedRequest| async {})
        .on_disconnected(|_: DisconnectedRequest| async {})
        .on_group_joined(|_: GroupJoinedRequest| async {})
        .on_group_left(|_: GroupLeftRequest| async {})
        .build()
        .expect("the configuration is right")
});

async fn answered(request: Request<Body>, body: Vec<u8>) {
    let is_user_event = request
        .headers()
        .get("ce-type")
        .is_some_and(|value| value.as_bytes().starts_with(b"azure.webpubsub.user."));
    let Ok(response) = HANDLER.clone().oneshot(request).await;
    let (parts, answer) = response.into_parts();
    let answer = answer
        .collect()
        .await
        .expect("an answer has its whole body")
        .to_bytes();
    if let Some(rejection) = parts.extensions.get::<Rejection>() {
        assert_ne!(rejection, &Rejection::Panicked);
        check::error(rejection, 300);
        assert_eq!(answer, rejection.to_string());
        assert_eq!(parts.status, rejection.status());
        assert!(
            parts.status.is_client_error(),
            "a request is the caller's fault"
        );
    } else if parts.status == StatusCode::OK && is_user_event {
        assert_eq!(
            answer, body,
            "a handler that returns the payload returns the body"
        );
        assert!(body.len() <= BODY_LIMIT);
    }
    // What nobody waits for runs now.
    tokio::task::yield_now().await;
}

fn request(input: &[u8]) -> Option<(Request<Body>, Vec<u8>)> {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, path) = first.split_once(' ')?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.to_vec()))
        .ok()?;
    let headers = request.headers_mut();
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        headers.try_append(name, value).ok()?;
    }
    if headers
        .get("ce-signature")
        .is_some_and(|value| value == "*")
    {
        let id = headers.get("ce-connectionid")?.to_str().ok()?;
        let proof = signature::sign(&[AccessKey::new(KEY)], id);
        headers.insert("ce-signature", proof.parse().ok()?);
    }
    Some((request, body.to_vec()))
}

/// The parts of such a request for themselves.
fn parts(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match check::frugal(text.len(), 200, || ConnectionState::from_header(text)) {
        Ok(state) => {
            let again = ConnectionState::from_header(&state.to_header());
            assert_eq!(again.expect("we wrote it").to_header(), state.to_header());
        }
        Err(error) => check::error(&error, 200),
    }
    if let Some(event) = EventType::from_ce_type(text) {
        assert_eq!(event.ce_type(), text);
    }
    let keys = [AccessKey::new(KEY)];
    let (header, id) = text.split_once('\n').unwrap_or((text, ""));
    let _ = signature::verify(header, &keys, id);
    assert!(signature::verify(&signature::sign(&keys, id), &keys, id));
    let _ = allowed_origin(text.lines(), id);
}
