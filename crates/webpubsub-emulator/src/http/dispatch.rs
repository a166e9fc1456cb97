//! From a request to the part that answers it.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{body::Body, response::Response};
use futures_util::FutureExt as _;
use http::{Method, Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use webpubsub_protocol::name::HubName;

use super::{answer, hosts::Hosts};
use crate::{admin, refusal::Refused, rest, service::Service, socket, traffic::TrafficEvent};

/// Answers one request, or hangs up where there is no answer. Never panics: what goes wrong inside becomes a 500 for this
/// caller only.
pub(super) async fn dispatch(
    service: &Arc<Service>,
    hosts: &Hosts,
    request: Request<Body>,
) -> Option<Response> {
    // Who looks at the traffic makes none.
    let is_traffic = Part::of(request.uri().path()) != Some(Part::Admin);
    if is_traffic {
        service.counters().requests.add(1);
    }
    let began = service.clock().mono();
    let method = request.method().clone();
    // Without the query, which may hold a token.
    let path = request.uri().path().to_owned();
    let response = match hosts.check(request.uri(), request.headers()) {
        Err(refusal) => {
            let reason = refusal.to_string();
            tracing::warn!(%method, reason, "refused a request");
            let mut response = answer::error(
                StatusCode::MISDIRECTED_REQUEST,
                "Error.MisdirectedRequest",
                &reason,
            );
            response.extensions_mut().insert(Refused {
                reason,
                token: None,
            });
            Some(response)
        }
        Ok(()) => contain(&method, &path, route(service, request)).await,
    };
    if let Some(response) = &response
        && let Some(operation) = rest::operation_of(response)
    {
        let status = response.status().as_u16();
        service.rest_counters().add(operation, status);
    }
    if is_traffic {
        service.traffic().note(|| {
            let extensions = response.as_ref().map(Response::extensions);
            let refused = extensions.and_then(|it| it.get::<Refused>());
            TrafficEvent::Request {
                method: method.to_string(),
                hub: hub_of(&path),
                path,
                operation: response.as_ref().and_then(rest::operation_of),
                status: response.as_ref().map(|it| it.status().as_u16()),
                took: service.clock().mono().saturating_duration_since(began),
                refused: refused.map(|it| it.reason.clone()),
                token: refused.and_then(|it| it.token.clone()),
            }
        });
    }
    response
}

/// Turns a panic of a handler into an answer.
async fn contain(
    method: &Method,
    path: &str,
    answer: impl Future<Output = Option<Response>>,
) -> Option<Response> {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%method, path, "the handler of this request panicked; this is a bug of the emulator");
        Some(answer::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Error.InternalServerError",
            "The emulator failed to answer this request; its log says why.",
        ))
    })
}

async fn route(service: &Arc<Service>, request: Request<Body>) -> Option<Response> {
    let request = with_origin_form(request);
    Some(match Part::of(request.uri().path()) {
        Some(Part::Rest) => return rest::handle(service, request).await,
        Some(Part::Socket) => return socket::handle(service, request).await,
        Some(Part::Admin) => admin::handle(service, request).await,
        Some(Part::Mqtt) => unsupported("MQTT clients"),
        Some(Part::SocketIo) => unsupported("Socket.IO clients"),
        None => answer::error(
            StatusCode::NOT_FOUND,
            "Error.NotFound",
            "This is the Web PubSub emulator. REST calls go to /api/hubs/{hub}, WebSocket clients to /client/hubs/{hub}, \
             health checks to HEAD /api/health.",
        ),
    })
}

/// The hub that a path names, if it does.
fn hub_of(path: &str) -> Option<HubName> {
    let mut segments = path.strip_prefix('/')?.split('/');
    match (segments.next()?, segments.next()?) {
        ("api" | "client", "hubs") => {
            let name = percent_decode_str(segments.next()?).decode_utf8().ok()?;
            HubName::new(name.into_owned()).ok()
        }
        _ => None,
    }
}

/// The parts of the service, told apart by the raw path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rest,
    Socket,
    Mqtt,
    SocketIo,
    Admin,
}

impl Part {
    fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        match (segments.next()?, segments.next()) {
            ("api", _) => Some(Self::Rest),
            ("client", _) => Some(Self::Socket),
            ("clients", Some("mqtt")) => Some(Self::Mqtt),
            ("clients", Some("socketio")) => Some(Self::SocketIo),
            (admin::SEGMENT, _) => Some(Self::Admin),
            _ => None,
        }
    }
}

fn unsupported(what: &str) -> Response {
    answer::error(
        StatusCode::NOT_IMPLEMENTED,
        "NotImplemented",
        &format!(
            "{what} are not emulated in this version; connect a WebSocket client to /client/hubs/{{hub}}."
        ),
    )
}

/// `GET http://host/path` is the same request as `GET /path`; its host has been checked.
fn with_origin_form(mut request: Request<Body>) -> Request<Body> {
    if request.uri().authority().is_some()
        && let Some(path) = request.uri().path_and_query().cloned()
    {
        *request.uri_mut() = Uri::from(path);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_segments() {
        for (path, part) in [
            ("/api/health", Some(Part::Rest)),
            ("/api", Some(Part::Rest)),
            ("/api/hubs/chat/:send", Some(Part::Rest)),
            ("/client/hubs/chat", Some(Part::Socket)),
            ("/client", Some(Part::Socket)),
            ("/client/", Some(Part::Socket)),
            ("/clients/mqtt/hubs/chat", Some(Part::Mqtt)),
            ("/clients/socketio/hubs/chat", Some(Part::SocketIo)),
            ("/_emulator", Some(Part::Admin)),
            ("/_emulator/clock", Some(Part::Admin)),
            ("/_emulators/clock", None),
            ("/clients/other", None),
            ("/clients", None),
            ("/apis", None),
            ("/clientele", None),
            ("//api", None),
            ("/", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Part::of(path), part, "{path}");
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        let response = contain(&Method::GET, "/api", async { panic!("on purpose") }).await;
        let status = response.expect("an answer").status();
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn an_absolute_target_loses_its_host() {
        for (target, expected) in [
            ("http://h:1/api/health?a=b", "/api/health?a=b"),
            ("http://h", "/"),
            ("/api/%3Asend?x", "/api/%3Asend?x"),
            ("*", "*"),
        ] {
            let request = Request::builder()
                .uri(target)
                .body(Body::empty())
                .expect("a request");
            assert_eq!(
                with_origin_form(request).uri().to_string(),
                expected,
                "{target}"
            );
        }
    }
}
