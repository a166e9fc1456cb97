//! Answers of calls that succeeded.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// The content of a successful answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing but its status.
    Done,
    /// A JSON document.
    Document(String),
}

impl Outcome {
    /// A document from a value that cannot fail to serialise, such as a struct of strings.
    pub(super) fn document(body: &impl Serialize) -> Self {
        Self::Document(serde_json::to_string(body).expect("strings always serialise"))
    }
}

/// An outcome with the status that its operation has for success.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    outcome: Outcome,
}

impl Answer {
    pub(super) fn new(status: u16, outcome: Outcome) -> Self {
        let status = StatusCode::from_u16(status).expect("the description holds valid statuses");
        Self { status, outcome }
    }

    /// The length of an empty body is written by the HTTP library: `0`, and none on 204 or to HEAD.
    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if let Outcome::Document(document) = self.outcome {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            *response.body_mut() = document.into();
        }
        response
    }
}
