//! The response to a user event.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use webpubsub_protocol::{
    cloud_event,
    metadata::{InvalidMetadata, Metadata},
    payload::{DataType, IntoPayload, Payload},
};

use super::{JSON, failure, state::StateChanges};
use crate::{header::metadata_name, rejection::AnswerError};

/// The response to a user event, which may send a payload to the client.
///
/// ```
/// use http::StatusCode;
/// use webpubsub_axum::{UserEventResponse, payload};
///
/// let answer = UserEventResponse::success("done").metadata("trace", "7").state("asked", &true);
/// let list = UserEventResponse::success(payload::Json(["a", "b"]));
/// let nothing = UserEventResponse::empty();
/// let refused = UserEventResponse::fail(StatusCode::BAD_REQUEST, "no such room");
/// ```
///
/// Instead of this type, a handler may return `()` for nothing, a `String` or `&'static str` for text, [`axum::Json`] or
/// [`Bytes`]. Values that are set on a failure have no effect. If a value cannot be sent, the response becomes a 500 with an
/// [`AnswerError`].
#[derive(Clone)]
#[must_use]
pub struct UserEventResponse {
    answer: Answer,
    metadata: Vec<(String, String)>,
    state: StateChanges,
    error: Option<AnswerError>,
}

#[derive(Clone)]
enum Answer {
    Empty,
    Payload(Payload),
    Fail { status: StatusCode, detail: String },
}

impl UserEventResponse {
    /// Accepts the event without sending a payload. A client that asked for an acknowledgement still receives it.
    pub fn empty() -> Self {
        Self::new(Answer::Empty)
    }

    /// Accepts the event and sends a payload to the client: a string as text, bytes as binary,
    /// [`payload::Json`](crate::payload::Json) as JSON. [`IntoPayload`] lists all types.
    pub fn success(payload: impl IntoPayload) -> Self {
        match payload.into_payload() {
            Ok(payload) => Self::new(Answer::Payload(payload)),
            Err(_) => Self {
                error: Some(AnswerError::Json),
                ..Self::empty()
            },
        }
    }

    /// Refuses the event with a status from 400 to 599. A client that asked for an acknowledgement receives an error, and a
    /// simple WebSocket client is closed. Neither sees the detail. For 408 and 5xx the service sends the event again.
    pub fn fail(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(Answer::Fail { status, detail })
    }

    /// Adds a metadata entry to the message that the client receives. The key is lower-cased.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key: String = key.into();
        self.metadata.push((key.to_ascii_lowercase(), value.into()));
        self
    }

    /// Stores a value with the connection, under a name. Values stored under other names are kept.
    pub fn state<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        if let Err(error) = self.state.set(name.into(), value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Stores each member of a value that serialises to a JSON object with the connection. Values stored under other names
    /// are kept.
    pub fn states<T: Serialize + ?Sized>(mut self, values: &T) -> Self {
        if let Err(error) = self.state.set_all(values) {
            self.error.get_or_insert(error);
        }
        self
    }

    fn new(answer: Answer) -> Self {
        Self {
            answer,
            metadata: Vec::new(),
            state: StateChanges::default(),
            error: None,
        }
    }
}

impl IntoResponse for UserEventResponse {
    fn into_response(self) -> Response {
        if let Some(error) = self.error {
            return error.into_response();
        }
        let (content_type, body) = match self.answer {
            Answer::Fail { status, detail } => return failure(status, detail),
            Answer::Empty => (content_type(DataType::Binary), Bytes::new()),
            Answer::Payload(payload) => (content_type(payload.data_type()), payload.into_bytes()),
        };
        let mut response = Response::new(Body::from(body));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        if let Err(error) = add_metadata(&mut response, self.metadata) {
            return AnswerError::from(error).into_response();
        }
        self.state.attach_to(response)
    }
}

impl std::fmt::Debug for UserEventResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answer = match &self.answer {
            Answer::Empty => "empty",
            Answer::Payload(payload) => payload.data_type().as_str(),
            Answer::Fail { .. } => "failure",
        };
        f.debug_struct("UserEventResponse")
            .field("answer", &answer)
            .field("state", &self.state)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

fn content_type(kind: DataType) -> HeaderValue {
    match kind {
        DataType::Json => JSON,
        other => HeaderValue::from_static(cloud_event::content_type(other)),
    }
}

fn add_metadata(
    response: &mut Response,
    entries: Vec<(String, String)>,
) -> Result<(), InvalidMetadata> {
    for (key, value) in Metadata::new(entries)?.iter() {
        let name = metadata_name(key).ok_or(InvalidMetadata::Key)?;
        let value = HeaderValue::from_str(value).map_err(|_| InvalidMetadata::Value)?;
        response.headers_mut().append(name, value);
    }
    Ok(())
}
