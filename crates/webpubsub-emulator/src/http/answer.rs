//! Answers that the HTTP layer gives itself, in the shape of the service's errors so that every SDK shows the text.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An error answer about the request as a whole.
pub(super) fn error(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = error_body(code, message, "Request");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    // The message may quote a host name of the caller's choice: no browser may take it for a page.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    response
}

/// The service's error as JSON: `{"code", "message", "target", "details", "innererror"}`.
pub(crate) fn error_body(code: &str, message: &str, target: &str) -> String {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
        target: &'a str,
        details: Option<()>,
        innererror: Option<()>,
    }

    let error = Error {
        code,
        message,
        target,
        details: None,
        innererror: None,
    };
    serde_json::to_string(&error).expect("texts always serialise")
}
