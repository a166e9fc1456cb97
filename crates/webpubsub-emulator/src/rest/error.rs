//! Every answer that is not a success, named by its cause.
//!
//! Two bodies exist, as recorded from the live service: the ordinary object, and the framework's
//! problem document for filters. A `HEAD` answer has no body but announces the length that the body
//! would have had.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use webpubsub_protocol::access::TokenError;
use webpubsub_protocol::filter::FilterError;
use webpubsub_protocol::metadata::InvalidMetadata;
use webpubsub_protocol::permission::Permission;

use super::params::BadParameter;
use crate::http::error_body;
use crate::refusal::{Refusal, Refused};
use crate::traffic::TokenMismatch;

/// The header that repeats the code of an error.
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

const BAD_REQUEST: &str = "Error.BadRequest";
const REQUEST: &str = "Request";
const CONNECTION: &str = "Connection";

/// An error answer. Made by the constructor that names the cause, never built in place.
#[derive(Debug)]
pub(super) struct RestError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    target: &'static str,
    form: Form,
    extra: Option<Extra>,
    /// What is wrong with the token, where that is the reason.
    token: Option<Box<TokenMismatch>>,
}

/// Which body the answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ordinary,
    Problem,
    /// No body and no code.
    Empty,
}

/// A header that only some answers have.
#[derive(Debug, Clone)]
enum Extra {
    /// The methods of a path.
    Allow(String),
    /// How to authorise; with what was wrong with the token, if there was one.
    Challenge(Option<TokenError>),
    /// Seconds until it is worth trying again.
    RetryAfter(u32),
}

// What was asked for, and by whom.
impl RestError {
    pub(super) fn unknown_path() -> Self {
        Self::ordinary(
            StatusCode::NOT_FOUND,
            "Error.NotFound",
            REQUEST,
            "No operation has this path. Paths start with `/api/hubs/{hub}/`, and values in them \
             are percent-encoded.",
        )
    }

    pub(super) fn unknown_method(allow: String) -> Self {
        let message = format!("The operations at this path have other methods. Allowed: {allow}.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::ordinary(status, "Error.MethodNotAllowed", REQUEST, message).with(Extra::Allow(allow))
    }

    pub(super) fn bad_parameter(bad: BadParameter) -> Self {
        Self::ordinary(
            StatusCode::BAD_REQUEST,
            BAD_REQUEST,
            bad.target,
            bad.message,
        )
    }

    pub(super) fn no_token() -> Self {
        let message =
            "An access token is required: send the header `Authorization: Bearer <token>`.";
        Self::unauthorized(message.into(), None)
    }

    pub(super) fn bad_token(error: TokenError, expected_audience: &str) -> Self {
        let advice = match error {
            TokenError::Audience => format!(
                " It must be `{expected_audience}`, with any of the schemes http, https, ws and \
                 wss; a longer path or a query may follow."
            ),
            TokenError::Signature => {
                " Sign with the access key as it stands in the connection string, undecoded.".into()
            }
            TokenError::Expired | TokenError::NotYetValid => {
                " The clocks may differ by at most 5 minutes.".into()
            }
            TokenError::EntraRefused => {
                " Start the emulator with --accept-unvalidated-entra-tokens to accept them, \
                 unvalidated."
                    .into()
            }
            _ => String::new(),
        };
        Self::unauthorized(
            format!("The access token is refused: {error}.{advice}"),
            Some(error),
        )
    }

    /// Says for the traffic log what is wrong with the token.
    pub(super) fn because(self, mismatch: TokenMismatch) -> Self {
        Self {
            token: Some(Box::new(mismatch)),
            ..self
        }
    }

    /// What the traffic log shows.
    pub(super) fn to_refused(&self) -> Refused {
        Refused {
            reason: self.message.clone().into_owned(),
            token: self.token.clone(),
        }
    }

    /// An operation that may not be carried out now, whoever calls it.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        let code = match refusal {
            Refusal::Stopping => "Error.ServiceUnavailable",
            Refusal::Fault { status, .. } => match *status {
                StatusCode::TOO_MANY_REQUESTS => "Error.TooManyRequests",
                StatusCode::SERVICE_UNAVAILABLE => "Error.ServiceUnavailable",
                status if status.is_server_error() => "Error.InternalServerError",
                _ => "Error.Refused",
            },
            _ => "Error.Refused",
        };
        let error = Self::ordinary(refusal.status(), code, REQUEST, refusal.to_string());
        match refusal.retry_after() {
            Some(seconds) => error.with(Extra::RetryAfter(seconds)),
            None => error,
        }
    }

    fn unauthorized(message: String, error: Option<TokenError>) -> Self {
        Self::ordinary(
            StatusCode::UNAUTHORIZED,
            "Error.Unauthorized",
            REQUEST,
            message,
        )
        .with(Extra::Challenge(error))
    }
}

// What the body holds.
impl RestError {
    /// A filter in the query.
    pub(super) fn bad_filter(error: &FilterError) -> Self {
        Self::problem("filter", error)
    }

    /// A filter in the body: recorded with a capital.
    pub(super) fn bad_body_filter(error: &FilterError) -> Self {
        Self::problem("Filter", error)
    }

    pub(super) fn bad_length() -> Self {
        Self::bad_request("Invalid Content-Length header.")
    }

    pub(super) fn body_cut_short() -> Self {
        Self::bad_request("The request body ended before its announced length.")
    }

    pub(super) fn bad_text(charset: &str) -> Self {
        Self::bad_request(format!(
            "The request body is not valid text in the charset {charset}."
        ))
    }

    pub(super) fn bad_json() -> Self {
        Self::bad_request("The request body is not a valid JSON.")
    }

    pub(super) fn deep_json(limit: usize) -> Self {
        Self::bad_request(format!(
            "The request body is nested deeper than {limit} levels."
        ))
    }

    pub(super) fn bad_protobuf() -> Self {
        Self::bad_request("The request body is not a serialised google.protobuf.Any.")
    }

    pub(super) fn bad_groups_request() -> Self {
        Self::bad_request("The request body is not a valid groups request.")
    }

    pub(super) fn bad_group_names() -> Self {
        Self::bad_request("A nonempty list of valid group names is required.")
    }

    pub(super) fn bad_metadata(error: &InvalidMetadata) -> Self {
        Self::bad_request(error.to_string())
    }

    pub(super) fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::ordinary(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Error.UnsupportedMediaType",
            REQUEST,
            message,
        )
    }

    fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::ordinary(StatusCode::BAD_REQUEST, BAD_REQUEST, REQUEST, message)
    }
}

// What is not there. Messages of `HEAD` answers travel only as a length.
impl RestError {
    pub(super) fn no_connection(connection: &str) -> Self {
        let message = connection_not_found(connection);
        Self::not_found("Warning.Connection.NotExisted", CONNECTION, message)
    }

    pub(super) fn no_user(user: &str) -> Self {
        let message = format!("User `{user}` is not found.");
        Self::not_found("Warning.User.NotExisted", "User", message)
    }

    /// The service's text is not known, but its length is; these words fit the recorded one.
    pub(super) fn no_group(group: &str) -> Self {
        let message = format!("Group `{group}` is empty.");
        Self::not_found("Warning.Group.NotExisted", "Group", message)
    }

    pub(super) fn no_connection_to_add(connection: &str) -> Self {
        let message = connection_not_found(connection);
        Self::not_found("Error.Connection.NotExisted", CONNECTION, message)
    }

    pub(super) fn no_connection_to_permit(connection: &str) -> Self {
        let message = connection_not_found(connection);
        Self::not_found("Info.Connection.NotExisted", CONNECTION, message)
    }

    pub(super) fn no_permission(connection: &str, permission: Permission) -> Self {
        let message =
            format!("Connection `{connection}` doesn't have the permission `{permission}`.");
        Self::not_found("Info.Connection.NotExisted", CONNECTION, message)
    }

    pub(super) fn too_many_permissions(connection: &str, permission: Permission) -> Self {
        let message = format!(
            "Connection `{connection}` has reached the limit of 1000 literal permissions for \
             `{permission}`."
        );
        Self::ordinary(
            StatusCode::CONFLICT,
            "Error.Connection.Conflict",
            CONNECTION,
            message,
        )
    }

    /// A user without a connection cannot be added to a group; the answer has no body.
    pub(super) fn no_user_to_add() -> Self {
        Self {
            form: Form::Empty,
            ..Self::not_found("", "", String::new())
        }
    }

    fn not_found(code: &'static str, target: &'static str, message: String) -> Self {
        Self::ordinary(StatusCode::NOT_FOUND, code, target, message)
    }
}

impl RestError {
    fn ordinary(
        status: StatusCode,
        code: &'static str,
        target: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
            target,
            form: Form::Ordinary,
            extra: None,
            token: None,
        }
    }

    fn problem(target: &'static str, error: &FilterError) -> Self {
        let ordinary = Self::ordinary(
            StatusCode::BAD_REQUEST,
            BAD_REQUEST,
            target,
            error.to_string(),
        );
        Self {
            form: Form::Problem,
            ..ordinary
        }
    }

    fn with(self, extra: Extra) -> Self {
        Self {
            extra: Some(extra),
            ..self
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// For the log: repeats parts of the request, never a token.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the answer names the versions that are supported; problem documents do not.
    pub(super) fn names_versions(&self) -> bool {
        self.form != Form::Problem
    }

    /// The answer, to a `HEAD` request when `head`.
    pub(super) fn into_response(self, head: bool) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(self.extra.as_ref().map(Extra::header));
        let Some((content_type, body)) = self.body() else {
            return response;
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if !head {
            *response.body_mut() = body.into();
        }
        response
    }

    fn body(&self) -> Option<(&'static str, String)> {
        match self.form {
            Form::Empty => None,
            Form::Ordinary => {
                let body = error_body(self.code, &self.message, self.target);
                Some(("application/json; charset=utf-8", body))
            }
            Form::Problem => {
                let body = to_json(&ProblemBody {
                    code: self.code,
                    message: &self.message,
                    target: self.target,
                    errors: [(self.target, [&*self.message])].into(),
                    r#type: None,
                    title: "One or more validation errors occurred.",
                    status: self.status.as_u16(),
                    detail: None,
                    instance: None,
                    extensions: [].into(),
                });
                Some(("application/problem+json; charset=utf-8", body))
            }
        }
    }
}

impl Extra {
    fn header(&self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Allow(methods) => {
                let value = HeaderValue::try_from(methods);
                (header::ALLOW, value.expect("methods are ASCII"))
            }
            Self::RetryAfter(seconds) => (header::RETRY_AFTER, HeaderValue::from(*seconds)),
            Self::Challenge(None) => (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            // The cause alone: the message in the body repeats what the caller sent.
            Self::Challenge(Some(error)) => {
                let challenge =
                    format!("Bearer error=\"invalid_token\", error_description=\"{error}\"");
                let value = HeaderValue::try_from(challenge);
                (
                    header::WWW_AUTHENTICATE,
                    value.expect("token errors are printable ASCII"),
                )
            }
        }
    }
}

fn connection_not_found(connection: &str) -> String {
    format!("Connection `{connection}` is not found.")
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings and numbers always serialise")
}

/// Members that this service never fills, written as null.
type Never = ();
type Map<'a, T> = std::collections::BTreeMap<&'a str, T>;

#[derive(Serialize)]
struct ProblemBody<'a> {
    code: &'a str,
    message: &'a str,
    target: &'a str,
    errors: Map<'a, [&'a str; 1]>,
    r#type: Option<Never>,
    title: &'a str,
    status: u16,
    detail: Option<Never>,
    instance: Option<Never>,
    extensions: Map<'a, Never>,
}

#[cfg(test)]
mod tests {
    use webpubsub_protocol::filter::Filter;

    use super::*;

    fn body(error: &RestError) -> String {
        error.body().expect("has a body").1
    }

    #[test]
    fn the_problem_document_is_the_recorded_one_to_the_byte() {
        let error = RestError::bad_filter(&Filter::parse("invalid filter").unwrap_err());
        let expected = concat!(
            r#"{"code":"Error.BadRequest","message":"Invalid syntax for 'invalid filter': Syntax "#,
            r#"error at position 14 in 'invalid filter'. (Parameter 'filter')","target":"filter","#,
            r#""errors":{"filter":["Invalid syntax for 'invalid filter': Syntax error at position "#,
            r#"14 in 'invalid filter'. (Parameter 'filter')"]},"type":null,"title":"One or more "#,
            r#"validation errors occurred.","status":400,"detail":null,"instance":null,"#,
            r#""extensions":{}}"#,
        );
        assert_eq!(body(&error), expected);
        assert_eq!(expected.len(), 416);
        assert!(!error.names_versions());
    }

    #[test]
    fn head_answers_have_the_recorded_lengths() {
        let table = [
            (
                RestError::no_group("foo"),
                "119",
                "Warning.Group.NotExisted",
            ),
            (RestError::no_user("foo"), "120", "Warning.User.NotExisted"),
            (
                RestError::no_connection("xxxx"),
                "139",
                "Warning.Connection.NotExisted",
            ),
            (
                RestError::no_connection_to_permit("xxxx"),
                "136",
                "Info.Connection.NotExisted",
            ),
        ];
        for (error, length, code) in table {
            let response = error.into_response(true);
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()[header::CONTENT_LENGTH], length, "{code}");
            assert_eq!(response.headers()[ERROR_CODE], code);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/json; charset=utf-8"
            );
        }
    }

    #[test]
    fn the_ordinary_body_is_the_recorded_one() {
        assert_eq!(
            body(&RestError::no_connection_to_add("xxxx")),
            r#"{"code":"Error.Connection.NotExisted","message":"Connection `xxxx` is not found.","target":"Connection","details":null,"innererror":null}"#
        );
    }

    #[test]
    fn refused_tokens_say_why_without_the_callers_words_in_the_challenge() {
        let error = RestError::bad_token(TokenError::Audience, "http://h/\"quoted");
        assert!(error.message().contains("`http://h/\"quoted`"));
        let response = error.into_response(false);
        assert_eq!(
            response.headers()[header::WWW_AUTHENTICATE],
            "Bearer error=\"invalid_token\", error_description=\"the audience does not match\""
        );
        let quoted = RestError::bad_token(TokenError::MissingClaim("exp"), "").into_response(false);
        assert_eq!(
            quoted
                .headers()
                .get_all(header::WWW_AUTHENTICATE)
                .iter()
                .count(),
            1
        );
    }
}
