//! Reconnection tokens, which prove that a client may recover a reliable connection.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{
    SERVICE_ISSUER,
    jwt::{self, CheckedAt, TokenError},
    key::{AccessKey, Token},
};
use crate::limits::RECONNECTION_TOKEN_LIFETIME;

/// Signs the reconnection token of a connection: issuer [`SERVICE_ISSUER`], audience the connection id, valid for 7 days
/// from `now`. `jti` distinguishes the tokens of a connection and should be random.
///
/// Clients treat the token as opaque. `now` must come from the same clock as the later check, which tolerates no skew.
#[must_use]
pub fn sign_reconnection_token(
    connection_id: &str,
    jti: &str,
    key: &AccessKey,
    now: SystemTime,
) -> Token {
    #[derive(Serialize)]
    struct NewClaims<'a> {
        jti: &'a str,
        nbf: u64,
        exp: u64,
        iss: &'a str,
        aud: &'a str,
    }

    let nbf = jwt::unix_seconds(now);
    let exp = nbf.saturating_add(RECONNECTION_TOKEN_LIFETIME.as_secs());
    jwt::sign(
        &NewClaims {
            jti,
            nbf,
            exp,
            iss: SERVICE_ISSUER,
            aud: connection_id,
        },
        key,
    )
}

/// Checks the reconnection token of a connection, without clock skew.
///
/// # Errors
///
/// The check that failed. Client and REST tokens fail, because they have another audience and no `jti`.
pub fn verify_reconnection_token(
    token: &str,
    keys: &[AccessKey],
    connection_id: &str,
    now: SystemTime,
) -> Result<(), TokenError> {
    let claims = jwt::verified_claims(token, keys)?;
    claims.check_lifetime(CheckedAt {
        now,
        skew: Duration::ZERO,
    })?;
    if claims.string("iss")? != Some(SERVICE_ISSUER) {
        return Err(TokenError::Issuer);
    }
    if claims.string("jti")?.is_none() {
        return Err(TokenError::MissingClaim("jti"));
    }
    match claims.audiences()?.as_slice() {
        [only] if only == connection_id => Ok(()),
        _ => Err(TokenError::Audience),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{
        super::jwt::tests::{NOW, at, raw_token},
        *,
    };

    const WEEK: u64 = 7 * 24 * 60 * 60;

    fn key() -> AccessKey {
        AccessKey::new("key")
    }

    #[test]
    fn valid_for_seven_days_without_skew() {
        let token = sign_reconnection_token("c1", "r", &key(), at(NOW));
        let verify = |now| verify_reconnection_token(token.as_str(), &[key()], "c1", at(now));
        assert_eq!(verify(NOW), Ok(()));
        assert_eq!(verify(NOW + WEEK), Ok(()));
        assert_eq!(verify(NOW + WEEK + 1), Err(TokenError::Expired));
        assert_eq!(verify(NOW - 1), Err(TokenError::NotYetValid));
    }

    #[test]
    fn tokens_differ_by_jti() {
        let sign = |jti| sign_reconnection_token("c1", jti, &key(), at(NOW));
        assert_ne!(sign("a"), sign("b"));
        assert_eq!(sign("a"), sign("a"));
    }

    #[test]
    fn each_failed_check_is_named() {
        let good = json!({"iss": SERVICE_ISSUER, "jti": "r", "aud": "c1", "nbf": NOW, "exp": NOW});
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[name] = value;
            let token = raw_token(&json!({"alg": "HS256"}), &claims, &key());
            verify_reconnection_token(&token, &[key()], "c1", at(NOW))
        };
        assert_eq!(with("more", json!(1)), Ok(()));
        assert_eq!(
            with("iss", json!("https://example.com")),
            Err(TokenError::Issuer)
        );
        assert_eq!(with("iss", json!(null)), Err(TokenError::Issuer));
        assert_eq!(
            with("jti", json!(null)),
            Err(TokenError::MissingClaim("jti"))
        );
        assert_eq!(with("aud", json!("C1")), Err(TokenError::Audience));
        assert_eq!(with("aud", json!(["c1", "c2"])), Err(TokenError::Audience));
        assert_eq!(
            with("aud", json!(null)),
            Err(TokenError::MissingClaim("aud"))
        );
        let token = sign_reconnection_token("c1", "r", &AccessKey::new("other"), at(NOW));
        assert_eq!(
            verify_reconnection_token(token.as_str(), &[key()], "c1", at(NOW)),
            Err(TokenError::Signature)
        );
    }

    proptest! {
        #[test]
        fn bound_to_one_connection(a in ".{1,40}", b in ".{1,40}") {
            let token = sign_reconnection_token(&a, "r", &key(), at(NOW));
            prop_assert_eq!(verify_reconnection_token(token.as_str(), &[key()], &a, at(NOW)), Ok(()));
            if a != b {
                prop_assert_eq!(
                    verify_reconnection_token(token.as_str(), &[key()], &b, at(NOW)),
                    Err(TokenError::Audience)
                );
            }
        }
    }
}
