//! What the service answers when a call fails.

use std::fmt;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        RawResponse, StatusCode,
        headers::{CONTENT_TYPE, HeaderName},
    },
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
/// In characters.
const LONGEST_TEXT: usize = 300;
const REQUEST_IDS: [HeaderName; 2] = [
    HeaderName::from_static("x-ms-request-id"),
    HeaderName::from_static("x-ms-client-request-id"),
];

/// Access to the service's answer in the error of a failed call.
///
/// ```
/// use webpubsub::{ServiceErrorExt, WebPubSubGroup};
///
/// async fn add(group: &WebPubSubGroup, connection_id: &str) -> azure_core::Result<bool> {
///     match group.add_connection(connection_id).await {
///         Ok(()) => Ok(true),
///         Err(error) => match error.service_error() {
///             Some(reason) if reason.code() == "Error.Connection.NotExisted" => Ok(false),
///             _ => Err(error),
///         },
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let client = webpubsub::WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")?;
/// assert!(!add(&client.group("room-7"), "nobody").await?);
/// # emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub trait ServiceErrorExt {
    /// The answer of the service; `None` if the call failed before there was one.
    fn service_error(&self) -> Option<ServiceError>;
}

impl ServiceErrorExt for Error {
    fn service_error(&self) -> Option<ServiceError> {
        match self.kind() {
            ErrorKind::HttpResponse {
                raw_response: Some(response),
                ..
            } => Some(ServiceError::read(response)),
            _ => None,
        }
    }
}

/// An error as the service reports it, read from the status, headers and body of its response.
///
/// All forms of body that the service uses are understood: bare (`{"code","message",..}`), wrapped in `error`, and
/// `application/problem+json`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceError {
    status: StatusCode,
    code: String,
    message: Option<String>,
    target: Option<String>,
    details: Vec<ServiceErrorDetail>,
    request_id: Option<String>,
}

impl ServiceError {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The error code, for example `Error.Connection.NotExisted`. It is taken from the body, otherwise from the header
    /// `x-ms-error-code`, otherwise it is the reason phrase of the status.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The error message of the service. If the response is plain text, as gateways send, its text, cut after 300
    /// characters. Responses to existence checks have no message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The subject of the error, for example `Connection`, `filter` or `Request`.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Individual problems, for example one for each invalid parameter. Usually empty.
    #[must_use]
    pub fn details(&self) -> &[ServiceErrorDetail] {
        &self.details
    }

    /// The id of the request: the one that the service assigned, otherwise that of the client. Quote it in support requests.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    fn read(response: &RawResponse) -> Self {
        let status = response.status();
        let body = ErrorBody::parse(response.body());
        let header = |name: &HeaderName| {
            response
                .headers()
                .get_optional_string(name)
                .filter(|value| !value.is_empty())
        };
        let code = body
            .code
            .or_else(|| header(&ERROR_CODE))
            .unwrap_or_else(|| status.canonical_reason().into_owned());
        let details = body
            .details
            .into_iter()
            .chain(problem_details(body.errors))
            .collect();
        Self {
            status,
            code,
            message: body
                .message
                .or(body.detail)
                .or(body.title)
                .or_else(|| plain_text(response)),
            target: body.target,
            details,
            request_id: REQUEST_IDS.iter().find_map(header),
        }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.status.canonical_reason();
        if let Some(message) = &self.message {
            write!(f, "{message} (")?;
        }
        write!(f, "{} {reason}", u16::from(self.status))?;
        if self.code != reason {
            write!(f, ", {}", self.code)?;
        }
        if let Some(target) = &self.target {
            write!(f, ", target {target}")?;
        }
        if self.message.is_some() {
            f.write_str(")")
        } else {
            Ok(())
        }
    }
}

impl std::error::Error for ServiceError {}

/// One of several problems with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServiceErrorDetail {
    /// The error code.
    pub code: Option<String>,
    /// The error message.
    pub message: Option<String>,
    /// The subject of the error.
    pub target: Option<String>,
}

/// The error for a response whose status is not one of the documented successes.
pub(crate) fn refused(call: &str, response: RawResponse) -> Error {
    let service_error = ServiceError::read(&response);
    let hint = match service_error.status {
        StatusCode::Unauthorized => {
            "; check that the access key or credential belongs to this endpoint, and this machine's clock"
        }
        StatusCode::Forbidden => {
            "; the credential's principal needs the role `Web PubSub Service Owner`"
        }
        _ => "",
    };
    let message = format!("{call}: {service_error}{hint}");
    let kind = ErrorKind::HttpResponse {
        status: service_error.status,
        error_code: Some(service_error.code),
        raw_response: Some(Box::new(response)),
    };
    Error::with_message(kind, message)
}

/// All members of all forms. Members of unexpected types count as absent, so that an error never hides behind another one.
#[derive(Default)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    target: Option<String>,
    details: Vec<ServiceErrorDetail>,
    /// Of `problem+json`: `{"<target>": ["<message>"]}`.
    errors: Option<Value>,
    detail: Option<String>,
    title: Option<String>,
}

impl ErrorBody {
    fn parse(body: &[u8]) -> Self {
        let Ok(Value::Object(mut bare)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let mut members = match bare.remove("error") {
            Some(Value::Object(wrapped)) => wrapped,
            _ => bare,
        };
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        Self {
            code: text("code"),
            message: text("message"),
            target: text("target"),
            detail: text("detail"),
            title: text("title"),
            details: members
                .remove("details")
                .and_then(|list| serde_json::from_value(list).ok())
                .unwrap_or_default(),
            errors: members.remove("errors"),
        }
    }
}

/// The text of a response that comes from something between the client and the service.
fn plain_text(response: &RawResponse) -> Option<String> {
    let content_type = response.headers().get_optional_str(&CONTENT_TYPE);
    let is_text = match content_type.and_then(|value| value.split(';').next()) {
        Some(media_type) => media_type.trim().eq_ignore_ascii_case("text/plain"),
        None => true,
    };
    let body = std::str::from_utf8(response.body()).ok()?.trim_start();
    let is_json = serde_json::from_str::<IgnoredAny>(body).is_ok();
    if !is_text || is_json || body.starts_with(['<', '{']) {
        return None;
    }
    shorten(body)
}

/// One line without control characters, because it may end up in a log. `None` if nothing is left.
fn shorten(text: &str) -> Option<String> {
    let one_line = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = one_line.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => Some(format!("{}…", &line[..end])),
        None if line.is_empty() => None,
        None => Some(line),
    }
}

fn problem_details(errors: Option<Value>) -> Vec<ServiceErrorDetail> {
    let Some(Value::Object(errors)) = errors else {
        return Vec::new();
    };
    let mut details = Vec::new();
    for (target, messages) in errors {
        let Value::Array(messages) = messages else {
            continue;
        };
        for message in messages {
            let message = message.as_str().map(str::to_owned);
            details.push(ServiceErrorDetail {
                code: None,
                message,
                target: Some(target.clone()),
            });
        }
    }
    details
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;
    use serde_json::json;

    use super::*;

    fn response(status: u16, code: Option<&'static str>, body: &str) -> RawResponse {
        let mut headers = Headers::new();
        if let Some(code) = code {
            headers.insert("x-ms-error-code", code);
        }
        RawResponse::from_bytes(StatusCode::from(status), headers, body.to_owned())
    }

    fn read(status: u16, code: Option<&'static str>, body: &str) -> ServiceError {
        ServiceError::read(&response(status, code, body))
    }

    #[test]
    fn bare_body_as_recorded() {
        let body = json!({
            "code": "Error.Connection.NotExisted", "message": "Connection `x` is not found.", "target": "Connection",
            "details": null, "innererror": null,
        });
        let error = read(404, Some("Error.Connection.NotExisted"), &body.to_string());
        assert_eq!(error.code(), "Error.Connection.NotExisted");
        assert_eq!(error.message(), Some("Connection `x` is not found."));
        assert_eq!(error.target(), Some("Connection"));
        assert_eq!(error.details(), []);
        assert_eq!(
            error.to_string(),
            "Connection `x` is not found. (404 Not Found, Error.Connection.NotExisted, target Connection)"
        );
    }

    #[test]
    fn wrapped_body_wins_over_bare_members_and_header() {
        let body = json!({
            "code": "outer",
            "error": {
                "code": "BadRequest", "message": "m", "target": null,
                "details": [{"code": "c", "message": "d"}, {"target": "t"}],
                "innererror": {"code": "x", "innererror": null},
            },
        });
        let error = read(400, Some("header"), &body.to_string());
        assert_eq!(
            (error.code(), error.message(), error.target()),
            ("BadRequest", Some("m"), None)
        );
        assert_eq!(error.details().len(), 2);
        assert_eq!(error.details()[0].message.as_deref(), Some("d"));
        assert_eq!(error.details()[1].target.as_deref(), Some("t"));
    }

    #[test]
    fn problem_json_as_recorded() {
        let message = "Invalid syntax for 'invalid filter': Syntax error at position 14 in 'invalid filter'. (Parameter 'filter')";
        let body = json!({
            "code": "Error.BadRequest", "message": message, "target": "filter", "errors": {"filter": [message]},
            "type": null, "title": "One or more validation errors occurred.", "status": 400, "detail": null,
            "instance": null, "extensions": null,
        });
        let error = read(400, Some("Error.BadRequest"), &body.to_string());
        assert_eq!(error.message(), Some(message));
        assert_eq!(error.details()[0].target.as_deref(), Some("filter"));
        assert_eq!(error.details()[0].message.as_deref(), Some(message));

        let error = read(
            400,
            None,
            r#"{"title":"One or more validation errors occurred.","status":400}"#,
        );
        assert_eq!(
            error.message(),
            Some("One or more validation errors occurred.")
        );
        assert_eq!(error.code(), "Bad Request");
    }

    #[test]
    fn without_a_body_the_header_speaks_then_the_status() {
        let error = read(404, Some("Warning.User.NotExisted"), "");
        assert_eq!(
            (error.code(), error.message()),
            ("Warning.User.NotExisted", None)
        );
        assert_eq!(error.to_string(), "404 Not Found, Warning.User.NotExisted");
        assert_eq!(read(401, None, "").to_string(), "401 Unauthorized");
        assert_eq!(read(502, None, "<html>").code(), "Bad Gateway");
    }

    #[test]
    fn plain_text_of_a_gateway_is_the_message() {
        let text = |content_type: Option<&'static str>, body: &str| {
            let mut headers = Headers::new();
            if let Some(content_type) = content_type {
                headers.insert("content-type", content_type);
            }
            let response =
                RawResponse::from_bytes(StatusCode::BadGateway, headers, body.to_owned());
            ServiceError::read(&response).message
        };
        let plain = Some("Text/Plain; charset=utf-8");
        let found = text(plain, "no healthy\r\n upstream\u{1b}[31m\n");
        assert_eq!(found.as_deref(), Some("no healthy upstream [31m"));
        assert_eq!(
            text(None, "upstream down").as_deref(),
            Some("upstream down")
        );

        let long = text(plain, &"é".repeat(301)).expect("a message");
        assert_eq!(long, format!("{}…", "é".repeat(300)));
        assert_eq!(text(plain, &"é".repeat(300)), Some("é".repeat(300)));

        assert_eq!(text(Some("text/html"), "<h1>Bad Gateway</h1>"), None);
        assert_eq!(text(Some("application/json"), "nothing"), None);
        assert_eq!(text(None, "<html>"), None);
        assert_eq!(text(plain, " \r\n"), None);
        assert_eq!(
            read(503, None, "no healthy upstream").to_string(),
            "no healthy upstream (503 Service Unavailable)"
        );
    }

    #[test]
    fn strange_bodies_do_no_harm() {
        for body in [
            "null",
            "[]",
            "\"x\"",
            "{",
            "{\"code\":5,\"message\":[],\"details\":7,\"errors\":{\"a\":1}}",
            "{\"error\":null}",
        ] {
            let error = read(400, None, body);
            assert_eq!(
                (error.code(), error.message(), error.details().len()),
                ("Bad Request", None, 0),
                "{body}"
            );
        }
    }

    #[test]
    fn errors_show_the_message_and_survive_context() {
        let body = json!({"code": "Error.BadRequest", "message": "Invalid group name.", "target": "Request"});
        let error = refused("send_to_all", response(400, None, &body.to_string()));
        assert_eq!(
            error.to_string(),
            "send_to_all: Invalid group name. (400 Bad Request, Error.BadRequest, target Request)"
        );
        assert_eq!(error.http_status(), Some(StatusCode::BadRequest));
        assert!(
            std::error::Error::source(&error).is_none(),
            "the message is not said twice"
        );
        let error = error.with_context("while announcing");
        assert_eq!(
            error.service_error().unwrap().message(),
            Some("Invalid group name.")
        );
        assert_eq!(
            Error::with_message(ErrorKind::Io, "x").service_error(),
            None
        );
    }

    #[test]
    fn refusals_of_credentials_say_what_to_check() {
        assert!(
            refused("x", response(401, None, ""))
                .to_string()
                .contains("access key")
        );
        assert!(
            refused("x", response(403, None, ""))
                .to_string()
                .contains("Web PubSub Service Owner")
        );
    }
}
