//! Tokens of REST calls.

use std::time::{Duration, SystemTime};

use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{
    ENTRA_AUDIENCE,
    jwt::{self, CheckedAt, TokenError},
    key::{AccessKey, Token},
};

/// Signs the token of one REST call with the claims of the official JavaScript package: `iat`, `exp`, `aud`.
///
/// `audience` is the full URL of the request with its query, as it was before any reverse proxy changed it. The official packages use lifetimes of 1 hour (JavaScript), 5 minutes (.NET) and 1 minute (Python).
#[must_use]
pub fn sign_rest_token(
    audience: &str,
    key: &AccessKey,
    lifetime: Duration,
    now: SystemTime,
) -> Token {
    #[derive(Serialize)]
    struct NewClaims<'a> {
        iat: u64,
        exp: u64,
        aud: &'a str,
    }

    let iat = jwt::unix_seconds(now);
    jwt::sign(
        &NewClaims {
            iat,
            exp: iat.saturating_add(lifetime.as_secs()),
            aud: audience,
        },
        key,
    )
}

/// What to do with Microsoft Entra ID tokens, which only the real service can validate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntraTokens {
    /// Refuse them.
    #[default]
    Refuse,
    /// Accept every token that has the Entra audience of the service and has not expired. **Signature, issuer and roles are
    /// not checked**: use this for development on your own machine only.
    AcceptUnvalidated,
}

/// Checks the token of a REST call.
///
/// - `hosts`: the names of the server, each with its port as in a `Host` header: the value of that header, and any public
///   endpoint.
/// - `path`: the path of the request as the server decodes it: percent escapes decoded once, except `%2F`.
///
/// One value of `aud` must match, either unchanged or percent-decoded once (with or without `%2F`): one of the schemes
/// `http`, `https`, `ws` and `wss`; then, without regard to case, one of `hosts` and the path without its trailing slash;
/// then the end, `/` or `?`. A longer audience is therefore accepted, and the query never matters. The lifetime is checked
/// with 5 minutes of skew if only the time is given.
///
/// A token whose audience is [`ENTRA_AUDIENCE`] counts as an Entra token even when it is signed with an access key.
///
/// # Errors
///
/// The check that failed.
pub fn verify_rest_token(
    token: &str,
    keys: &[AccessKey],
    hosts: &[&str],
    path: &str,
    entra: EntraTokens,
    now: impl Into<CheckedAt>,
) -> Result<(), TokenError> {
    let at = now.into();
    let unverified = jwt::unverified_claims(token)?;
    if unverified
        .audiences()
        .is_ok_and(|audiences| audiences.iter().any(|audience| audience == ENTRA_AUDIENCE))
    {
        return match entra {
            EntraTokens::Refuse => Err(TokenError::EntraRefused),
            EntraTokens::AcceptUnvalidated => unverified.check_lifetime(at),
        };
    }
    let claims = jwt::verified_claims(token, keys)?;
    claims.check_lifetime(at)?;
    match claims
        .audiences()?
        .iter()
        .any(|audience| covers(audience, hosts, path))
    {
        true => Ok(()),
        false => Err(TokenError::Audience),
    }
}

/// Whether an audience allows calls of `path` on one of `hosts`.
fn covers(audience: &str, hosts: &[&str], path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return false;
    }
    let fits = |audience: &str| {
        let Some((scheme, rest)) = audience.split_once("://") else {
            return false;
        };
        ["http", "https", "ws", "wss"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
            && hosts.iter().any(|host| {
                strip_prefix_ignoring_case(rest, host)
                    .and_then(|rest| strip_prefix_ignoring_case(rest, path))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            })
    };
    if fits(audience) {
        return true;
    }
    // The official service decodes everything. Decoding as the server decodes its path comes on top: without it an id
    // that holds both `%2F` and another escape could never be addressed.
    audience.contains('%')
        && (decode(audience).is_some_and(|aud| fits(&aud))
            || decode_all_but_slash(audience).is_some_and(|aud| fits(&aud)))
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

fn decode_all_but_slash(text: &str) -> Option<String> {
    decode(&text.replace("%2F", "%252F").replace("%2f", "%252f"))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for expected in prefix.chars() {
        let found = rest.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    Some(rest.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{
        super::{
            ClientProtocol, ClientTokenOptions,
            jwt::tests::{NOW, at, raw_token},
            sign_client_token, sign_reconnection_token, verify_client_token,
            verify_reconnection_token,
        },
        *,
    };

    const HOUR: Duration = Duration::from_secs(3600);
    const PATH: &str = "/api/hubs/chat/:send";

    fn key() -> AccessKey {
        AccessKey::new("primary")
    }

    fn check(claims: Value, entra: EntraTokens) -> Result<(), TokenError> {
        let token = raw_token(&json!({"alg": "HS256", "typ": "JWT"}), &claims, &key());
        verify_rest_token(&token, &[key()], &["h:8080"], PATH, entra, at(NOW))
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vectors {
        rest_audiences: Vec<AudienceVector>,
    }

    #[derive(Deserialize)]
    struct AudienceVector {
        aud: String,
        hosts: Vec<String>,
        path: String,
        covers: bool,
        why: String,
    }

    #[test]
    fn vectors() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../tests/vectors/access.json")).unwrap();
        assert!(vectors.rest_audiences.len() > 10);
        for vector in vectors.rest_audiences {
            let hosts: Vec<&str> = vector.hosts.iter().map(String::as_str).collect();
            let token = sign_rest_token(&vector.aud, &key(), HOUR, at(NOW));
            let expected = if vector.covers {
                Ok(())
            } else {
                Err(TokenError::Audience)
            };
            let result = verify_rest_token(
                token.as_str(),
                &[key()],
                &hosts,
                &vector.path,
                EntraTokens::Refuse,
                at(NOW),
            );
            assert_eq!(result, expected, "{}: {}", vector.why, vector.aud);
        }
    }

    #[test]
    fn tokens_of_all_official_packages_pass() {
        let aud = "http://h:8080/api/hubs/chat/:send?api-version=2024-12-01";
        for claims in [
            json!({"iat": NOW, "exp": NOW + 3600, "aud": aud}),
            json!({"exp": NOW + 60, "aud": aud, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": "me"}),
            json!({"nbf": NOW, "iat": NOW, "exp": NOW + 300, "aud": [aud]}),
        ] {
            assert_eq!(
                check(claims.clone(), EntraTokens::Refuse),
                Ok(()),
                "{claims}"
            );
        }
    }

    #[test]
    fn each_failed_check_is_named() {
        let aud = "http://h:8080/api/hubs/chat/:send";
        for (claims, error) in [
            (json!({"aud": aud}), TokenError::MissingClaim("exp")),
            (json!({"exp": NOW}), TokenError::MissingClaim("aud")),
            (
                json!({"exp": NOW, "aud": 1}),
                TokenError::InvalidClaim("aud"),
            ),
            (json!({"exp": NOW - 301, "aud": aud}), TokenError::Expired),
            (
                json!({"exp": NOW, "nbf": NOW + 301, "aud": aud}),
                TokenError::NotYetValid,
            ),
            (
                json!({"exp": NOW, "aud": "http://h:8080/api/hubs/chat"}),
                TokenError::Audience,
            ),
        ] {
            assert_eq!(
                check(claims.clone(), EntraTokens::Refuse),
                Err(error),
                "{claims}"
            );
        }
        let other_key = sign_rest_token(aud, &AccessKey::new("other"), HOUR, at(NOW));
        let result = verify_rest_token(
            other_key.as_str(),
            &[key()],
            &["h:8080"],
            PATH,
            EntraTokens::Refuse,
            at(NOW),
        );
        assert_eq!(result, Err(TokenError::Signature));
    }

    #[test]
    fn entra_tokens_are_refused_or_checked_for_lifetime_only() {
        let claims = |exp: u64| json!({"exp": exp, "aud": ENTRA_AUDIENCE});
        assert_eq!(
            check(claims(NOW), EntraTokens::Refuse),
            Err(TokenError::EntraRefused)
        );
        assert_eq!(
            check(claims(NOW - 300), EntraTokens::AcceptUnvalidated),
            Ok(())
        );
        assert_eq!(
            check(claims(NOW - 301), EntraTokens::AcceptUnvalidated),
            Err(TokenError::Expired)
        );
        assert_eq!(
            check(
                json!({"aud": ENTRA_AUDIENCE}),
                EntraTokens::AcceptUnvalidated
            ),
            Err(TokenError::MissingClaim("exp"))
        );
        let foreign = raw_token(
            &json!({"alg": "RS256", "kid": "x"}),
            &claims(NOW),
            &AccessKey::new("not ours"),
        );
        let verify =
            |entra| verify_rest_token(&foreign, &[key()], &["h:8080"], PATH, entra, at(NOW));
        assert_eq!(verify(EntraTokens::AcceptUnvalidated), Ok(()));
        assert_eq!(verify(EntraTokens::Refuse), Err(TokenError::EntraRefused));
        let slash = json!({"exp": NOW, "aud": format!("{ENTRA_AUDIENCE}/")});
        assert_eq!(
            check(slash, EntraTokens::AcceptUnvalidated),
            Err(TokenError::Audience)
        );
    }

    #[test]
    fn both_keys_verify() {
        let keys = [AccessKey::new("one"), AccessKey::new("two")];
        for key in &keys {
            let token = sign_rest_token("https://h/api/hubs/chat/:send", key, HOUR, at(NOW));
            assert_eq!(
                verify_rest_token(
                    token.as_str(),
                    &keys,
                    &["h"],
                    PATH,
                    EntraTokens::Refuse,
                    at(NOW)
                ),
                Ok(())
            );
        }
    }

    proptest! {
        #[test]
        fn audiences_never_panic(aud in ".{0,80}", host in ".{0,10}", path in ".{0,30}") {
            let _ = covers(&aud, &[&host], &path);
        }

        #[test]
        fn what_the_client_signs_the_server_accepts(id in "[^/]{1,20}", query in "[a-z=&]{0,10}") {
            let mut url = url::Url::parse("http://h:8080/").unwrap();
            url.path_segments_mut().unwrap().extend(["api", "hubs", "chat", "users", "u", "groups"]);
            let encoded = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
            let aud = format!("{url}/{encoded}?{query}");
            let token = sign_rest_token(&aud, &key(), HOUR, at(NOW));
            let path = format!("/api/hubs/chat/users/u/groups/{id}");
            prop_assert_eq!(
                verify_rest_token(token.as_str(), &[key()], &["H:8080"], &path, EntraTokens::Refuse, at(NOW)),
                Ok(())
            );
        }

        #[test]
        fn no_kind_of_token_passes_for_another(
            connection in "[a-zA-Z0-9_-]{1,32}", hub in "[A-Za-z][A-Za-z0-9_]{0,20}", user in ".{0,10}", entra in any::<bool>(),
        ) {
            let endpoint = url::Url::parse("http://h/").unwrap();
            let key = key();
            let keys = std::slice::from_ref(&key);
            let entra = if entra { EntraTokens::AcceptUnvalidated } else { EntraTokens::Refuse };
            let paths = [format!("/api/hubs/{hub}/:send"), format!("/client/hubs/{hub}"), format!("/{connection}")];

            let rest = sign_rest_token(&format!("http://h/api/hubs/{hub}/:send"), &key, HOUR, at(NOW));
            let reconnect = sign_reconnection_token(&connection, "jti", &key, at(NOW));
            for protocol in [ClientProtocol::Default, ClientProtocol::Mqtt, ClientProtocol::SocketIo] {
                let options = ClientTokenOptions::default().user_id(&user).protocol(protocol);
                let client = sign_client_token(&endpoint, &hub, &key, &options, at(NOW));
                let client = client.token().as_str();
                prop_assert!(verify_rest_token(client, keys, &["h"], &paths[0], entra, at(NOW)).is_err());
                prop_assert!(verify_reconnection_token(client, keys, &connection, at(NOW)).is_err());
            }
            for other in [rest.as_str(), reconnect.as_str()] {
                prop_assert!(verify_client_token(other, keys, &|_| true, at(NOW)).is_err());
            }
            prop_assert!(verify_reconnection_token(rest.as_str(), keys, &connection, at(NOW)).is_err());
            for path in &paths {
                prop_assert!(verify_rest_token(reconnect.as_str(), keys, &["h"], path, entra, at(NOW)).is_err());
            }
        }
    }
}
