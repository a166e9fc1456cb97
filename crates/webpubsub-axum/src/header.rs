//! Reading the headers of an event: which are text, and which may stand once only.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::rejection::{HeaderProblem, HeaderRejection};

/// The text of a header; `None` when it is absent.
///
/// Headers of events are UTF-8, since user ids are sent raw, and hold no control characters: those have no place in a
/// name and forge lines in logs.
pub(crate) fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, HeaderRejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let refuse = |problem| Err(HeaderRejection { name, problem });
    if values.next().is_some() {
        return refuse(HeaderProblem::Repeated);
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if text.chars().any(char::is_control) => refuse(HeaderProblem::ControlCharacter),
        Ok(text) => Ok(Some(text)),
        Err(_) => refuse(HeaderProblem::NotUtf8),
    }
}

/// The text of a header that every event has.
pub(crate) fn required<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<&'a str, HeaderRejection> {
    let problem = HeaderProblem::Missing;
    match text(headers, name)? {
        Some("") | None => Err(HeaderRejection { name, problem }),
        Some(text) => Ok(text),
    }
}

/// All lines of a header as one text, joined as other HTTP servers hand them out. Used to decide whether a request is
/// ours; whatever is odd about it is found later.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<Cow<'a, str>> {
    let mut lines = headers.get_all(name).iter();
    let mut joined = String::from_utf8_lossy(lines.next()?.as_bytes());
    for line in lines {
        let all = joined.to_mut();
        all.push_str(", ");
        all.push_str(&String::from_utf8_lossy(line.as_bytes()));
    }
    Some(joined)
}

/// The name under which metadata with this key travels. Keys are checked before.
pub(crate) fn metadata_name(key: &str) -> Option<HeaderName> {
    let prefix = webpubsub_protocol::metadata::HEADER_PREFIX;
    HeaderName::from_bytes(format!("{prefix}{key}").as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
        values
            .iter()
            .map(|bytes| (HeaderName::from_static("ce-userid"), value(bytes)))
            .collect()
    }

    #[test]
    fn each_problem_is_named() {
        let problem = |values: &[&[u8]]| {
            let found = text(&headers(values), "ce-userid").map(|text| text.map(str::to_owned));
            found.map_err(|error| error.problem)
        };
        assert_eq!(problem(&[]), Ok(None));
        assert_eq!(
            text(&headers(&["é".as_bytes()]), "ce-userid"),
            Ok(Some("é"))
        );
        assert_eq!(problem(&[b"a", b"a"]), Err(HeaderProblem::Repeated));
        assert_eq!(problem(&[b"\xff"]), Err(HeaderProblem::NotUtf8));
        assert_eq!(problem(&[b"a\tb"]), Err(HeaderProblem::ControlCharacter));
        let c1 = "\u{85}".as_bytes();
        assert_eq!(problem(&[c1]), Err(HeaderProblem::ControlCharacter));
        let missing = required(&headers(&[b""]), "ce-userid").unwrap_err();
        assert_eq!(missing.problem, HeaderProblem::Missing);
    }

    #[test]
    fn lines_are_joined() {
        assert_eq!(joined(&headers(&[]), "ce-userid"), None);
        assert_eq!(
            joined(&headers(&[b"a", b"b"]), "ce-userid").as_deref(),
            Some("a, b")
        );
    }
}
