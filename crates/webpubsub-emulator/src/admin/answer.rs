//! What the admin API answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::http::error_body;

const JSON: &str = "application/json; charset=utf-8";

/// The content of a successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    content_type: &'static str,
    body: Body,
}

impl Answer {
    /// A JSON document from a value that cannot fail to serialise: texts, numbers, lists and maps with texts as keys.
    pub(super) fn json(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("texts and numbers always serialise");
        Self::text(JSON, text)
    }

    /// A JSON object whose one member is a list: more can stand beside it one day.
    pub(super) fn list(name: &'static str, items: &[impl Serialize]) -> Self {
        Self::json(&BTreeMap::from([(name, items)]))
    }

    /// A text of any type.
    pub(super) fn text(content_type: &'static str, text: impl Into<Body>) -> Self {
        Self {
            content_type,
            body: text.into(),
        }
    }

    pub(super) fn into_response(self, status: u16) -> Response {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(status).expect("the description holds valid statuses");
        common_headers(&mut response, self.content_type);
        response
    }
}

/// An answer that is no success. Made by the constructor that names the cause.
#[derive(Debug)]
pub(super) struct AdminError {
    status: StatusCode,
    code: &'static str,
    target: Cow<'static, str>,
    message: String,
    extra: Option<Extra>,
}

/// A header that only some answers have.
#[derive(Debug)]
enum Extra {
    /// How to authorise.
    Challenge,
    /// The methods of a path.
    Allow(String),
}

impl AdminError {
    pub(super) fn off() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Error.NotFound",
            "The admin API is off. The program offers it unless it is started with `--no-admin`; where other machines can \
             reach the emulator, only if it has a token of your own (`--admin-token`). In code: `EmulatorBuilder::admin`.",
        )
    }

    pub(super) fn foreign_origin(origin: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Error.Forbidden",
            format!(
                "Pages of `{origin}` may not use the admin API. Pages of this machine may, and those of origins that the \
                 emulator was started with (`--public-endpoint`, `--allowed-origin`)."
            ),
        )
    }

    pub(super) fn no_token() -> Self {
        Self::unauthorized(
            "The admin API needs its token: send the header `Authorization: Bearer <token>`. The emulator printed the token \
             when it started.",
        )
    }

    pub(super) fn wrong_token() -> Self {
        Self::unauthorized(
            "This is not the token of this run. The emulator printed it when it started, and draws a new one for each run \
             unless `--admin-token` sets it.",
        )
    }

    fn unauthorized(message: &str) -> Self {
        Self {
            extra: Some(Extra::Challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, "Error.Unauthorized", message)
        }
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Error.NotFound",
            "No operation of the admin API has this path. `GET /_emulator/openapi.json` describes them.",
        )
    }

    pub(super) fn unknown_method(allow: String) -> Self {
        let message = format!("The operations at this path have other methods. Allowed: {allow}.");
        Self {
            extra: Some(Extra::Allow(allow)),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Error.MethodNotAllowed",
                message,
            )
        }
    }

    /// Something that the caller named does not exist: `what` is `Hub`, `Connection` and the like.
    pub(super) fn not_found(what: &'static str, message: impl Into<String>) -> Self {
        Self {
            target: what.into(),
            ..Self::new(StatusCode::NOT_FOUND, "Error.NotFound", message)
        }
    }

    /// A parameter, or the member of a body, that cannot be used.
    pub(super) fn bad_parameter(name: impl Into<Cow<'static, str>>, problem: &str) -> Self {
        let name = name.into();
        Self {
            message: format!("`{name}`: {problem}"),
            target: name,
            ..Self::bad_request("")
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Error.BadRequest", message)
    }

    pub(super) fn too_large(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Error.PayloadTooLarge",
            format!("The body of the request is larger than {most} bytes."),
        )
    }

    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            target: "Request".into(),
            message: message.into(),
            extra: None,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn into_response(self) -> Response {
        let body = error_body(self.code, &self.message, &self.target);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        common_headers(&mut response, JSON);
        let headers = response.headers_mut();
        headers.insert("x-ms-error-code", HeaderValue::from_static(self.code));
        match self.extra {
            Some(Extra::Challenge) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Some(Extra::Allow(methods)) => {
                let value = HeaderValue::try_from(methods).expect("methods are tokens");
                headers.insert(header::ALLOW, value);
            }
            None => {}
        }
        response
    }
}

/// What is answered is for this caller and this moment, and no browser may take it for a page.
fn common_headers(response: &mut Response, content_type: &'static str) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
