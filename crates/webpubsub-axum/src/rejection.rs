//! Why a request is refused: one type per kind, and [`Rejection`], which holds any of them.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use webpubsub_protocol::{metadata::InvalidMetadata, payload::PayloadMismatch};

/// Why a request, or the answer of a handler, was refused.
///
/// It is answered with [`status`](Self::status) and its own text, as `text/plain`. The value also stands in the
/// extensions of the answer, for middleware that logs or counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The request is not for this handler: 404. A layer passes such requests on and never answers this.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// The request is not proven to come from the service: 401.
    #[error(transparent)]
    Signature(#[from] SignatureRejection),
    /// A header is missing or malformed: 400.
    #[error(transparent)]
    Header(#[from] HeaderRejection),
    /// The metadata of a user event breaks the rules: 400.
    #[error("the metadata of the event is invalid: {0}")]
    Metadata(#[from] InvalidMetadata),
    /// The body cannot be taken: 400, 413 or 415.
    #[error(transparent)]
    Body(#[from] BodyRejection),
    /// The payload is not what the handler wants: 400.
    #[error(transparent)]
    Payload(#[from] PayloadRejection),
    /// There are handlers for user events, but none for this one: 404.
    #[error(
        "no handler takes user events of this name; add on_user_event, or on_any_user_event for all others"
    )]
    UnknownUserEvent,
    /// An extractor was used where its event is not at hand: 500.
    #[error(transparent)]
    Extract(#[from] ExtractRejection),
    /// The handler answered something that cannot be sent: 500.
    #[error("the answer of the event handler cannot be sent: {0}")]
    Answer(#[from] AnswerError),
    /// The handler panicked: 500.
    #[error("the event handler panicked")]
    Panicked,
    /// The handler was shut down: 503.
    #[error("the event handler is shutting down")]
    ShuttingDown,
}

/// What a request lacks to be for this handler. Ordered by how far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// It goes to another path.
    #[error("no event handler listens on this path")]
    Path,
    /// Its method is neither OPTIONS nor POST.
    #[error("event handlers take OPTIONS and POST only")]
    Method,
    /// It lacks the header by which the service is known.
    #[error("the header ce-awpsversion is missing: only Web PubSub calls this path")]
    NotWebPubSub,
    /// An event without origin.
    #[error("the header WebHook-Request-Origin is missing")]
    Origin,
    /// An event of a kind that the service does not know.
    #[error("the header ce-type is missing, or names no event of Web PubSub")]
    EventType,
    /// An event of another hub.
    #[error("the header ce-hub is missing, or names a hub that this path does not serve")]
    Hub,
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureRejection {
    /// There is none.
    #[error("the header ce-signature is missing: the request does not come from Web PubSub")]
    Missing,
    /// It was made with none of the keys.
    #[error(
        "the signature fits none of the access keys: compare them with the keys of the resource"
    )]
    Wrong,
}

/// A header that an event cannot have. Never shows its value.
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
    /// It stands more than once.
    #[error("stands more than once")]
    Repeated,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It holds control characters.
    #[error("holds control characters")]
    ControlCharacter,
    /// The connection state is not what it should be.
    #[error("is not base64 of a JSON object")]
    NotState,
}

/// Why a body cannot be taken. Never shows the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyRejection {
    /// It is encoded, so that a limit on its bytes would mean nothing: 415.
    #[error("bodies with a Content-Encoding are not taken; send them as they are")]
    ContentEncoding,
    /// A user event without content type: 415.
    #[error("the header Content-Type is missing: the kind of the payload is unknown")]
    MissingContentType,
    /// A user event with a content type that the service does not send: 415.
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
    /// The connection failed while it was read: 400.
    #[error("the body could not be read to its end")]
    Incomplete,
    /// Text that is not UTF-8: 400.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON: 400.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Json {
        /// Where it stops being JSON.
        line: usize,
        /// Where it stops being JSON.
        column: usize,
    },
    /// JSON, but not the body of this event: 400.
    #[error("the body does not fit the event (line {line}, column {column})")]
    Shape {
        /// Where it stops to fit.
        line: usize,
        /// Where it stops to fit.
        column: usize,
    },
    /// `connect` of an MQTT client without the part that says so: 400.
    #[error("the body of an MQTT connect lacks `mqtt`")]
    NoMqtt,
    /// Not a serialised `google.protobuf.Any`: 400.
    #[error("the body is not a serialised google.protobuf.Any")]
    NotProtobuf,
}

/// The payload of a user event is not what the handler wants: 400. Never shows the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handler of this event cannot take its {found} payload{}", At(*.position))]
#[non_exhaustive]
pub struct PayloadRejection {
    /// The kind of payload that came: `text`, `json`, `binary` or `protobuf`.
    pub found: &'static str,
    /// Line and column where JSON stops to fit.
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

/// An extractor was used where its event is not at hand: a mistake in the program, 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractRejection {
    /// The function is not registered with an event handler.
    #[error("{extractor} works only in functions that a WebPubSubEventHandler calls")]
    NoEvent {
        /// The extractor's name.
        extractor: &'static str,
    },
    /// The function is registered for another event.
    #[error("{extractor} was used in the handler of another event")]
    OtherEvent {
        /// The extractor's name.
        extractor: &'static str,
    },
}

/// Why an answer cannot be sent: a mistake in the program, 500. Never shows what was to be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The user id holds control characters.
    #[error("the user id holds control characters")]
    UserId,
    /// The metadata breaks the rules.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// A value of the connection state cannot be written as JSON, or the name holds control characters.
    #[error("the value `{name}` of the connection state cannot be written")]
    State {
        /// The name of the value; empty when the whole state was to be set and is no object.
        name: String,
    },
    /// The payload cannot be written as JSON.
    #[error("the payload cannot be written as JSON")]
    Json,
    /// A failure needs a status from 400 to 599.
    #[error("a failure needs a status from 400 to 599")]
    Status,
}

impl Rejection {
    /// The status of the answer.
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
