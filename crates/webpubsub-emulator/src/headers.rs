//! Headers that more than one part reads.

use http::{HeaderMap, HeaderValue, header};
use webpubsub_protocol::metadata;

/// The token of `Authorization: Bearer <token>`; the scheme in any case.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Keys and values of the `X-WebPubSub-Metadata-<key>` headers, not yet checked. Of several values for a key, and of
/// several items in a value, the last one counts.
pub(crate) fn metadata(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.keys().filter_map(|name| {
        let key = name.as_str().strip_prefix(metadata::HEADER_PREFIX)?;
        let value = headers.get_all(name).iter().next_back()?;
        Some((key.to_owned(), last_item(value)))
    })
}

fn last_item(value: &HeaderValue) -> String {
    let last = value.as_bytes().rsplit(|byte| *byte == b',').next();
    // Bytes outside ASCII survive as characters that the rules then refuse.
    String::from_utf8_lossy(last.unwrap_or_default().trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("Bearer t", Some("t")),
            ("bEARER  t ", Some("t")),
            ("Bearer", None),
            ("Basic YTpi", None),
            ("t", None),
            ("", None),
        ] {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
            assert_eq!(bearer(&headers), token, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn metadata_is_the_last_item_of_the_last_header() {
        let headers: HeaderMap = [
            ("x-webpubsub-metadata-trace", "one"),
            ("x-webpubsub-metadata-trace", "two , three , four "),
            ("x-webpubsub-metadata-empty", ""),
            ("x-webpubsub-metadata-", "no key"),
            ("x-webpubsub-metadatax", "no"),
            ("x-other", "no"),
        ]
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .into_iter()
        .collect();
        let mut entries: Vec<_> = metadata(&headers).collect();
        entries.sort();
        let expected = [("", "no key"), ("empty", ""), ("trace", "four")];
        assert_eq!(
            entries,
            expected.map(|(key, value)| (key.into(), value.into()))
        );
    }
}
