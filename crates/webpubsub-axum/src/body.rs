//! Reading bodies within a limit.

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::rejection::BodyRejection;

/// Anything that can go wrong with a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Refuses bodies with a content encoding: decompressed, they could have any length.
pub(crate) fn refuse_encoding(headers: &HeaderMap) -> Result<(), BodyRejection> {
    let is_plain = |value: &http::HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    };
    match headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(is_plain)
    {
        true => Ok(()),
        false => Err(BodyRejection::ContentEncoding),
    }
}

/// Reads the whole body, unless it is longer than `limit` bytes.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<Bytes, BodyRejection>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    // A body whose declared length is too large is refused before any of it is read.
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(BodyRejection::TooLarge { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyRejection::TooLarge { limit }),
        Err(_) => Err(BodyRejection::Incomplete),
    }
}
