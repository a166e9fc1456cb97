//! The access key of a resource, and the tokens signed with it.

use std::{fmt, sync::Arc};

#[cfg(feature = "tokens")]
use jsonwebtoken::{DecodingKey, EncodingKey};
use subtle::ConstantTimeEq;

/// The access key of a Web PubSub resource. Cloning is cheap; `Debug` is redacted and there is no `Display`.
///
/// Its UTF-8 bytes are the HMAC key: it looks like base64 but is never decoded.
#[derive(Clone)]
pub struct AccessKey(Arc<Inner>);

struct Inner {
    text: String,
    // Prepared once, because every call of the REST client signs, and every request to a server is verified.
    #[cfg(feature = "tokens")]
    encoding: EncodingKey,
    #[cfg(feature = "tokens")]
    decoding: DecodingKey,
}

impl AccessKey {
    /// Creates a key from its text, as found after `AccessKey=` in a connection string.
    pub fn new(key: impl Into<String>) -> Self {
        let text = key.into();
        Self(Arc::new(Inner {
            #[cfg(feature = "tokens")]
            encoding: EncodingKey::from_secret(text.as_bytes()),
            #[cfg(feature = "tokens")]
            decoding: DecodingKey::from_secret(text.as_bytes()),
            text,
        }))
    }

    /// The text of the key. The name makes every use visible in a review: never log or print the key.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    #[cfg(feature = "tokens")]
    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.0.encoding
    }

    #[cfg(feature = "tokens")]
    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.0.decoding
    }
}

impl PartialEq for AccessKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.text.as_bytes().ct_eq(other.0.text.as_bytes()).into()
    }
}

impl Eq for AccessKey {}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(redacted)")
    }
}

/// A signed token. `Debug` is redacted and there is no `Display`: read it with [`as_str`](Self::as_str).
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a token that was created elsewhere, for example by the service.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The compact form `header.claims.signature`. Never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the compact form.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_key_nor_token() {
        assert_eq!(
            format!("{:?}", AccessKey::new("s3cret")),
            "AccessKey(redacted)"
        );
        assert_eq!(format!("{:#?}", Token::new("a.b.c")), "Token(redacted)");
    }

    #[test]
    fn keys_compare_by_content() {
        assert_eq!(AccessKey::new("a"), AccessKey::new("a"));
        assert_ne!(AccessKey::new("a"), AccessKey::new("b"));
        assert_ne!(AccessKey::new("a"), AccessKey::new("ab"));
    }
}
