//! Request bodies: how long they may be, how they are read, and what they mean.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use bytestring::ByteString;
use encoding_rs::{Encoding, UTF_8};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::IgnoredAny;
use webpubsub_protocol::frame::json::depth_is_within;
use webpubsub_protocol::limits;
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::payload::Payload;

use super::error::RestError;
use super::media_type::MessageType;

/// The announced length of a body.
///
/// # Errors
///
/// 400 when no length is announced, as for chunked bodies, or more than `most`.
pub(super) fn declared_length(headers: &HeaderMap, most: usize) -> Result<usize, RestError> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(RestError::bad_length());
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next().and_then(digits), lengths.next()) {
        (Some(length), None) if length <= most => Ok(length),
        _ => Err(RestError::bad_length()),
    }
}

fn digits(value: &HeaderValue) -> Option<usize> {
    let text = value.to_str().ok()?;
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Reads a body of the announced length; never more than that.
///
/// # Errors
///
/// 400 when it has another length.
pub(super) async fn read(body: &mut Body, length: usize) -> Result<Bytes, RestError> {
    match Limited::new(body, length)
        .collect()
        .await
        .map(|body| body.to_bytes())
    {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        Ok(_) => Err(RestError::body_cut_short()),
        Err(error) if error.is::<LengthLimitError>() => Err(RestError::bad_length()),
        Err(_) => Err(RestError::body_cut_short()),
    }
}

/// Reads what is left of a refused body and drops it, within limits of size and time.
///
/// A client that is still writing when its connection is closed sees a broken connection in place
/// of the answer.
/// The time is the machine's, even where our clock stands still: it is a limit of HTTP.
pub(super) async fn drain(mut body: Body, headers: &HeaderMap) {
    const MOST: usize = 8 * limits::MESSAGE_BYTES;
    const LONGEST: Duration = Duration::from_secs(2);

    // This client waits to be told before it sends; reading would tell it to.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut left = MOST;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    };
    // Whatever is left when the time is over stays unread.
    let _ = tokio::time::timeout(LONGEST, read).await;
}

/// What a body of this type says as a message.
///
/// Bytes in UTF-8 are kept as they are; other charsets are converted.
///
/// # Errors
///
/// 400 when the body is not what its type promises.
pub(super) fn payload(kind: MessageType, body: Bytes) -> Result<Payload, RestError> {
    match kind {
        MessageType::Text(charset) => Ok(Payload::Text(text(charset, body)?)),
        MessageType::Json(charset) => Ok(Payload::Json(json_text(charset, body)?)),
        MessageType::Binary => Ok(Payload::Binary(body)),
        MessageType::Protobuf => Payload::protobuf(body).ok_or_else(RestError::bad_protobuf),
    }
}

/// The text of a body that is one well-formed JSON document.
///
/// # Errors
///
/// 400 when it is not, or nests deeper than [`limits::JSON_PAYLOAD_DEPTH`].
pub(super) fn json_text(charset: &'static Encoding, body: Bytes) -> Result<ByteString, RestError> {
    let text = text(charset, body).map_err(|_| RestError::bad_json())?;
    if !depth_is_within(text.as_bytes(), limits::JSON_PAYLOAD_DEPTH) {
        return Err(RestError::deep_json(limits::JSON_PAYLOAD_DEPTH));
    }
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(RestError::bad_json()),
    }
}

fn text(charset: &'static Encoding, body: Bytes) -> Result<ByteString, RestError> {
    let bad = || RestError::bad_text(charset.name());
    if charset == UTF_8 {
        return ByteString::try_from(body).map_err(|_| bad());
    }
    match charset.decode(&body) {
        (text, _, false) => Ok(text.into_owned().into()),
        (_, _, true) => Err(bad()),
    }
}

/// The metadata of a message, from its headers.
///
/// # Errors
///
/// 400 with the rule that is broken, for example when a key is empty.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, RestError> {
    Metadata::new(crate::headers::metadata(headers))
        .map_err(|error| RestError::bad_metadata(&error))
}

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, UTF_16BE, UTF_16LE, WINDOWS_1252};
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn lengths_are_announced_and_bounded() {
        for (value, expected) in [
            ("0", Some(0)),
            ("1048576", Some(1_048_576)),
            ("1048577", None),
            ("99999999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("1, 1", None),
        ] {
            let found = declared_length(&headers(&[("content-length", value)]), 1 << 20).ok();
            assert_eq!(found, expected, "{value:?}");
        }
        assert!(declared_length(&HeaderMap::new(), 1).is_err());
        let chunked = headers(&[("content-length", "1"), ("transfer-encoding", "chunked")]);
        let error = declared_length(&chunked, 1).unwrap_err();
        assert_eq!(error.message(), "Invalid Content-Length header.");
    }

    #[tokio::test]
    async fn bodies_are_read_to_their_announced_length() {
        let read = async |text: &'static str, length| {
            let result = read(&mut Body::from(text), length).await;
            result.map_err(|error| error.message().to_owned())
        };
        assert_eq!(read("four", 4).await, Ok("four".into()));
        assert_eq!(read("", 0).await, Ok(Bytes::new()));
        assert!(
            read("four", 3)
                .await
                .unwrap_err()
                .contains("Content-Length")
        );
        assert!(read("four", 5).await.unwrap_err().contains("ended before"));
    }

    #[tokio::test(start_paused = true)]
    async fn draining_ends_by_size_and_by_time() {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 * 1024]));
        let endless = Body::from_stream(futures_util::stream::repeat_with(chunk));
        drain(endless, &HeaderMap::new()).await;

        let silent =
            || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let clock = crate::clock::Clock::real();
        let start = clock.now().mono;
        drain(silent(), &headers(&[("expect", "100-continue")])).await;
        assert_eq!(clock.now().mono, start);
        drain(silent(), &HeaderMap::new()).await;
        assert_eq!(clock.now().mono - start, Duration::from_secs(2));
    }

    #[test]
    fn bodies_keep_their_bytes_or_are_converted() {
        let text = |charset, body: &'static [u8]| payload(MessageType::Text(charset), body.into());
        assert_eq!(
            text(UTF_8, "\u{feff}ü\0".as_bytes()).unwrap(),
            Payload::text("\u{feff}ü\0")
        );
        assert_eq!(text(WINDOWS_1252, b"\xfc").unwrap(), Payload::text("ü"));
        assert_eq!(text(SHIFT_JIS, b"\x93\xfa").unwrap(), Payload::text("日"));
        assert_eq!(text(UTF_16LE, b"\xfc\0").unwrap(), Payload::text("ü"));
        assert_eq!(
            text(UTF_16LE, b"\xfe\xff\0\xfc").unwrap(),
            Payload::text("ü"),
            "the mark decides"
        );
        assert_eq!(text(UTF_16BE, b"\0\xfc").unwrap(), Payload::text("ü"));
        assert!(
            text(UTF_8, b"\xfc")
                .unwrap_err()
                .message()
                .contains("UTF-8")
        );
        assert!(
            text(UTF_16LE, b"\xfc")
                .unwrap_err()
                .message()
                .contains("UTF-16LE")
        );
        assert_eq!(
            payload(MessageType::Binary, b"\xff"[..].into()).unwrap(),
            Payload::binary(&b"\xff"[..])
        );
        let any = &b"\x0a\x01t"[..];
        assert_eq!(
            payload(MessageType::Protobuf, any.into()).unwrap(),
            Payload::Protobuf(any.into())
        );
        assert!(payload(MessageType::Protobuf, b"\xff"[..].into()).is_err());
    }

    #[test]
    fn json_is_checked_and_kept_as_written() {
        let json = |body: &'static str| payload(MessageType::Json(UTF_8), body.into());
        for good in [
            "{\"a\" : [1,2.50,1e400]}\n",
            "\"hi\"",
            " null",
            "0",
            "{\"a\":1,\"a\":2}",
            "\"\\ud800\"",
        ] {
            assert_eq!(json(good).unwrap(), Payload::Json(good.into()));
        }
        for bad in [
            "",
            " ",
            "{",
            "[1,]",
            "hi",
            "{'a':1}",
            "1 2",
            "\u{feff}1",
            "NaN",
            "01",
            "\"\t\"",
            "nul",
        ] {
            let error = json(bad).unwrap_err();
            assert_eq!(
                error.message(),
                "The request body is not a valid JSON.",
                "{bad:?}"
            );
        }
        let latin = payload(MessageType::Json(WINDOWS_1252), b"\"\xfc\""[..].into());
        assert_eq!(latin.unwrap(), Payload::Json("\"ü\"".into()));
        let invalid = payload(MessageType::Json(UTF_8), b"\"\xfc\""[..].into());
        assert_eq!(
            invalid.unwrap_err().message(),
            "The request body is not a valid JSON."
        );
    }

    #[test]
    fn json_depth_is_limited() {
        let nested = |depth: usize| Bytes::from("[".repeat(depth) + &"]".repeat(depth));
        assert!(json_text(UTF_8, nested(127)).is_ok());
        let error = json_text(UTF_8, nested(128)).unwrap_err();
        assert_eq!(
            error.message(),
            "The request body is nested deeper than 127 levels."
        );
        assert!(json_text(UTF_8, nested(500_000)).is_err());
    }

    #[test]
    fn broken_metadata_names_the_rule() {
        let long = "v".repeat(1025);
        for (name, value, rule) in [
            ("x-webpubsub-metadata-", "v", "key"),
            ("x-webpubsub-metadata-a", "é", "ASCII"),
            ("x-webpubsub-metadata-a", long.as_str(), "1024"),
        ] {
            let error = metadata(&headers(&[(name, value)])).unwrap_err();
            assert!(error.message().contains(rule), "{}", error.message());
        }
        let many = (0..9).map(|n| {
            let name = format!("x-webpubsub-metadata-{n}");
            (
                HeaderName::try_from(name).unwrap(),
                HeaderValue::try_from("v".repeat(1000)).unwrap(),
            )
        });
        let error = metadata(&many.collect()).unwrap_err();
        assert_eq!(error.message(), "Metadata exceeds 8192 bytes.");
    }

    proptest! {
        #[test]
        fn any_body_is_a_payload_or_refused(body: Vec<u8>) {
            for kind in [MessageType::Text(UTF_8), MessageType::Text(SHIFT_JIS), MessageType::Json(UTF_16LE), MessageType::Json(UTF_8), MessageType::Protobuf] {
                let _ = payload(kind, body.clone().into());
            }
        }

        #[test]
        fn what_serde_reads_we_accept(value in ".{0,20}") {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert!(json_text(UTF_8, text.into()).is_ok());
        }
    }
}
