//! The reasons for which requests are refused: a type for each kind, and [`Rejection`] for all of them.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use webpubsub_protocol::{metadata::InvalidMetadata, payload::PayloadMismatch};

/// Why a request, or the response of a handler, was refused.
///
/// The HTTP response has the [`status`](Self::status) of the rejection and its text as `text/plain`. The rejection is also
/// in the extensions of the response, for middleware that logs or counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The request is not for this handler: 404. A layer passes such requests on instead.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// The request does not prove that it comes from the service: 401.
    #[error(transparent)]
    Signature(#[from] SignatureRejection),
    /// A header is missing or malformed: 400.
    #[error(transparent)]
    Header(#[from] HeaderRejection),
    /// The metadata of a user event is not valid: 400.
    #[error("the metadata of the event is invalid: {0}")]
    Metadata(#[from] InvalidMetadata),
    /// The body cannot be accepted: 400, 413 or 415.
    #[error(transparent)]
    Body(#[from] BodyRejection),
    /// The payload cannot be read as the type that the handler expects: 400.
    #[error(transparent)]
    Payload(#[from] PayloadRejection),
    /// There are handlers for user events, but none for this one: 404.
    #[error(
        "no handler takes user events of this name; add on_user_event, or on_any_user_event for all others"
    )]
    UnknownUserEvent,
    /// An extractor was used where its event is not available: 500.
    #[error(transparent)]
    Extract(#[from] ExtractRejection),
    /// The response of the handler cannot be sent: 500.
    #[error("the response of the event handler cannot be sent: {0}")]
    Answer(#[from] AnswerError),
    /// The handler panicked: 500.
    #[error("the event handler panicked")]
    Panicked,
    /// The handler was shut down: 503.
    #[error("the event handler is shutting down")]
    ShuttingDown,
}

/// Why a request is not for this handler, ordered by how close it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// It has another path.
    #[error("no event handler listens on this path")]
    Path,
    /// Its method is neither OPTIONS nor POST.
    #[error("event handlers take OPTIONS and POST only")]
    Method,
    /// It lacks the header `ce-awpsversion`, which identifies the service.
    #[error("the header ce-awpsversion is missing: only Web PubSub calls this path")]
    NotWebPubSub,
    /// It is an event without an origin.
    #[error("the header WebHook-Request-Origin is missing")]
    Origin,
    /// It is an event of an unknown type.
    #[error("the header ce-type is missing, or names no event of Web PubSub")]
    EventType,
    /// It is an event of another hub.
    #[error("the header ce-hub is missing, or names a hub that this path does not serve")]
    Hub,
}

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureRejection {
    /// The request has no signature.
    #[error("the header ce-signature is missing: the request does not come from Web PubSub")]
    Missing,
    /// None of the access keys produces this signature.
    #[error(
        "the signature fits none of the access keys: compare them with the keys of the resource"
    )]
    Wrong,
}

/// A header of an event is not valid. The error never contains the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header {name} {problem}")]
#[non_exhaustive]
pub struct HeaderRejection {
    /// The name of the header, in lower case.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: HeaderProblem,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// It is absent or empty.
    #[error("is missing")]
    Missing,
    /// It appears more than once.
    #[error("appears more than once")]
    Repeated,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It contains control characters.
    #[error("contains control characters")]
    ControlCharacter,
    /// The connection state is not the base64 of a JSON object.
    #[error("is not base64 of a JSON object")]
    NotState,
}

/// Why a body was refused. The error never contains the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyRejection {
    /// It has a content encoding, which would make the size limit meaningless: 415.
    #[error("bodies with a Content-Encoding are not taken; send them as they are")]
    ContentEncoding,
    /// It is a user event without a content type: 415.
    #[error("the header Content-Type is missing: the kind of the payload is unknown")]
    MissingContentType,
    /// It is a user event with a content type that the service never sends: 415.
    #[error(
        "the Content-Type is none of text/plain, application/json, application/octet-stream and application/x-protobuf"
    )]
    ContentType,
    /// It is larger than the limit: 413.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The connection failed while the body was being read: 400.
    #[error("the body could not be read to its end")]
    Incomplete,
    /// It is text, but not UTF-8: 400.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// It is not JSON: 400.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Json {
        /// The position of the error, counted from 1.
        line: usize,
        /// The position of the error, counted from 1.
        column: usize,
    },
    /// It is JSON, but not the body of this kind of event: 400.
    #[error("the body does not fit the event (line {line}, column {column})")]
    Shape {
        /// The position of the error, counted from 1.
        line: usize,
        /// The position of the error, counted from 1.
        column: usize,
    },
    /// It is a `connect` event of an MQTT client that lacks the member `mqtt`: 400.
    #[error("the body of an MQTT connect lacks `mqtt`")]
    NoMqtt,
    /// It is not a serialised `google.protobuf.Any`: 400.
    #[error("the body is not a serialised google.protobuf.Any")]
    NotProtobuf,
}

/// The payload of a user event cannot be read as the type that the handler expects: 400. The error never contains the
/// payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handler of this event cannot take its {found} payload{}", At(*.position))]
#[non_exhaustive]
pub struct PayloadRejection {
    /// The data type of the payload: `text`, `json`, `binary` or `protobuf`.
    pub found: &'static str,
    /// Line and column of the error in a JSON payload, counted from 1.
    pub position: Option<(usize, usize)>,
}

impl From<PayloadMismatch> for PayloadRejection {
    fn from(mismatch: PayloadMismatch) -> Self {
        Self {
            found: mismatch.found.as_str(),
            position: mismatch.position,
        }
    }
}

struct At(Option<(usize, usize)>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

/// An extractor was used where its event is not available: a mistake in the program, 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractRejection {
    /// The function is not registered with an event handler.
    #[error("{extractor} works only in functions that a WebPubSubEventHandler calls")]
    NoEvent {
        /// The name of the extractor.
        extractor: &'static str,
    },
    /// The function is registered for another event.
    #[error("{extractor} was used in the handler of another event")]
    OtherEvent {
        /// The name of the extractor.
        extractor: &'static str,
    },
}

/// Why a response cannot be sent: a mistake in the program, 500. The error never contains values of the response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The user id contains control characters.
    #[error("the user id contains control characters")]
    UserId,
    /// The metadata is not valid.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// A value of the connection state cannot be serialised as JSON, or its name contains control characters.
    #[error("the value `{name}` of the connection state cannot be written")]
    State {
        /// The name of the value. Empty if the whole state was set to something other than an object.
        name: String,
    },
    /// The payload cannot be serialised as JSON.
    #[error("the payload cannot be written as JSON")]
    Json,
    /// A failure has a status outside 400 to 599.
    #[error("a failure needs a status from 400 to 599")]
    Status,
}

impl Rejection {
    /// The status of the HTTP response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotOurs(_) | Self::UnknownUserEvent => StatusCode::NOT_FOUND,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Header(_) | Self::Metadata(_) | Self::Payload(_) => StatusCode::BAD_REQUEST,
            Self::Body(body) => body.status(),
            Self::Extract(_) | Self::Answer(_) | Self::Panicked => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl BodyRejection {
    const fn status(self) -> StatusCode {
        match self {
            Self::ContentEncoding | Self::MissingContentType | Self::ContentType => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// What a decoder says, without the text that it quotes.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => Self::Shape { line, column },
            _ => Self::Json { line, column },
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        if self == Self::Body(BodyRejection::ContentEncoding) {
            let identity = HeaderValue::from_static("identity");
            response
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, identity);
        }
        response.extensions_mut().insert(self);
        response
    }
}

macro_rules! into_response {
    ($($name:ident),*) => {$(
        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                Rejection::from(self).into_response()
            }
        }
    )*};
}

into_response!(
    NotOurs,
    SignatureRejection,
    HeaderRejection,
    BodyRejection,
    PayloadRejection,
    ExtractRejection,
    AnswerError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_is_wrong() {
        let name = "ce-userid";
        let problem = HeaderProblem::NotUtf8;
        let rejection = Rejection::from(HeaderRejection { name, problem });
        assert_eq!(rejection.to_string(), "the header ce-userid is not UTF-8");
        let payload = |position| {
            PayloadRejection {
                found: "json",
                position,
            }
            .to_string()
        };
        assert_eq!(
            payload(Some((1, 2))),
            "the handler of this event cannot take its json payload (line 1, column 2)"
        );
        assert_eq!(
            payload(None),
            "the handler of this event cannot take its json payload"
        );
    }

    #[test]
    fn the_answer_carries_the_error() {
        let response = BodyRejection::ContentEncoding.into_response();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(response.headers()["accept-encoding"], "identity");
        let expected = Rejection::Body(BodyRejection::ContentEncoding);
        assert_eq!(response.extensions().get::<Rejection>(), Some(&expected));
    }
}
