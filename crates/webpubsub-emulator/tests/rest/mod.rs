//! The REST API of a running emulator, from the outside.

mod answers;
mod auth;
mod bodies;
mod conformance;
mod hostile;
mod listing;
mod permissions;
mod routes;
mod semantics;
mod tokens;

use crate::support::Reply;

/// The versions that every answer names, except problem documents.
const VERSIONS: &str = "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01";

const BAD_REQUEST: &str = "Error.BadRequest";

/// Asserts the ordinary error, to the byte.
#[track_caller]
fn assert_error(reply: &Reply, status: u16, code: &str, target: &str, message: &str) {
    let body = error_body(code, message, target);
    assert_eq!(reply.text(), body, "{reply:?}");
    assert_error_head(reply, status, code, body.len());
}

/// Asserts the head of an error answer; all of it when the request was `HEAD`.
#[track_caller]
fn assert_error_head(reply: &Reply, status: u16, code: &str, length: usize) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("x-ms-error-code"), Some(code), "{reply:?}");
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        reply.header("content-length"),
        Some(length.to_string().as_str()),
        "{reply:?}"
    );
    assert_eq!(
        reply.header("api-supported-versions"),
        Some(VERSIONS),
        "{reply:?}"
    );
}

/// Asserts an error whose message only has to name its cause.
#[track_caller]
fn assert_cause(reply: &Reply, status: u16, code: &str, cause: &str) {
    let message = reply.message();
    assert!(message.contains(cause), "{cause} is not in {message}");
    assert_error(reply, status, code, "Request", &message);
}

/// The ordinary error body, whose members have this order.
fn error_body(code: &str, message: &str, target: &str) -> String {
    let quoted = |text: &str| serde_json::to_string(text).expect("strings serialise");
    format!(
        r#"{{"code":{},"message":{},"target":{},"details":null,"innererror":null}}"#,
        quoted(code),
        quoted(message),
        quoted(target),
    )
}
