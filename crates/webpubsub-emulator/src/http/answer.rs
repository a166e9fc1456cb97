//! Answers that the HTTP layer gives itself, in the shape of the service's errors so that every SDK shows the text.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An error answer: `{"code", "message", "target", "details", "innererror"}` and the header `x-ms-error-code`.
pub(super) fn error(status: StatusCode, code: &'static str, message: &str) -> Response {
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
        target: &'a str,
        details: Option<()>,
        innererror: Option<()>,
    }

    let body = serde_json::to_vec(&Error {
        code,
        message,
        target: "Request",
        details: None,
        innererror: None,
    })
    .expect("texts always serialise");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    // The message may quote a host name of the caller's choice: nobody shall read it as a page.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    response
}
