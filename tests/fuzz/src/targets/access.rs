//! Connection strings and tokens: what is read survives being written, and no secret is shown.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use webpubsub_protocol::access::{
    AccessKey, ConnectionString, EntraTokens, TokenError, parse_endpoint, verify_client_token,
    verify_reconnection_token, verify_rest_token,
};

use crate::check;

pub(super) fn connection_string(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match text.parse::<ConnectionString>() {
        Ok(parsed) => {
            let key = parsed.access_key().expose();
            let endpoint = parsed.endpoint().as_str();
            if !endpoint.contains(key) {
                check::hides(&format!("{parsed:?}"), key);
            }
            assert_eq!(parsed.expose().parse().as_ref(), Ok(&parsed));
        }
        Err(error) => {
            check::error(&error, 300);
            let is_key = |name: &str| name.trim().eq_ignore_ascii_case("AccessKey");
            let mut pairs = text
                .split(';')
                .filter_map(|segment| segment.split_once('='));
            if let Some((_, key)) = pairs.find(|(name, _)| is_key(name)) {
                let plain = "the connection string has no `AccessKey`; expected `Endpoint=https://<host>;AccessKey=<key>;Version=1.0;`";
                if !plain.contains(key.trim()) {
                    check::hides(&error.to_string(), key.trim());
                }
            }
        }
    }
    match parse_endpoint(text) {
        Ok(url) => {
            assert!(matches!(url.scheme(), "http" | "https"));
            assert!(url.path().ends_with('/') && url.host().is_some());
            assert!(url.username().is_empty() && url.password().is_none());
            assert_eq!(parse_endpoint(url.as_str()).as_ref(), Ok(&url));
        }
        Err(error) => check::error(&error, 300),
    }
}

/// A token as it is; or claims, which are signed first so that they are looked at.
pub(super) fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let keys = [AccessKey::new("a key of 32 bytes, as services have")];
    let token = match text.starts_with('{') {
        true => signed(text, &keys[0]),
        false => text.to_owned(),
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let client = check::frugal(token.len(), 200, || {
        verify_client_token(&token, &keys, &|_| true, now)
    });
    let path = "/api/hubs/chat/:send";
    let rest = verify_rest_token(
        &token,
        &keys,
        &["localhost:8080"],
        path,
        EntraTokens::Refuse,
        now,
    );
    let recovery = verify_reconnection_token(&token, &keys, "c1", now);
    // Each kind of token is for one thing only.
    assert!(client.is_err() || rest.is_err());
    assert!(client.is_err() || recovery.is_err());
    assert!(rest.is_err() || recovery.is_err());
    match client {
        Ok(claims) => {
            let lists = claims.event_claims();
            assert_eq!(lists.len(), claims.claims.len());
            let other = [AccessKey::new("another key of 32 bytes, or of some more")];
            let refused = verify_client_token(&token, &other, &|_| true, now);
            assert_eq!(refused.err(), Some(TokenError::Signature));
        }
        Err(error) => check::error(&error, 120),
    }
    rest.err().iter().for_each(|error| check::error(error, 120));
    recovery
        .err()
        .iter()
        .for_each(|error| check::error(error, 120));
}

/// A JWT with these claims, whatever they are.
fn signed(claims: &str, key: &AccessKey) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
