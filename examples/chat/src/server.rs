//! The axum application: the files of the page, the two calls, and the guard around both.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use parking_lot::Mutex;
use webpubsub::WebPubSubServiceClient;

use crate::guard::{content_security_policy, guard};
use crate::negotiate::{Join, Mode, Person, announce, negotiate};
use crate::refusal::Refusal;
use crate::rooms::Rooms;
use crate::tickets::Tickets;

const LARGEST_BODY: usize = 4 * 1024;
const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const TICKET_LIFETIME: Duration = Duration::from_secs(2 * 60);
const MOST_TICKETS: usize = 10_000;

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) service: Arc<WebPubSubServiceClient>,
    pub(crate) people: Arc<Mutex<Tickets<Person>>>,
    pub(crate) joins: Arc<Mutex<Tickets<Join>>>,
    pub(crate) mode: Mode,
    /// Handler mode only.
    pub(crate) rooms: Arc<Mutex<Rooms>>,
}

impl Shared {
    pub(crate) fn new(service: WebPubSubServiceClient, handler: bool) -> Self {
        Self {
            service: Arc::new(service),
            people: Arc::new(Mutex::new(Tickets::new(SESSION_LIFETIME, MOST_TICKETS))),
            joins: Arc::new(Mutex::new(Tickets::new(TICKET_LIFETIME, MOST_TICKETS))),
            mode: if handler { Mode::Handler } else { Mode::Token },
            rooms: Arc::new(Mutex::new(Rooms::new(SystemTime::now()))),
        }
    }
}

/// The page and its server, on top of one hub of the service.
pub(crate) fn app(shared: Shared) -> Router {
    let policy = content_security_policy(shared.service.endpoint());
    let mut router = Router::new().route("/negotiate", post(negotiate));
    if shared.mode == Mode::Token {
        // In handler mode the event handler announces who joined, and a ticket is a login.
        router = router.route("/announce", post(announce));
    }
    let mut router = router
        .with_state(shared)
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "There is nothing here."))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Not with this method.")
        });
    for (path, content_type, content) in PAGE {
        router = router.route(
            path,
            get(async move || ([(header::CONTENT_TYPE, content_type)], content)),
        );
    }
    router
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(policy, guard))
}

/// The page, inside the binary: one file to run, no folder to find.
const PAGE: [(&str, &str, &str); 9] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../page/icon.svg"),
    ),
    (
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/app.js"),
    ),
    (
        "/connection.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/connection.js"),
    ),
    (
        "/link.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/link.js"),
    ),
    (
        "/sequence.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/sequence.js"),
    ),
    (
        "/log.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/log.js"),
    ),
    (
        "/people.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/people.js"),
    ),
];

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, Request};
    use axum::response::Response;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use webpubsub_emulator::Emulator;

    use super::*;

    const KEY: &str = "c2VjcmV0LWtleS1mb3ItdGVzdHM=";

    /// An app whose service is nowhere: enough for everything but announcements.
    fn detached() -> Router {
        let text =
            format!("Endpoint=https://demo.webpubsub.azure.com;AccessKey={KEY};Version=1.0;");
        let service = WebPubSubServiceClient::from_connection_string(&text, "chat")
            .expect("a valid connection string");
        app(Shared::new(service, false))
    }

    fn post_request(path: &str, body: impl Into<Body>) -> Request<Body> {
        Request::post(path)
            .header("host", "127.0.0.1:3000")
            .header("origin", "http://127.0.0.1:3000")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json")
            .body(body.into())
            .expect("a request")
    }

    fn get_request(path: &str) -> Request<Body> {
        Request::get(path)
            .header("host", "localhost:3000")
            .body(Body::empty())
            .expect("a request")
    }

    async fn call(app: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let response: Response = app
            .clone()
            .oneshot(request)
            .await
            .expect("the app is infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(bytes.to_vec()).expect("text"),
        )
    }

    async fn negotiated(app: &Router, question: Value) -> Value {
        let (status, _, body) = call(app, post_request("/negotiate", question.to_string())).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    async fn refused(app: &Router, request: Request<Body>) -> (StatusCode, Value) {
        let (status, _, body) = call(app, request).await;
        (
            status,
            serde_json::from_str(&body).expect("refusals are JSON"),
        )
    }

    fn claims(grant: &Value) -> Value {
        let url = grant["url"].as_str().expect("a URL");
        let token = url.split_once("access_token=").expect("a token").1;
        let payload = token.split('.').nth(1).expect("three parts");
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url"))
            .expect("JSON")
    }

    #[tokio::test]
    async fn the_token_opens_the_asked_room_and_nothing_else_for_a_minute() {
        let grant = negotiated(&detached(), json!({ "name": " Ana ", "room": "Kitchen" })).await;
        let url = grant["url"].as_str().expect("a URL");
        assert!(url.starts_with("wss://demo.webpubsub.azure.com/client/hubs/chat?access_token="));
        assert_eq!(grant["group"], "room.kitchen");
        let claims = claims(&grant);
        assert_eq!(
            claims["role"],
            json!([
                "webpubsub.joinLeaveGroup.room.kitchen",
                "webpubsub.sendToGroup.room.kitchen"
            ])
        );
        assert_eq!(claims["sub"], grant["userId"]);
        assert!(
            claims["sub"]
                .as_str()
                .expect("a user id")
                .starts_with("Ana#")
        );
        assert_eq!(claims.get("webpubsub.group"), None);
        let lifetime = claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat");
        assert_eq!(lifetime, 60);
    }

    #[tokio::test]
    async fn people_of_one_name_get_user_ids_of_their_own() {
        let app = detached();
        let question = json!({ "name": "Ana", "room": "lobby" });
        let (one, two) = (
            negotiated(&app, question.clone()).await,
            negotiated(&app, question).await,
        );
        assert_ne!(one["userId"], two["userId"]);
        assert_ne!(one["session"], two["session"]);
    }

    #[tokio::test]
    async fn a_session_keeps_its_user_id_across_rooms_and_under_its_name_only() {
        let app = detached();
        let first = negotiated(&app, json!({ "name": "Ana", "room": "lobby" })).await;
        let session = &first["session"];
        let again = negotiated(
            &app,
            json!({ "name": "Ana", "room": "kitchen", "session": session }),
        )
        .await;
        assert_eq!(
            (&again["userId"], &again["session"]),
            (&first["userId"], session)
        );
        let other = negotiated(
            &app,
            json!({ "name": "Eve", "room": "lobby", "session": session }),
        )
        .await;
        assert!(
            other["userId"]
                .as_str()
                .expect("a user id")
                .starts_with("Eve#")
        );
        assert_ne!(&other["session"], session);
    }

    #[tokio::test]
    async fn an_unknown_session_makes_a_new_person_and_is_not_adopted() {
        let forged = "0".repeat(32);
        let grant = negotiated(
            &detached(),
            json!({ "name": "Ana", "room": "lobby", "session": forged }),
        )
        .await;
        assert_ne!(grant["session"], forged.as_str());
    }

    #[tokio::test]
    async fn bad_names_are_refused_with_their_field() {
        let app = detached();
        for (name, room, field, error) in [
            ("", "lobby", "name", "Please type a name."),
            (
                "\u{3164}",
                "lobby",
                "name",
                "A name has no invisible characters.",
            ),
            (
                "a\u{0}b",
                "lobby",
                "name",
                "A name has no control characters.",
            ),
            ("Ana", "", "room", "Please type a room."),
            (
                "Ana",
                "a.b",
                "room",
                "A room has only letters a to z, digits, '-' and '_'.",
            ),
        ] {
            let question = json!({ "name": name, "room": room }).to_string();
            let answer = refused(&app, post_request("/negotiate", question)).await;
            assert_eq!(
                answer,
                (
                    StatusCode::BAD_REQUEST,
                    json!({ "error": error, "field": field })
                )
            );
        }
    }

    #[tokio::test]
    async fn bad_bodies_are_refused_without_quoting_them() {
        let app = detached();
        let large = format!("{{\"name\":\"{}\"}}", "s3cret".repeat(1_000));
        for (body, status) in [
            ("", StatusCode::BAD_REQUEST),
            ("{\"session\":\"s3cret\"", StatusCode::BAD_REQUEST),
            ("[\"s3cret\"]", StatusCode::UNPROCESSABLE_ENTITY),
            ("{\"name\":\"Ana\"}", StatusCode::UNPROCESSABLE_ENTITY),
            (
                "{\"name\":\"Ana\",\"room\":{\"s3cret\":1}}",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (large.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            for path in ["/negotiate", "/announce"] {
                let (got, answer) = refused(&app, post_request(path, body.to_owned())).await;
                if path == "/negotiate" {
                    assert_eq!(got, status, "{body}");
                }
                assert!(
                    got.is_client_error() && !answer.to_string().contains("s3cret"),
                    "{body}: {answer}"
                );
            }
        }
    }

    #[tokio::test]
    async fn forms_of_other_pages_get_nothing() {
        let app = detached();
        let question = json!({ "name": "Ana", "room": "lobby" }).to_string();
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            let mut request = post_request("/negotiate", question.clone());
            request
                .headers_mut()
                .insert("content-type", content_type.parse().expect("a value"));
            assert_eq!(
                refused(&app, request).await.0,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{content_type}"
            );
        }
        for (header, value, status) in [
            ("origin", "http://evil.example", StatusCode::FORBIDDEN),
            ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
            ("host", "evil.example:3000", StatusCode::MISDIRECTED_REQUEST),
        ] {
            let mut request = post_request("/negotiate", question.clone());
            request
                .headers_mut()
                .insert(header, value.parse().expect("a value"));
            assert_eq!(refused(&app, request).await.0, status, "{header}: {value}");
        }
    }

    #[tokio::test]
    async fn every_answer_carries_the_security_headers_and_allows_no_other_origin() {
        let app = detached();
        let question = json!({ "name": "Ana", "room": "lobby" }).to_string();
        let mut rebound = get_request("/");
        rebound
            .headers_mut()
            .insert("host", "evil.example".parse().expect("a value"));
        for (request, expected) in [
            (get_request("/"), StatusCode::OK),
            (get_request("/app.js"), StatusCode::OK),
            (get_request("/nowhere"), StatusCode::NOT_FOUND),
            (get_request("/negotiate"), StatusCode::METHOD_NOT_ALLOWED),
            (rebound, StatusCode::MISDIRECTED_REQUEST),
            (post_request("/negotiate", question), StatusCode::OK),
            (
                post_request("/announce", "{}"),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            let (status, headers, _) = call(&app, request).await;
            assert_eq!(status, expected);
            let policy = headers["content-security-policy"].to_str().expect("ASCII");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self';"),
                "{policy}"
            );
            assert!(
                policy.contains("connect-src 'self' wss://demo.webpubsub.azure.com;"),
                "{policy}"
            );
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            assert_eq!(headers.get("access-control-allow-origin"), None);
        }
    }

    #[tokio::test]
    async fn the_page_brings_all_its_files_and_nothing_inline() {
        let app = detached();
        for (path, content_type, content) in PAGE {
            let (status, headers, body) = call(&app, get_request(path)).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, content));
            assert_eq!(headers["content-type"], content_type);
        }
        let html = PAGE[0].2;
        for inline in [" style=", " onclick=", "<style", "http://", "https://"] {
            assert!(!html.contains(inline), "{inline}");
        }
    }

    #[tokio::test]
    async fn the_key_stays_on_the_server() {
        let app = detached();
        let grant = negotiated(&app, json!({ "name": "Ana", "room": "lobby" })).await;
        assert!(!grant.to_string().contains(KEY));
        let broken = format!("Endpoint=ftp://nowhere;AccessKey={KEY};Version=1.0;");
        let error =
            WebPubSubServiceClient::from_connection_string(&broken, "chat").expect_err("no URL");
        let debug = format!("{error:?}");
        let shown = format!("{debug} {:#}", anyhow::Error::from(error));
        assert!(!shown.contains(KEY), "{shown}");
    }

    #[tokio::test]
    async fn a_join_is_announced_once_and_only_with_a_ticket() {
        let emulator = Emulator::start().await.expect("an emulator");
        let text = emulator.connection_string();
        let app = app(Shared::new(
            WebPubSubServiceClient::from_connection_string(&text, "chat").expect("valid"),
            false,
        ));
        let grant = negotiated(&app, json!({ "name": "Ana", "room": "lobby" })).await;
        let announce =
            |ticket: &Value| post_request("/announce", json!({ "ticket": ticket }).to_string());

        let (status, answer) = refused(&app, announce(&json!("0".repeat(32)))).await;
        assert_eq!(
            (status, &answer["error"]),
            (
                StatusCode::FORBIDDEN,
                &json!("The ticket is unknown, used or expired.")
            )
        );
        // A session is no ticket.
        assert_eq!(
            refused(&app, announce(&grant["session"])).await.0,
            StatusCode::FORBIDDEN
        );

        let (status, _, body) = call(&app, announce(&grant["ticket"])).await;
        assert_eq!((status, body.as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(
            refused(&app, announce(&grant["ticket"])).await.0,
            StatusCode::FORBIDDEN
        );
        emulator.shutdown().await;
    }
}
