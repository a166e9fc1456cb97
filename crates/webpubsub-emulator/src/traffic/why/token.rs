//! Which check a token failed, with what was expected and what came. Never the token, nor a part of its signature.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;
use webpubsub_protocol::access::{CheckedAt, TokenError};

use crate::date;

/// Characters of what came that are shown.
const SHOWN: usize = 300;

/// The check that a token failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenMismatch {
    /// What was checked: `token`, `format`, `signature`, or the name of a claim or of a member of the token's head.
    pub check: &'static str,
    /// What would have passed.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// There is no token at all.
pub(crate) fn missing(expected: &str) -> TokenMismatch {
    TokenMismatch {
        check: "token",
        expected: expected.to_owned(),
        found: "none".to_owned(),
    }
}

/// Says what a check found. `audiences` are those that would pass.
pub(crate) fn explain(
    token: &str,
    error: TokenError,
    audiences: &[String],
    at: CheckedAt,
) -> TokenMismatch {
    let parts: Vec<&str> = token.split('.').collect();
    let object = |index: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(parts.get(index)?).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (head, claims) = (object(0).unwrap_or_default(), object(1).unwrap_or_default());
    let (check, expected, found) = match error {
        TokenError::Algorithm => ("alg", "HS256".to_owned(), shown(&head["alg"])),
        TokenError::CriticalHeader => ("crit", "none".to_owned(), shown(&head["crit"])),
        TokenError::Signature => (
            "signature",
            "HMAC-SHA256 with an access key of the emulator, as it stands in the connection string"
                .to_owned(),
            "one of another key, or of another content".to_owned(),
        ),
        TokenError::MissingClaim(claim) => (claim, "a value".to_owned(), "none".to_owned()),
        TokenError::InvalidClaim(claim) => {
            let expected = match claim {
                "exp" | "nbf" | "iat" => "a number",
                _ => "a text or a list of texts",
            };
            (
                claim,
                expected.to_owned(),
                kind_of(&claims[claim]).to_owned(),
            )
        }
        TokenError::Expired => {
            let least = at.now.checked_sub(at.skew).unwrap_or(UNIX_EPOCH);
            let expected = format!("{} or later", date::in_seconds(least));
            ("exp", expected, time(&claims["exp"]))
        }
        TokenError::NotYetValid => {
            let most = at.now + at.skew;
            let expected = format!("{} or earlier", date::in_seconds(most));
            ("nbf", expected, time(&claims["nbf"]))
        }
        TokenError::Audience => ("aud", audiences.join(" or "), audience(&claims["aud"])),
        TokenError::Issuer => (
            "iss",
            "that of this kind of token".to_owned(),
            shown(&claims["iss"]),
        ),
        TokenError::EntraRefused => (
            "kind",
            "a token that is signed with an access key".to_owned(),
            "a token of Microsoft Entra ID".to_owned(),
        ),
        // A token that is no token, and whatever else is to come.
        _ => (
            "format",
            "three parts of base64url, separated by dots".to_owned(),
            format!("{} parts, {} characters", parts.len(), token.len()),
        ),
    };
    TokenMismatch {
        check,
        expected,
        found,
    }
}

/// Without its query: somebody may have put a token there.
fn audience(value: &Value) -> String {
    let texts: Vec<&str> = match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    };
    let texts: Vec<&str> = texts
        .iter()
        .map(|text| text.split(['?', '#']).next().unwrap_or(text))
        .collect();
    cut(&texts.join(", "))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => cut(text),
        value => cut(&value.to_string()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

fn time(value: &Value) -> String {
    let seconds = value.as_f64().unwrap_or_default();
    let since_1970 = Duration::try_from_secs_f64(seconds).ok();
    let time = since_1970.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    time.map_or_else(|| shown(value), date::in_seconds)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "none",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2lnbmF0dXJl", part(head), part(claims))
    }

    #[test]
    fn each_check_says_what_was_expected_and_what_came_but_never_the_token() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let at = CheckedAt {
            now,
            skew: Duration::from_secs(300),
        };
        let claims = json!({
            "exp": 1_600_000_000,
            "nbf": 1_800_000_000,
            "aud": "http://elsewhere/client/hubs/chat?access_token=sEcReT",
            "role": 7,
        });
        let token = token(&json!({"alg": "none"}), &claims);
        let audiences = ["http://here/client/hubs/chat".to_owned()];
        for (error, check, expected, found) in [
            (TokenError::Algorithm, "alg", "HS256", "none"),
            (TokenError::CriticalHeader, "crit", "none", "none"),
            (
                TokenError::Expired,
                "exp",
                "2023-11-14T22:08:20Z or later",
                "2020-09-13T12:26:40Z",
            ),
            (
                TokenError::NotYetValid,
                "nbf",
                "2023-11-14T22:18:20Z or earlier",
                "2027-01-15T08:00:00Z",
            ),
            (
                TokenError::Audience,
                "aud",
                "http://here/client/hubs/chat",
                "http://elsewhere/client/hubs/chat",
            ),
            (TokenError::MissingClaim("sub"), "sub", "a value", "none"),
            (
                TokenError::InvalidClaim("role"),
                "role",
                "a text or a list of texts",
                "a number",
            ),
        ] {
            let mismatch = explain(&token, error, &audiences, at);
            assert_eq!(
                (mismatch.check, &*mismatch.expected, &*mismatch.found),
                (check, expected, found)
            );
        }
        for error in [
            TokenError::Signature,
            TokenError::EntraRefused,
            TokenError::Malformed,
        ] {
            let shown = format!("{:?}", explain(&token, error, &audiences, at));
            assert!(
                !shown.contains("sEcReT") && !shown.contains("c2lnbmF0dXJl"),
                "{shown}"
            );
        }
        let long = json!({"alg": "x".repeat(1000)});
        let long = explain(&self::token(&long, &claims), TokenError::Algorithm, &[], at);
        assert_eq!(long.found.len(), SHOWN + 2);
        let none = explain("no token", TokenError::Malformed, &[], at);
        assert_eq!(none.found, "1 parts, 8 characters");
    }
}
