//! Reading the headers of an event.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::rejection::{HeaderProblem, HeaderRejection};

/// The headers of events, ready to be looked up: a name that is text is parsed for each look.
pub(crate) mod names {
    use http::HeaderName;
    use webpubsub_protocol::cloud_event::header as text;

    macro_rules! names {
        ($($name:ident),* $(,)?) => {
            $(pub(crate) static $name: HeaderName = HeaderName::from_static(text::$name);)*
        };
    }

    names!(
        CE_AWPS_VERSION,
        CE_CONNECTION_ID,
        CE_CONNECTION_STATE,
        CE_EVENT_NAME,
        CE_HUB,
        CE_ID,
        CE_PHYSICAL_CONNECTION_ID,
        CE_SESSION_ID,
        CE_SIGNATURE,
        CE_SUBPROTOCOL,
        CE_TYPE,
        CE_USER_ID,
        WEBHOOK_REQUEST_ORIGIN,
    );

    pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
}

/// The text of a header; `None` if it is absent.
///
/// The headers of events are UTF-8, because user ids are sent without any encoding. Control characters are refused: no name
/// contains them, and they can be used to forge lines in logs.
pub(crate) fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static HeaderName,
) -> Result<Option<&'a str>, HeaderRejection> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let name = name.as_str();
    let refuse = |problem| Err(HeaderRejection { name, problem });
    if values.next().is_some() {
        return refuse(HeaderProblem::Repeated);
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if has_control_character(text) => refuse(HeaderProblem::ControlCharacter),
        Ok(text) => Ok(Some(text)),
        Err(_) => refuse(HeaderProblem::NotUtf8),
    }
}

fn has_control_character(text: &str) -> bool {
    // Nearly all headers are ASCII, which need not be decoded.
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~');
    !text.bytes().all(is_printable) && text.chars().any(char::is_control)
}

/// The text of a header that every event has.
pub(crate) fn required<'a>(
    headers: &'a HeaderMap,
    name: &'static HeaderName,
) -> Result<&'a str, HeaderRejection> {
    match text(headers, name)? {
        Some("") | None => Err(HeaderRejection {
            name: name.as_str(),
            problem: HeaderProblem::Missing,
        }),
        Some(text) => Ok(text),
    }
}

/// All values of a header as one text, joined as other HTTP servers present them. Used only to decide whether a request is
/// for this handler; the header is checked later.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut lines = headers.get_all(name).iter();
    let mut joined = String::from_utf8_lossy(lines.next()?.as_bytes());
    for line in lines {
        let all = joined.to_mut();
        all.push_str(", ");
        all.push_str(&String::from_utf8_lossy(line.as_bytes()));
    }
    Some(joined)
}

/// The name of the header for a metadata key, which must have been checked.
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
            let found =
                text(&headers(values), &names::CE_USER_ID).map(|text| text.map(str::to_owned));
            found.map_err(|error| error.problem)
        };
        assert_eq!(problem(&[]), Ok(None));
        assert_eq!(
            text(&headers(&["é".as_bytes()]), &names::CE_USER_ID),
            Ok(Some("é"))
        );
        assert_eq!(problem(&[b"a", b"a"]), Err(HeaderProblem::Repeated));
        assert_eq!(problem(&[b"\xff"]), Err(HeaderProblem::NotUtf8));
        assert_eq!(problem(&[b"a\tb"]), Err(HeaderProblem::ControlCharacter));
        let c1 = "\u{85}".as_bytes();
        assert_eq!(problem(&[c1]), Err(HeaderProblem::ControlCharacter));
        let missing = required(&headers(&[b""]), &names::CE_USER_ID).unwrap_err();
        assert_eq!(missing.problem, HeaderProblem::Missing);
    }

    #[test]
    fn lines_are_joined() {
        assert_eq!(joined(&headers(&[]), &names::CE_USER_ID), None);
        assert_eq!(
            joined(&headers(&[b"a", b"b"]), &names::CE_USER_ID).as_deref(),
            Some("a, b")
        );
    }
}
