//! The axum application: the files of the page, and the calls that start, list and cancel jobs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State as AppState};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use webpubsub::WebPubSubServiceClient;

use crate::jobs::{Full, Job, Jobs, RUNNING};
use crate::user::User;
use crate::worker;

/// A connection outlives its token, and the page gets a new token for each connection.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);
const LARGEST_BODY: usize = 1024;
/// Some minutes on one core.
const LARGEST_JOB: u64 = 2_000_000_000;

#[derive(Clone)]
struct Shared {
    service: Arc<WebPubSubServiceClient>,
    jobs: Arc<Jobs>,
}

/// The page and its server, on top of one hub of the service.
pub(crate) fn app(service: WebPubSubServiceClient) -> Router {
    let policy = content_security_policy(&service);
    let shared = Shared {
        service: Arc::new(service),
        jobs: Arc::default(),
    };
    let mut router = Router::new()
        .route("/jobs", get(list).post(start))
        .route("/jobs/{id}", delete(cancel))
        .route("/negotiate", get(negotiate))
        .with_state(shared)
        .fallback(async || refuse(StatusCode::NOT_FOUND, "There is nothing here."));
    for (path, content_type, content) in PAGE {
        let answer = ([(header::CONTENT_TYPE, content_type)], content);
        router = router.route(path, get(async move || answer));
    }
    router
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(only_loopback))
        .layer(from_fn_with_state(policy, security_headers))
}

const PAGE: [(&str, &str, &str); 3] = [
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
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/app.js"),
    ),
];

#[derive(Serialize, Deserialize)]
struct Wish {
    below: u64,
}

async fn start(
    AppState(shared): AppState<Shared>,
    user: User,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Response {
    let below = match wish {
        Ok(Json(Wish {
            below: below @ 2..=LARGEST_JOB,
        })) => below,
        Ok(_) => {
            let text = format!("Choose a number from 2 to {LARGEST_JOB}.");
            return refuse(StatusCode::BAD_REQUEST, &text);
        }
        Err(rejection) => return refuse(rejection.status(), "Send JSON with a number `below`."),
    };
    match shared.jobs.start(&user.id, below) {
        Ok((job, cancelled)) => {
            let Shared { service, jobs } = shared;
            tokio::spawn(worker::run(
                service,
                jobs,
                user.id.clone(),
                job.clone(),
                cancelled,
            ));
            with_cookie(&user, (StatusCode::ACCEPTED, Json(job)))
        }
        Err(Full::User) => {
            let text = format!("{RUNNING} jobs are running; wait for one, or cancel one.");
            refuse(StatusCode::TOO_MANY_REQUESTS, &text)
        }
        Err(Full::Everybody) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too much is going on. Try again later.",
        ),
    }
}

async fn list(AppState(shared): AppState<Shared>, user: User) -> Response {
    #[derive(Serialize)]
    struct List {
        jobs: Vec<Job>,
    }
    let jobs = shared.jobs.of(&user.id);
    with_cookie(&user, Json(List { jobs }))
}

async fn cancel(
    AppState(shared): AppState<Shared>,
    user: User,
    id: Result<Path<u64>, PathRejection>,
) -> Response {
    let cancelled = match id {
        Ok(Path(id)) => shared.jobs.cancel(&user.id, id),
        Err(_) => None,
    };
    match cancelled {
        Some(job) => {
            worker::push(&shared.service, &user.id, &job).await;
            StatusCode::NO_CONTENT.into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, "No such job of yours is running."),
    }
}

/// A URL whose connection receives the messages to this user, and can do nothing else.
async fn negotiate(AppState(shared): AppState<Shared>, user: User) -> Response {
    let token = shared
        .service
        .client_access_token()
        .user_id(&user.id)
        .lifetime(TOKEN_LIFETIME);
    match token.await {
        Ok(token) => with_cookie(&user, Json(json!({ "url": token.url() }))),
        Err(error) => {
            tracing::error!(%error, "a token could not be made");
            refuse(StatusCode::BAD_GATEWAY, "The service gives no access now.")
        }
    }
}

fn with_cookie(user: &User, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Some(cookie) = &user.new_cookie {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, cookie.clone());
    }
    response
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// Refuses pages that rebind their own host name to 127.0.0.1.
async fn only_loopback(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let authority = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let known = authority.is_some_and(|authority| {
        ["localhost", "127.0.0.1", "[::1]"]
            .contains(&authority.host().to_ascii_lowercase().as_str())
    });
    if known {
        next.run(request).await
    } else {
        refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "This server answers to localhost and 127.0.0.1.",
        )
    }
}

async fn security_headers(
    AppState(policy): AppState<HeaderValue>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// The page may load its own files, call its own server, and connect to the service.
fn content_security_policy(service: &WebPubSubServiceClient) -> HeaderValue {
    let endpoint = service.endpoint();
    let scheme = if endpoint.scheme() == "https" {
        "wss"
    } else {
        "ws"
    };
    let host = endpoint.host_str().unwrap_or_default();
    let socket = match endpoint.port() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {socket}; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a parsed URL's host is visible ASCII")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use tower::ServiceExt as _;
    use webpubsub_client::{Event, Events, WebPubSubClient};
    use webpubsub_emulator::Emulator;

    use super::*;

    const ANA: &str = "session=0123456789abcdef0123456789abcdef";
    const BEN: &str = "session=fedcba9876543210fedcba9876543210";

    async fn call(
        app: &Router,
        method: &str,
        path: &str,
        cookie: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:3001")
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .expect("a request");
        let response = app
            .clone()
            .oneshot(request)
            .await
            .expect("the app is infallible");
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn with_emulator() -> (Emulator, Router) {
        let emulator = Emulator::start().await.expect("an emulator");
        let text = emulator.connection_string();
        let service = WebPubSubServiceClient::from_connection_string(&text, "notifications")
            .expect("its own");
        (emulator, app(service))
    }

    /// The next message of the server.
    async fn pushed(events: &mut Events) -> Value {
        loop {
            if let Event::ServerMessage(message) = events.next().await.expect("more events") {
                return message.json().expect("JSON");
            }
        }
    }

    #[tokio::test]
    async fn progress_reaches_the_user_who_started_the_job_and_nobody_else() {
        let (emulator, app) = with_emulator().await;
        let mut inboxes = Vec::new();
        for cookie in [ANA, BEN] {
            let (_, answer) = call(&app, "GET", "/negotiate", cookie, "").await;
            let url = answer["url"].as_str().expect("a URL").to_owned();
            inboxes.push(
                WebPubSubClient::connect_with_events(url)
                    .await
                    .expect("a connection"),
            );
        }
        let (status, job) = call(&app, "POST", "/jobs", ANA, r#"{"below":1000000}"#).await;
        assert_eq!(status, StatusCode::ACCEPTED);

        let mut versions = Vec::new();
        let last = loop {
            let push = pushed(&mut inboxes[0].1).await;
            versions.push(push["job"]["version"].as_u64().expect("a number"));
            if push["job"]["state"] != "running" {
                break push["job"].clone();
            }
        };
        assert_eq!(last["id"], job["id"]);
        assert_eq!(
            (&last["state"], &last["primes"], &last["checked"]),
            (&json!("finished"), &json!(78_498), &json!(1_000_000))
        );
        assert!(versions.is_sorted(), "{versions:?}");
        let (_, list) = call(&app, "GET", "/jobs", ANA, "").await;
        assert_eq!(list["jobs"], json!([last]));

        // Ben's first message is his own job's.
        let (_, own) = call(&app, "POST", "/jobs", BEN, r#"{"below":2}"#).await;
        let push = pushed(&mut inboxes[1].1).await;
        assert_eq!(push["job"]["id"], own["id"]);
        emulator.shutdown().await;
    }

    #[tokio::test]
    async fn a_cancelled_job_ends_and_says_so() {
        let (_emulator, app) = with_emulator().await;
        let (_, job) = call(&app, "POST", "/jobs", ANA, r#"{"below":2000000000}"#).await;
        let path = format!("/jobs/{}", job["id"]);
        assert_eq!(
            call(&app, "DELETE", &path, BEN, "").await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            call(&app, "DELETE", &path, ANA, "").await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            call(&app, "DELETE", &path, ANA, "").await.0,
            StatusCode::NOT_FOUND
        );
        let (_, list) = call(&app, "GET", "/jobs", ANA, "").await;
        assert_eq!(list["jobs"][0]["state"], "cancelled");
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        let (_emulator, app) = with_emulator().await;
        for body in [
            "",
            "{",
            "{}",
            r#"{"below":"x"}"#,
            r#"{"below":1}"#,
            r#"{"below":2000000001}"#,
        ] {
            let (status, answer) = call(&app, "POST", "/jobs", ANA, body).await;
            assert!(
                status.is_client_error() && answer["error"].is_string(),
                "{body}: {status} {answer}"
            );
        }
        for _ in 0..RUNNING {
            call(&app, "POST", "/jobs", ANA, r#"{"below":2000000000}"#).await;
        }
        let (status, _) = call(&app, "POST", "/jobs", ANA, r#"{"below":10}"#).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            call(&app, "DELETE", "/jobs/x", ANA, "").await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            call(&app, "GET", "/other", ANA, "").await.0,
            StatusCode::NOT_FOUND
        );
        let (_, list) = call(&app, "GET", "/jobs", ANA, "").await;
        for job in list["jobs"].as_array().expect("a list") {
            call(&app, "DELETE", &format!("/jobs/{}", job["id"]), ANA, "").await;
        }
    }

    #[tokio::test]
    async fn pages_of_other_names_get_nothing() {
        let (_emulator, app) = with_emulator().await;
        let request = Request::get("/negotiate")
            .header(header::HOST, "evil.example")
            .body(Body::empty());
        let response = app
            .oneshot(request.expect("a request"))
            .await
            .expect("infallible");
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
        assert!(
            response
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
}
