//! The `Content-Type` of a body.

use encoding_rs::{Encoding, UTF_8};
use http::{HeaderMap, header};

use super::error::RestError;

/// What a send may carry: the content type of the request is the data type of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageType {
    Text(&'static Encoding),
    Json(&'static Encoding),
    /// Also a body without a content type.
    Binary,
    Protobuf,
}

impl MessageType {
    /// Reads the content type of a send.
    ///
    /// # Errors
    ///
    /// 415, naming what was wrong: the type, its charset, or a content encoding.
    pub(super) fn of_message(headers: &HeaderMap) -> Result<Self, RestError> {
        refuse_content_encoding(headers)?;
        let Some(media_type) = MediaType::of(headers)? else {
            return Ok(Self::Binary);
        };
        match media_type.essence.as_str() {
            "text/plain" => Ok(Self::Text(media_type.encoding()?)),
            "application/json" => Ok(Self::Json(media_type.encoding()?)),
            "application/octet-stream" => Ok(Self::Binary),
            "application/x-protobuf" => Ok(Self::Protobuf),
            other => Err(RestError::unsupported_media_type(format!(
                "The Content-Type `{other}` is not supported. Use text/plain, application/json, \
                 application/octet-stream or application/x-protobuf."
            ))),
        }
    }
}

/// Reads the content type of a call whose body is JSON; returns its charset.
///
/// # Errors
///
/// 415, naming what was wrong; also when there is no content type.
pub(super) fn json_charset(headers: &HeaderMap) -> Result<&'static Encoding, RestError> {
    refuse_content_encoding(headers)?;
    match MediaType::of(headers)? {
        Some(media_type) if media_type.essence == "application/json" => media_type.encoding(),
        _ => Err(RestError::unsupported_media_type(
            "The Content-Type of this call must be application/json.",
        )),
    }
}

/// Limits count the bytes that arrive, so a body that grows when unpacked would pass them.
fn refuse_content_encoding(headers: &HeaderMap) -> Result<(), RestError> {
    let plain = |value: &[u8]| {
        let value = value.trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    };
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    if encodings.iter().all(|value| plain(value.as_bytes())) {
        return Ok(());
    }
    Err(RestError::unsupported_media_type(
        "Content-Encoding is not supported: send the body as it is, uncompressed.",
    ))
}

#[derive(Debug)]
struct MediaType {
    /// Type and subtype, lower-cased.
    essence: String,
    charset: Option<String>,
}

impl MediaType {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, RestError> {
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let parsed = match (value.to_str(), values.next()) {
            (Ok(text), None) => Self::parse(text),
            _ => None,
        };
        let malformed = || {
            RestError::unsupported_media_type(
                "The Content-Type header is malformed. Write it like `text/plain; charset=utf-8`.",
            )
        };
        parsed.ok_or_else(malformed).map(Some)
    }

    fn parse(text: &str) -> Option<Self> {
        let (essence, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut charset = None;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return Some(Self { essence, charset });
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            if !is_token(name) {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") && charset.is_none() {
                charset = Some(value);
            }
            let after = after.trim_start();
            rest = if after.is_empty() {
                after
            } else {
                after.strip_prefix(';')?
            };
        }
    }

    fn encoding(&self) -> Result<&'static Encoding, RestError> {
        let Some(charset) = &self.charset else {
            return Ok(UTF_8);
        };
        Encoding::for_label_no_replacement(charset.as_bytes()).ok_or_else(|| {
            RestError::unsupported_media_type(format!(
                "The charset `{charset}` is not supported. Use utf-8."
            ))
        })
    }
}

/// A token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ';' || c.is_ascii_whitespace())
            .unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, UTF_16LE, WINDOWS_1252};
    use http::{HeaderValue, StatusCode};
    use proptest::prelude::*;

    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())])
    }

    #[test]
    fn content_types_of_sends() {
        use MessageType::{Binary, Json, Protobuf, Text};
        for (value, expected) in [
            ("text/plain", Text(UTF_8)),
            ("Text/PLAIN ; Charset=UTF-8", Text(UTF_8)),
            ("text/plain;charset=\"utf-8\"", Text(UTF_8)),
            ("text/plain; format=flowed; charset=utf-16", Text(UTF_16LE)),
            ("text/plain; charset=iso-8859-1;", Text(WINDOWS_1252)),
            ("text/plain; charset=us-ascii", Text(WINDOWS_1252)),
            ("application/json; charset=shift_jis", Json(SHIFT_JIS)),
            ("application/json", Json(UTF_8)),
            ("application/octet-stream", Binary),
            ("application/octet-stream; charset=nonsense", Binary),
            ("application/x-protobuf", Protobuf),
        ] {
            let found = MessageType::of_message(&headers(value));
            assert_eq!(found.unwrap(), expected, "{value}");
        }
        assert_eq!(MessageType::of_message(&HeaderMap::new()).unwrap(), Binary);
    }

    #[test]
    fn content_types_that_sends_refuse() {
        for (value, cause) in [
            ("application/xml", "application/xml"),
            ("text/html", "text/html"),
            ("text/json", "text/json"),
            ("application/problem+json", "problem+json"),
            ("text/plain; charset=klingon", "klingon"),
            ("text/plain; charset=utf-7", "utf-7"),
            ("text/plain; charset=iso-2022-kr", "iso-2022-kr"),
            ("text/plain; charset", "malformed"),
            ("text/plain; charset=", "malformed"),
            ("text/plain; charset=\"utf-8", "malformed"),
            ("text", "malformed"),
            ("", "malformed"),
            ("/", "malformed"),
            ("text/pl ain", "malformed"),
        ] {
            let error = MessageType::of_message(&headers(value)).unwrap_err();
            assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert!(
                error.message().contains(cause),
                "{value}: {}",
                error.message()
            );
        }
        let mut twice = headers("text/plain");
        twice.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert!(MessageType::of_message(&twice).is_err());
    }

    #[test]
    fn bulk_operations_take_json_only() {
        assert_eq!(
            json_charset(&headers("application/json;charset=utf-8")).unwrap(),
            UTF_8
        );
        for value in [
            "text/plain",
            "text/json",
            "application/x-json",
            "application/json; charset=x",
        ] {
            assert!(json_charset(&headers(value)).is_err(), "{value}");
        }
        assert!(json_charset(&HeaderMap::new()).is_err());
    }

    #[test]
    fn compressed_bodies_are_refused() {
        for (encoding, accepted) in [
            ("identity", true),
            ("", true),
            ("gzip", false),
            ("br", false),
        ] {
            let mut headers = headers("text/plain");
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            assert_eq!(
                MessageType::of_message(&headers).is_ok(),
                accepted,
                "{encoding}"
            );
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            assert_eq!(json_charset(&headers).is_ok(), accepted, "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_refused(value in "[ -~]{0,60}") {
            let _ = MessageType::of_message(&headers(value.trim()));
        }
    }
}
