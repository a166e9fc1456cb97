//! The REST API: from a request to an answer.
//!
//! Checks come in the order of the service: path and method, names and numbers, the token, then the gate, and for
//! calls with a body the filter, the announced length, the content type, the body itself and the
//! metadata. The first that fails is the answer. Only a call that passed all of them touches a hub,
//! and no call makes one: a hub that nobody has connected to is empty.

mod answer;
mod auth;
mod body;
mod cursor;
mod error;
#[rustfmt::skip]
mod generated;
mod media_type;
mod operations;
mod origin;
mod params;
mod table;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName, UserId};

use self::answer::Answer;
use self::error::RestError;
pub(crate) use self::generated::OPERATIONS;
#[cfg(test)]
pub(crate) use self::generated::OperationId;
use self::generated::SUPPORTED_VERSIONS;
use self::operations::Context;
use self::origin::Origin;
use self::params::{EncodedSlash, Parsed, decode_path};
use self::table::Access;
#[cfg(test)]
pub(crate) use self::table::Operation;
use crate::faults::{Place, Subject};
use crate::gate::Passage;
use crate::route::{self, Route};
use crate::service::Service;
use crate::settings::Settings;

const VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Answers a request whose path starts with `/api`, unless its answer is lost on purpose.
///
/// Never fails and never panics on what callers send: everything wrong is a 4xx that names its
/// cause.
pub(crate) async fn handle(service: &Arc<Service>, request: Request<Body>) -> Option<Response> {
    let (request, mut body) = request.into_parts();
    let head = request.method == Method::HEAD;
    let mut operation = None;
    let answered = answer(service, &request, &mut body, &mut operation).await;
    let (mut response, names_versions) = match answered {
        Ok(Some(answer)) => (answer.into_response(), true),
        Ok(None) => return None,
        Err(error) => {
            let (method, path) = (&request.method, request.uri.path());
            let status = error.status().as_u16();
            tracing::debug!(%method, path, status, "{}", error.message());
            body::drain(body, &request.headers).await;
            let names_versions = error.names_versions();
            let refused = error.to_refused();
            let mut response = error.into_response(head);
            response.extensions_mut().insert(refused);
            (response, names_versions)
        }
    };
    let headers = response.headers_mut();
    if names_versions {
        headers.insert(VERSIONS, HeaderValue::from_static(SUPPORTED_VERSIONS));
    }
    echo_request_id(&request.headers, headers);
    if let Some(operation) = operation {
        response.extensions_mut().insert(Called(operation));
    }
    Some(response)
}

/// The operation that an answer is of, as long as the answer is in this process.
#[derive(Debug, Clone, Copy)]
struct Called(&'static str);

/// The names of all operations.
pub(crate) fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|operation| operation.name)
}

/// The name of the operation that was called, if one was called.
pub(crate) fn operation_of(response: &Response) -> Option<&'static str> {
    let called = response.extensions().get::<Called>();
    called.map(|&Called(name)| name)
}

async fn answer(
    service: &Arc<Service>,
    request: &Parts,
    body: &mut Body,
    called: &mut Option<&'static str>,
) -> Result<Option<Answer>, RestError> {
    let settings = service.settings();
    let path = request.uri.path();
    let (operation, captures) = match route::route(OPERATIONS, &request.method, path) {
        Route::Found(operation, captures) => (operation, captures),
        Route::WrongMethod(allow) => return Err(RestError::unknown_method(allow)),
        Route::NotFound => return Err(RestError::unknown_path()),
    };
    *called = Some(operation.name);
    let slash = encoded_slash(settings);
    let Parsed { call, kept_slash } =
        params::parse(operation.id, &captures, request.uri.query(), slash)
            .map_err(RestError::bad_parameter)?;
    let origin = Origin::of(request, &settings.public_endpoints);
    if operation.access == Access::Token {
        let decoded = decode_path(path, slash).map(|decoded| decoded.text);
        let path = decoded.as_deref().unwrap_or(path);
        let at = settings.checked_at(service.clock().now().wall);
        auth::authorize(settings, &request.headers, &origin, path, at)?;
    }
    let hub = decode_path(captures.get("hub"), slash).and_then(|it| HubName::new(it.text).ok());
    let passage = Passage::Operation(operation.name, hub.as_ref());
    let passed = service.gate().pass(passage, &request.headers).await;
    passed.map_err(|refusal| RestError::refused(&refusal))?;
    let faults = service.faults();
    let named = |name| {
        let text = faults.concern_operations().then(|| captures.get(name))?;
        Some(decode_path(text, slash)?.text)
    };
    let user = named("userId").and_then(|user| UserId::new(user).ok());
    let connection = named("connectionId").and_then(|id| ConnectionId::new(id).ok());
    let group = named("group").and_then(|group| GroupName::new(group).ok());
    let subject = Subject {
        hub: hub.as_ref(),
        user: user.as_ref(),
        connection: connection.as_ref(),
        group: group.as_ref(),
        operation: Some(operation.name),
        ..Subject::default()
    };
    let admitted = faults.admit(Place::Operation, &subject).await;
    admitted.map_err(|refusal| RestError::refused(&refusal))?;
    if kept_slash {
        tracing::warn!(
            operation = operation.name,
            path,
            "a name in the path holds `%2F`, which stays these three characters, as on Azure; \
             start the emulator with --decode-slashes to read it as a slash"
        );
    }
    let context = Context {
        service,
        headers: &request.headers,
        origin,
    };
    let outcome = operations::run(&context, call, body).await?;
    let is_lost = faults.strike(Place::Answer, &subject).is_some();
    Ok((!is_lost).then(|| Answer::new(operation.success, outcome)))
}

fn encoded_slash(settings: &Settings) -> EncodedSlash {
    if settings.decode_slashes {
        EncodedSlash::Decode
    } else {
        EncodedSlash::Keep
    }
}

/// Callers match answers with requests by it.
fn echo_request_id(request: &HeaderMap, response: &mut HeaderMap) {
    if let Some(id) = request.get(CLIENT_REQUEST_ID) {
        response.insert(CLIENT_REQUEST_ID, id.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_whose_body_never_comes_is_answered_while_a_manual_clock_stands_still() {
        let (settings, clock) = (Settings::default(), Clock::manual());
        let service = Service::new(settings, clock, None, None, BTreeMap::new());
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::post("/api/hubs/chat/:send").body(Body::from_stream(silent));
        let response = handle(&service, request.unwrap()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn what_the_gate_refuses_is_answered_as_it_says_and_not_done() {
        let (settings, clock) = (Settings::default(), Clock::manual());
        let service = Service::new(settings, clock, None, None, BTreeMap::new());
        let health = || {
            Request::head("/api/health")
                .body(Body::empty())
                .expect("a request")
        };
        let answer = || async { handle(&service, health()).await.expect("an answer") };
        assert_eq!(answer().await.status(), StatusCode::OK);
        service.gate().stopping().cancel();
        let response = answer().await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(
            response.headers()["x-ms-error-code"],
            "Error.ServiceUnavailable"
        );
    }
}
