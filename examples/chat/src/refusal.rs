//! The errors that the page shows to people: `{"error": "...", "field": "name"}`.

use std::error::Error;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::names::InvalidName;

/// A response that reports an error. Its text is for people and never contains parts of the request.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
    field: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            field: None,
        }
    }

    pub(crate) fn foreign_page() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Only the chat's own page may ask for this.",
        )
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// An error and its causes on one line. Some errors repeat their cause in their own text; repetitions
/// are left out.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<_> = std::iter::successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    texts.dedup();
    texts.join(": ")
}

impl From<InvalidName> for Refusal {
    fn from(invalid: InvalidName) -> Self {
        Self {
            field: Some(invalid.field),
            ..Self::new(StatusCode::BAD_REQUEST, invalid.to_string())
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'static str>,
        }
        let Self {
            status,
            error,
            field,
        } = self;
        (status, Json(Body { error, field })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_named_once_each() {
        let error = anyhow!("no route").context("no route").context("not sent");
        assert_eq!(describe(error.as_ref()), "not sent: no route");
    }
}
