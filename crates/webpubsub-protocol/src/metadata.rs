//! Message metadata: a small map of strings that is delivered along with a message.
//!
//! Clients send it in the `metadata` member of a frame, servers in REST headers named
//! `X-WebPubSub-Metadata-<key>`. Clients without a subprotocol never receive it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::limits;

/// The prefix of the headers that carry metadata in REST sends, in lower case. The key follows it.
pub const HEADER_PREFIX: &str = "x-webpubsub-metadata-";

/// A valid set of metadata entries, ordered by key. Cloning it is cheap. `Debug` shows the keys, but not the values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<BTreeMap<String, String>>>);

/// Why metadata is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// A key is empty, or contains a character that is not allowed in the name of an HTTP header.
    #[error("Metadata key is invalid. Use 1 to 256 letters, digits or any of !#$%&'*+-.^_`|~")]
    Key,
    /// A key is longer than 256 bytes.
    #[error("Metadata key exceeds {} bytes.", limits::METADATA_KEY_BYTES)]
    KeyTooLong,
    /// A value contains something other than printable ASCII.
    #[error("Metadata value contains characters other than printable ASCII.")]
    Value,
    /// A value is longer than 1,024 bytes.
    #[error("Metadata value exceeds {} bytes.", limits::METADATA_VALUE_BYTES)]
    ValueTooLong,
    /// A key appears twice.
    #[error("Metadata contains a duplicate key.")]
    Duplicate,
    /// All keys and values together are longer than 8,192 bytes.
    #[error("Metadata exceeds {} bytes.", limits::METADATA_TOTAL_BYTES)]
    TooLarge,
}

impl Metadata {
    /// Creates metadata from entries.
    ///
    /// # Errors
    ///
    /// The first rule that an entry breaks, see [`InvalidMetadata`].
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidMetadata>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut map = BTreeMap::new();
        let mut total = 0;
        for (key, value) in entries {
            let (key, value) = (key.into(), value.into());
            check_entry(&key, &value)?;
            total += key.len() + value.len();
            if total > limits::METADATA_TOTAL_BYTES {
                return Err(InvalidMetadata::TooLarge);
            }
            if map.insert(key, value).is_some() {
                return Err(InvalidMetadata::Duplicate);
            }
        }
        Ok(Self((!map.is_empty()).then(|| Arc::new(map))))
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The entries, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|map| map.iter())
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value for a key, which is case-sensitive.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.as_ref()?.get(key).map(String::as_str)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.iter().map(|(key, _)| key);
        f.write_str("Metadata")?;
        f.debug_list().entries(keys).finish()
    }
}

fn check_entry(key: &str, value: &str) -> Result<(), InvalidMetadata> {
    if key.len() > limits::METADATA_KEY_BYTES {
        return Err(InvalidMetadata::KeyTooLong);
    }
    if key.is_empty() || !key.bytes().all(is_token_byte) {
        return Err(InvalidMetadata::Key);
    }
    if value.len() > limits::METADATA_VALUE_BYTES {
        return Err(InvalidMetadata::ValueTooLong);
    }
    // The reference says ASCII; control characters would split the header that carries them on.
    if !value.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Err(InvalidMetadata::Value);
    }
    Ok(())
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Metadata, InvalidMetadata> {
        Metadata::new([(key, value)])
    }

    #[test]
    fn limits_are_inclusive() {
        // req: S-3.1-8
        assert!(one(&"k".repeat(256), &"v".repeat(1024)).is_ok());
        assert_eq!(one(&"k".repeat(257), "v"), Err(InvalidMetadata::KeyTooLong));
        assert_eq!(
            one("k", &"v".repeat(1025)),
            Err(InvalidMetadata::ValueTooLong)
        );

        let entry = |n: usize| (format!("{n:0>24}"), "v".repeat(1000));
        assert!(
            Metadata::new((0..8).map(entry)).is_ok(),
            "8 × 1024 is exactly the limit"
        );
        let over = (0..8).map(entry).chain([("k".to_owned(), String::new())]);
        assert_eq!(Metadata::new(over), Err(InvalidMetadata::TooLarge));
    }

    #[test]
    fn keys_are_header_tokens_and_values_printable() {
        for key in ["", "a b", "é", "a:b", "a\n"] {
            assert_eq!(one(key, "v"), Err(InvalidMetadata::Key), "{key:?}");
        }
        assert!(one("!#$%&'*+-.^_`|~09azAZ", "").is_ok());
        for value in ["é", "a\r\nb", "\u{7f}"] {
            assert_eq!(one("k", value), Err(InvalidMetadata::Value), "{value:?}");
        }
        assert_eq!(
            Metadata::new([("k", "1"), ("k", "2")]),
            Err(InvalidMetadata::Duplicate)
        );
        assert!(one("K", "1").is_ok_and(|m| m.value("k").is_none() && m.value("K") == Some("1")));
    }

    #[test]
    fn no_entries_cost_nothing() {
        assert_eq!(Metadata::new::<&str, &str>([]), Ok(Metadata::default()));
        assert!(Metadata::default().is_empty());
    }
}
