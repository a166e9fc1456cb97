//! Responses to blocking events.

mod connect;
mod finish;
mod state;
mod user_event;

pub use connect::ConnectResponse;
pub(crate) use finish::finish;
pub use user_event::UserEventResponse;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::rejection::AnswerError;

/// In the spelling of the official library.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else {
        return AnswerError::Json.into_response();
    };
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// A failure in the form of the official library: the detail as body, without a content type.
fn failure(status: StatusCode, detail: String) -> Response {
    if !status.is_client_error() && !status.is_server_error() {
        return AnswerError::Status.into_response();
    }
    let mut response = Response::new(Body::from(detail));
    *response.status_mut() = status;
    response
}
