//! Writing and reading tokens: always HS256, and always with a time that the caller provides.
//!
//! `jsonwebtoken` does the cryptography. Its `decode` is not used, because it reads the clock, has a single rule for
//! audiences, and refuses headers in which unknown members have unexpected types, which the service accepts.

use std::{
    sync::Once,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::{AccessKey, Token};
use crate::limits::TOKEN_SKEW;

/// The time at which a token is checked, and the clock skew to tolerate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedAt {
    /// The time of the check.
    pub now: SystemTime,
    /// The tolerance at either end of the lifetime of the token.
    pub skew: Duration,
}

impl From<SystemTime> for CheckedAt {
    /// Tolerates 5 minutes of clock skew, like the service.
    fn from(now: SystemTime) -> Self {
        Self {
            now,
            skew: TOKEN_SKEW,
        }
    }
}

/// The check that a token failed. It contains nothing of the token, so it can be logged, and sent in a `WWW-Authenticate`
/// header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It does not consist of three base64url parts separated by dots, or the parts are not JSON objects.
    #[error("the token is not a JWT")]
    Malformed,
    /// The header names an algorithm other than HS256, which includes `none`.
    #[error("the token is not signed with HS256")]
    Algorithm,
    /// The header lists critical extensions, none of which are supported.
    #[error("the token header requires an extension that is not supported")]
    CriticalHeader,
    /// No access key produces this signature.
    #[error("the signature matches no access key")]
    Signature,
    /// A required claim is missing.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// A claim has the wrong type.
    #[error("the claim `{0}` has the wrong type")]
    InvalidClaim(&'static str),
    /// `exp` is in the past by more than the tolerated skew.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is in the future by more than the tolerated skew.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No value of `aud` matches the request.
    #[error("the audience does not match")]
    Audience,
    /// `iss` is not the issuer of this kind of token.
    #[error("the issuer does not match")]
    Issuer,
    /// It is a Microsoft Entra ID token, and those are not accepted.
    #[error("Microsoft Entra ID tokens are not accepted here")]
    EntraRefused,
}

/// Signs `claims` with HS256 and the header `{"alg":"HS256","typ":"JWT"}`.
pub(super) fn sign(claims: &impl Serialize, key: &AccessKey) -> Token {
    /// base64url of `{"alg":"HS256","typ":"JWT"}`.
    const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

    install_provider();
    let claims =
        serde_json::to_vec(claims).expect("claims hold only strings, numbers and lists of strings");
    let mut token = String::with_capacity(HEADER.len() + claims.len().div_ceil(3) * 4 + 45);
    token.push_str(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = jsonwebtoken::crypto::sign(token.as_bytes(), key.encoding(), Algorithm::HS256)
        .expect("HMAC accepts keys of every length");
    token.push('.');
    token.push_str(&signature);
    Token::new(token)
}

/// Reads the claims of a token after checking its header and signature. The caller checks time and audience.
pub(super) fn verified_claims(token: &str, keys: &[AccessKey]) -> Result<Claims, TokenError> {
    let parts = Parts::split(token)?;
    parts.check_header()?;
    parts.check_signature(keys)?;
    parts.claims()
}

/// Reads the claims of a token without checking its signature.
pub(super) fn unverified_claims(token: &str) -> Result<Claims, TokenError> {
    Parts::split(token)?.claims()
}

/// The claims of a token, checked by name.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// `exp` is required and `nbf` honoured, both with `skew`.
    pub(super) fn check_lifetime(&self, at: CheckedAt) -> Result<(), TokenError> {
        let now = unix_seconds_f64(at.now);
        let skew = at.skew.as_secs_f64();
        let expires = self.number("exp")?.ok_or(TokenError::MissingClaim("exp"))?;
        if expires < now - skew {
            return Err(TokenError::Expired);
        }
        if self
            .number("nbf")?
            .is_some_and(|not_before| not_before > now + skew)
        {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// The values of `aud`: a string or a list of strings, and required.
    pub(super) fn audiences(&self) -> Result<Vec<String>, TokenError> {
        let audiences = self.strings("aud")?;
        if audiences.is_empty() {
            Err(TokenError::MissingClaim("aud"))
        } else {
            Ok(audiences)
        }
    }

    /// A claim that is a string or a list of strings; absent and null mean none.
    pub(super) fn strings(&self, name: &'static str) -> Result<Vec<String>, TokenError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(Value::Array(many)) => many
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map(str::to_owned)
                        .ok_or(TokenError::InvalidClaim(name))
                })
                .collect(),
            Some(_) => Err(TokenError::InvalidClaim(name)),
        }
    }

    /// A claim that is one string; absent and null mean none.
    pub(super) fn string(&self, name: &'static str) -> Result<Option<&str>, TokenError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::InvalidClaim(name)),
        }
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Dates are JSON numbers and may have a fraction (RFC 7519 `NumericDate`).
    fn number(&self, name: &'static str) -> Result<Option<f64>, TokenError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or(TokenError::InvalidClaim(name)),
        }
    }
}

/// Whole seconds since 1970, as the claims `iat`, `nbf` and `exp` hold them. Times before 1970 count as 0.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn unix_seconds_f64(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

struct Parts<'a> {
    /// `header.claims`, the signed text.
    message: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        Ok(Self {
            message,
            header,
            claims,
            signature,
        })
    }

    fn check_header(&self) -> Result<(), TokenError> {
        let header = URL_SAFE_NO_PAD
            .decode(self.header)
            .map_err(|_| TokenError::Malformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        if header.alg != "HS256" {
            return Err(TokenError::Algorithm);
        }
        if header.crit.is_some() {
            return Err(TokenError::CriticalHeader);
        }
        Ok(())
    }

    fn check_signature(&self, keys: &[AccessKey]) -> Result<(), TokenError> {
        install_provider();
        let message = self.message.as_bytes();
        for key in keys {
            match jsonwebtoken::crypto::verify(
                self.signature,
                message,
                key.decoding(),
                Algorithm::HS256,
            ) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The only failure left is a signature that is not base64url.
                Err(_) => return Err(TokenError::Malformed),
            }
        }
        Err(TokenError::Signature)
    }

    fn claims(&self) -> Result<Claims, TokenError> {
        let claims = URL_SAFE_NO_PAD
            .decode(self.claims)
            .map_err(|_| TokenError::Malformed)?;
        serde_json::from_slice(&claims)
            .map(Claims)
            .map_err(|_| TokenError::Malformed)
    }
}

/// `jsonwebtoken` panics at its first use when another crate of the application turns on its second backend. Naming the
/// backend once avoids that; when the application has already chosen one, that choice stands.
fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _already_chosen = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    });
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(in super::super) const NOW: u64 = 1_700_000_000;

    pub(in super::super) fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A token with any header, for what `sign` cannot write.
    pub(in super::super) fn raw_token(header: &Value, claims: &Value, key: &AccessKey) -> String {
        install_provider();
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature =
            jsonwebtoken::crypto::sign(token.as_bytes(), key.encoding(), Algorithm::HS256).unwrap();
        format!("{token}.{signature}")
    }

    fn read(header: Value) -> Result<(), TokenError> {
        let key = AccessKey::new("key");
        verified_claims(&raw_token(&header, &json!({"exp": NOW}), &key), &[key]).map(drop)
    }

    #[test]
    fn headers_may_carry_anything_but_another_algorithm_or_critical_extensions() {
        assert_eq!(read(json!({"alg": "HS256"})), Ok(()));
        assert_eq!(
            read(json!({"alg": "HS256", "typ": 7, "kid": 5, "x5c": {}, "cty": [], "more": null})),
            Ok(())
        );
        assert_eq!(read(json!({"alg": "none"})), Err(TokenError::Algorithm));
        assert_eq!(read(json!({"alg": "hs256"})), Err(TokenError::Algorithm));
        assert_eq!(read(json!({"alg": "HS512"})), Err(TokenError::Algorithm));
        assert_eq!(read(json!({"alg": "RS256"})), Err(TokenError::Algorithm));
        assert_eq!(read(json!({"typ": "JWT"})), Err(TokenError::Malformed));
        assert_eq!(
            read(json!({"alg": "HS256", "crit": ["x"], "x": 1})),
            Err(TokenError::CriticalHeader)
        );
    }

    #[test]
    fn malformed_tokens_are_named_as_such() {
        let key = [AccessKey::new("key")];
        let good = sign(&json!({"exp": 1}), &key[0]).into_string();
        let (message, signature) = good.rsplit_once('.').unwrap();
        for token in [
            "",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            "é.é.é",
            message,
            &format!("{message}.!{signature}"),
        ] {
            assert_eq!(
                verified_claims(token, &key).map(drop),
                Err(TokenError::Malformed),
                "{token}"
            );
        }
        assert_eq!(
            verified_claims(&format!("{message}."), &key).map(drop),
            Err(TokenError::Signature)
        );
        assert_eq!(
            verified_claims(&good, &[]).map(drop),
            Err(TokenError::Signature)
        );
    }

    #[test]
    fn lifetime_edges() {
        let skew = Duration::from_secs(300);
        let check = |claims: Value, now: u64| {
            let Value::Object(map) = claims else {
                unreachable!()
            };
            Claims(map).check_lifetime(CheckedAt { now: at(now), skew })
        };
        assert_eq!(check(json!({"exp": NOW}), NOW + 300), Ok(()));
        assert_eq!(
            check(json!({"exp": NOW}), NOW + 301),
            Err(TokenError::Expired)
        );
        assert_eq!(check(json!({"exp": NOW as f64 + 0.5}), NOW + 300), Ok(()));
        assert_eq!(check(json!({"exp": NOW, "nbf": NOW}), NOW - 300), Ok(()));
        assert_eq!(
            check(json!({"exp": NOW, "nbf": NOW}), NOW - 301),
            Err(TokenError::NotYetValid)
        );
        assert_eq!(
            check(json!({"nbf": NOW}), NOW),
            Err(TokenError::MissingClaim("exp"))
        );
        assert_eq!(
            check(json!({"exp": null}), NOW),
            Err(TokenError::MissingClaim("exp"))
        );
        assert_eq!(
            check(json!({"exp": "1700000000"}), NOW),
            Err(TokenError::InvalidClaim("exp"))
        );
        assert_eq!(
            check(json!({"exp": NOW, "nbf": []}), NOW),
            Err(TokenError::InvalidClaim("nbf"))
        );
        assert_eq!(check(json!({"exp": 1e300}), NOW), Ok(()));
        assert_eq!(check(json!({"exp": -1}), NOW), Err(TokenError::Expired));
    }

    #[test]
    fn errors_name_the_check() {
        assert_eq!(
            TokenError::MissingClaim("exp").to_string(),
            "the claim `exp` is missing"
        );
        assert_eq!(
            TokenError::Audience.to_string(),
            "the audience does not match"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(token in ".{0,200}") {
            let _ = verified_claims(&token, &[AccessKey::new("key")]);
            let _ = unverified_claims(&token);
        }

        #[test]
        fn any_json_in_the_parts_is_safe(header in ".{0,60}", claims in ".{0,120}") {
            let key = AccessKey::new("key");
            let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            install_provider();
            let signature = jsonwebtoken::crypto::sign(token.as_bytes(), key.encoding(), Algorithm::HS256).unwrap();
            let _ = verified_claims(&format!("{token}.{signature}"), &[key]);
        }

        #[test]
        fn a_changed_byte_is_noticed(secret in ".{0,40}", index in 0usize..120, flip in 1u8..64) {
            let key = AccessKey::new(secret);
            let token = sign(&json!({"exp": NOW, "aud": "x", "padding": "0123456789012345678901234567890"}), &key);
            let mut bytes = token.into_string().into_bytes();
            let index = index % bytes.len();
            bytes[index] ^= flip;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(verified_claims(&changed, &[key]).is_err());
            }
        }

        #[test]
        fn only_the_signing_key_verifies(a in ".{1,40}", b in ".{1,40}") {
            let (signer, other) = (AccessKey::new(a.clone()), AccessKey::new(b.clone()));
            let token = sign(&json!({"exp": NOW}), &signer);
            prop_assert!(verified_claims(token.as_str(), std::slice::from_ref(&signer)).is_ok());
            prop_assert!(verified_claims(token.as_str(), &[other.clone(), signer]).is_ok());
            // HMAC pads short keys with zero bytes, so keys that differ only in trailing NULs are one key.
            if a.trim_end_matches('\0') != b.trim_end_matches('\0') {
                prop_assert_eq!(verified_claims(token.as_str(), &[other]).map(drop), Err(TokenError::Signature));
            }
        }
    }
}
