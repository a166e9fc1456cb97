//! What a handler's answer means.

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use webpubsub_protocol::cloud_event::data_type;
use webpubsub_protocol::cloud_event::header::CE_CONNECTION_STATE;
use webpubsub_protocol::frame::json::depth_is_within;
use webpubsub_protocol::limits;
use webpubsub_protocol::metadata::{InvalidMetadata, Metadata};
use webpubsub_protocol::name::{GroupName, UserId};
use webpubsub_protocol::payload::{DataType, Payload};

use crate::hub::Reply;

/// An answer, read to its end. Without `Debug`: it holds what handlers tell their clients.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why an answer cannot be used. Never shows its body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("HttpHandlerUnexpectedResponse: it answered {0}")]
    Status(StatusCode),
    #[error(
        "HttpHandlerUnexpectedResponse: it answered {0}; redirects are not followed, so give the handler's own URL"
    )]
    Redirect(StatusCode),
    #[error("its body is encoded (`Content-Encoding`), although that was not asked for")]
    Encoded,
    #[error(
        "its Content-Type is `{0}`; use text/plain, application/json, application/octet-stream or application/x-protobuf"
    )]
    ContentType(String),
    #[error("its body is not the {0} that its Content-Type promises")]
    Body(&'static str),
    #[error("its metadata headers are invalid: {0}")]
    Metadata(InvalidMetadata),
    #[error("its body is no JSON object")]
    NoObject,
    #[error("`{0}` in its body is not what it should be: {1}")]
    Member(&'static str, &'static str),
}

/// What an accepting answer to `connect` changes; `None` keeps what the token said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// `Some(None)` makes the connection anonymous.
    pub(crate) user: Option<Option<UserId>>,
    pub(crate) groups: Option<Vec<GroupName>>,
    pub(crate) roles: Option<Vec<String>>,
    /// As the handler spells it.
    pub(crate) subprotocol: Option<String>,
}

/// The state that an answer leaves with its connection. Of several lines the last one counts; an empty one does, too.
pub(super) fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get_all(CE_CONNECTION_STATE)
        .iter()
        .next_back()
        .cloned()
}

/// The answer to `connect`.
///
/// # Errors
///
/// The answer refuses the client, or cannot be used.
pub(super) fn connect(answer: &Answer) -> Result<Accepted, Unusable> {
    succeeded(answer)?;
    if answer.body.trim_ascii().is_empty() {
        return Ok(Accepted::default());
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Null) => Ok(Accepted::default()),
        Ok(Value::Object(members)) => accepted(members),
        Ok(_) | Err(_) => Err(Unusable::NoObject),
    }
}

/// Member names are not case-sensitive. Unknown ones are ignored, `null` is as good as absent.
fn accepted(members: Map<String, Value>) -> Result<Accepted, Unusable> {
    let mut accepted = Accepted::default();
    for (name, value) in members {
        if value.is_null() {
            continue;
        }
        match name.to_ascii_lowercase().as_str() {
            "userid" => {
                let user = string("userId", value)?;
                // A user id of blanks only cannot be addressed, so it is as good as none.
                accepted.user = Some(UserId::new(user).ok());
            }
            "groups" => {
                let names = strings("groups", value)?.into_iter().map(GroupName::new);
                let names: Result<Vec<_>, _> = names.collect();
                let names = names
                    .map_err(|_| Unusable::Member("groups", "a name of a group is invalid"))?;
                // An empty list keeps the token's groups, other than an empty list of roles.
                accepted.groups = Some(names).filter(|names| !names.is_empty());
            }
            "roles" => accepted.roles = Some(strings("roles", value)?),
            "subprotocol" => choose(&mut accepted, string("subprotocol", value)?),
            // The documentation's prose says so once.
            "subprotocols" => match strings("subprotocols", value)?.as_slice() {
                [] => {}
                [one] => choose(&mut accepted, one.clone()),
                _ => return Err(Unusable::Member("subprotocols", "one must be chosen")),
            },
            _ => {}
        }
    }
    Ok(accepted)
}

fn choose(accepted: &mut Accepted, subprotocol: String) {
    if !subprotocol.is_empty() {
        accepted.subprotocol = Some(subprotocol);
    }
}

fn string(name: &'static str, value: Value) -> Result<String, Unusable> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Unusable::Member(name, "a string was expected")),
    }
}

fn strings(name: &'static str, value: Value) -> Result<Vec<String>, Unusable> {
    let wrong = || Unusable::Member(name, "a list of strings was expected");
    let Value::Array(items) = value else {
        return Err(wrong());
    };
    let items = items.into_iter().map(|item| match item {
        Value::String(text) => Ok(text),
        _ => Err(wrong()),
    });
    items.collect()
}

/// The answer to a user event.
///
/// # Errors
///
/// The answer reports a failure, or cannot be passed on to a client.
pub(super) fn user_event(answer: Answer) -> Result<Reply, Unusable> {
    succeeded(&answer)?;
    let metadata = metadata(&answer.headers).map_err(Unusable::Metadata)?;
    let payload = if answer.body.is_empty() {
        None
    } else {
        Some(payload(&answer.headers, answer.body)?)
    };
    Ok(Reply { payload, metadata })
}

fn payload(headers: &HeaderMap, body: Bytes) -> Result<Payload, Unusable> {
    let kind = match headers.get(header::CONTENT_TYPE) {
        None => DataType::Binary,
        Some(value) => {
            let text = String::from_utf8_lossy(value.as_bytes());
            data_type(&text).ok_or_else(|| Unusable::ContentType(text.into_owned()))?
        }
    };
    match kind {
        DataType::Text => text(body, "UTF-8 text").map(Payload::Text),
        DataType::Json => {
            let text = text(body, "JSON")?;
            let fits = depth_is_within(text.as_bytes(), limits::JSON_PAYLOAD_DEPTH);
            if !fits || serde_json::from_str::<IgnoredAny>(&text).is_err() {
                return Err(Unusable::Body("JSON"));
            }
            Ok(Payload::Json(text))
        }
        DataType::Binary => Ok(Payload::Binary(body)),
        DataType::Protobuf => Payload::protobuf(body).ok_or(Unusable::Body("protobuf `Any`")),
    }
}

fn text(body: Bytes, what: &'static str) -> Result<ByteString, Unusable> {
    ByteString::try_from(body).map_err(|_| Unusable::Body(what))
}

pub(super) fn succeeded(answer: &Answer) -> Result<(), Unusable> {
    let status = answer.status;
    if status.is_redirection() {
        return Err(Unusable::Redirect(status));
    }
    if !status.is_success() {
        return Err(Unusable::Status(status));
    }
    let mut encodings = answer.headers.get_all(header::CONTENT_ENCODING).iter();
    if !answer.body.is_empty() && encodings.any(|value| value != "identity") {
        return Err(Unusable::Encoded);
    }
    Ok(())
}

/// The metadata of an answer, from its headers; those without a key do not count.
fn metadata(headers: &HeaderMap) -> Result<Metadata, InvalidMetadata> {
    Metadata::new(crate::headers::metadata(headers).filter(|(key, _)| !key.is_empty()))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn connected(body: &str) -> Result<Accepted, Unusable> {
        connect(&answer(200, &[], body))
    }

    fn groups(names: &[&str]) -> Option<Vec<GroupName>> {
        Some(
            names
                .iter()
                .map(|name| GroupName::new(*name).unwrap())
                .collect(),
        )
    }

    fn user(name: &str) -> Option<Option<UserId>> {
        Some(Some(UserId::new(name).unwrap()))
    }

    #[test]
    fn an_empty_answer_to_connect_keeps_everything() {
        for (status, body) in [
            (200, ""),
            (204, ""),
            (299, " \r\n"),
            (200, "null"),
            (200, "{}"),
            (
                200,
                r#"{"userId":null,"groups":null,"roles":null,"subprotocol":null,"other":[1]}"#,
            ),
            (200, r#"{"groups":[],"subprotocol":"","subprotocols":[]}"#),
        ] {
            let result = connect(&answer(status, &[], body));
            assert_eq!(result, Ok(Accepted::default()), "{status} {body}");
        }
    }

    #[test]
    fn connect_overrides_what_it_names() {
        let body = r#"{"groups":["g 1"],"userId":"u","roles":["r"],"subprotocol":"p"}"#;
        let expected = || Accepted {
            user: user("u"),
            groups: groups(&["g 1"]),
            roles: Some(vec!["r".into()]),
            subprotocol: Some("p".into()),
        };
        assert_eq!(connected(body), Ok(expected()));
        // Neither the type of the body nor the case of the names matters.
        let odd = answer(202, &[("content-type", "text/html")], &body.to_uppercase());
        let Accepted {
            groups: g, user: u, ..
        } = connect(&odd).unwrap();
        assert_eq!((g, u), (groups(&["G 1"]), user("U")));
        for plural in [r#"{"subProtocol":"p"}"#, r#"{"subprotocols":["p"]}"#] {
            assert_eq!(connected(plural).unwrap().subprotocol.as_deref(), Some("p"));
        }
        let removed = connected(r#"{"userId":"","roles":[]}"#).unwrap();
        assert_eq!((removed.user, removed.roles), (Some(None), Some(vec![])));
    }

    #[test]
    fn an_answer_to_connect_that_cannot_be_followed_is_refused() {
        for body in ["{", "[]", "1", "\"x\"", "{}x", "\u{0}", "<html>"] {
            assert_eq!(connected(body), Err(Unusable::NoObject), "{body}");
        }
        for (body, member) in [
            (r#"{"groups":[null]}"#, "groups"),
            (r#"{"groups":["g",""]}"#, "groups"),
            (r#"{"groups":"g"}"#, "groups"),
            (r#"{"roles":[null]}"#, "roles"),
            (r#"{"roles":{}}"#, "roles"),
            (r#"{"userId":1}"#, "userId"),
            (r#"{"subprotocol":["p"]}"#, "subprotocol"),
            (r#"{"subprotocols":["p","q"]}"#, "subprotocols"),
        ] {
            let error = connected(body).unwrap_err();
            assert!(
                matches!(error, Unusable::Member(name, _) if name == member),
                "{body}: {error}"
            );
        }
        for status in [300, 304, 307] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = connect(&answer(status.as_u16(), &[], "")).unwrap_err();
            assert_eq!(error, Unusable::Redirect(status));
        }
        for status in [100, 400, 401, 429, 500, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = connect(&answer(status.as_u16(), &[], "{}")).unwrap_err();
            assert_eq!(error, Unusable::Status(status));
        }
    }

    #[test]
    fn the_type_of_an_answer_says_what_the_client_gets() {
        for (content_type, body, expected) in [
            (Some("text/plain"), "t", Payload::text("t")),
            (Some("TEXT/plain ;charset=utf-8"), "ü", Payload::text("ü")),
            (
                Some("application/json"),
                " {\"a\":1.0} ",
                Payload::Json(" {\"a\":1.0} ".into()),
            ),
            (
                Some("application/json; charset=utf-8"),
                "null",
                Payload::Json("null".into()),
            ),
            (Some("application/octet-stream"), "b", Payload::binary("b")),
            (None, "b", Payload::binary("b")),
            (
                Some("application/x-protobuf"),
                "\u{a}\u{1}t",
                Payload::Protobuf("\u{a}\u{1}t".into()),
            ),
        ] {
            let headers: Vec<_> = content_type
                .map(|it| ("content-type", it))
                .into_iter()
                .collect();
            let reply = user_event(answer(200, &headers, body)).unwrap();
            assert_eq!(reply.payload, Some(expected), "{content_type:?}");
        }
    }

    #[test]
    fn an_empty_body_has_no_type() {
        for content_type in ["text/plain", "application/json", "text/html"] {
            let reply = user_event(answer(200, &[("content-type", content_type)], "")).unwrap();
            assert_eq!(reply, Reply::default());
        }
    }

    #[test]
    fn what_cannot_be_handed_on_is_a_failure() {
        for (content_type, body, expected) in [
            ("text/html", "x", Unusable::ContentType("text/html".into())),
            (
                "application/problem+json",
                "{}",
                Unusable::ContentType("application/problem+json".into()),
            ),
            ("", "x", Unusable::ContentType(String::new())),
            ("application/json", "{", Unusable::Body("JSON")),
            ("application/json", &"[".repeat(200), Unusable::Body("JSON")),
            (
                "application/x-protobuf",
                "\u{7f}",
                Unusable::Body("protobuf `Any`"),
            ),
        ] {
            let error = user_event(answer(200, &[("content-type", content_type)], body));
            assert_eq!(error.unwrap_err(), expected, "{content_type}");
        }
        let mut latin = answer(200, &[("content-type", "text/plain")], "x");
        latin.body = Bytes::from_static(b"\xfc");
        assert_eq!(user_event(latin).unwrap_err(), Unusable::Body("UTF-8 text"));
        let encoded = [("content-type", "text/plain"), ("content-encoding", "gzip")];
        assert_eq!(
            user_event(answer(200, &encoded, "x")).unwrap_err(),
            Unusable::Encoded
        );
        for status in [302, 404, 500] {
            assert!(user_event(answer(status, &[], "")).is_err(), "{status}");
        }
    }

    #[test]
    fn metadata_headers_follow_the_rules_of_metadata() {
        let reply = user_event(answer(
            200,
            &[
                ("x-webpubsub-metadata-a", "1, 2 , 3 "),
                ("x-webpubsub-metadata-b", "first"),
                ("x-webpubsub-metadata-b", "second"),
                ("x-webpubsub-metadata-", "no key"),
                ("x-webpubsub-metadat", "no metadata"),
            ],
            "",
        ));
        let expected = Metadata::new([("a", "3"), ("b", "second")]).unwrap();
        assert_eq!(reply.unwrap().metadata, expected);
        let bad = answer(200, &[("x-webpubsub-metadata-a", "ü")], "");
        assert!(matches!(
            user_event(bad).unwrap_err(),
            Unusable::Metadata(_)
        ));
    }

    #[test]
    fn the_last_state_counts_and_may_be_empty() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| ("ce-connectionstate", *line))
                .collect();
            state(&answer(200, &lines, "").headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["a", "b"]), Some(HeaderValue::from_static("b")));
        assert_eq!(of(&["a", ""]), Some(HeaderValue::from_static("")));
    }
}
