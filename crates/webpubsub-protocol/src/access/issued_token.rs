//! Client access tokens as the service itself issues them.

use std::time::SystemTime;

use serde::Serialize;
use url::Url;

use super::{
    SERVICE_ISSUER,
    client_token::ClientTokenOptions,
    client_url::client_audience,
    jwt,
    key::{AccessKey, Token},
};

/// Signs the token that `:generateToken` answers with: the claims of [`sign_client_token`](super::sign_client_token)
/// and, as recorded from the live service, `nbf` and the issuer [`SERVICE_ISSUER`].
///
/// `hub` becomes part of the audience unchanged; the service lower-cases it first.
#[must_use]
pub fn issue_client_token(
    endpoint: &Url,
    hub: &str,
    key: &AccessKey,
    options: &ClientTokenOptions,
    now: SystemTime,
) -> Token {
    #[derive(Serialize)]
    struct IssuedClaims<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        sub: Option<&'a str>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        role: &'a [String],
        #[serde(rename = "webpubsub.group", skip_serializing_if = "<[_]>::is_empty")]
        groups: &'a [String],
        nbf: u64,
        exp: u64,
        iat: u64,
        iss: &'a str,
        aud: &'a str,
    }

    let iat = jwt::unix_seconds(now);
    let claims = IssuedClaims {
        sub: options.user_id.as_deref().filter(|user| !user.is_empty()),
        role: &options.roles,
        groups: &options.groups,
        nbf: iat,
        exp: iat.saturating_add(options.lifetime.as_secs()),
        iat,
        iss: SERVICE_ISSUER,
        aud: &client_audience(endpoint, hub, options.protocol),
    };
    jwt::sign(&claims, key)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{
            ClientProtocol,
            jwt::tests::{NOW, at},
            verify_client_token,
        },
        *,
    };

    fn claims(options: &ClientTokenOptions) -> Value {
        let key = AccessKey::new("primary");
        let endpoint = Url::parse("https://h/").unwrap();
        let token = issue_client_token(&endpoint, "test", &key, options, at(NOW));
        let claims = verify_client_token(token.as_str(), &[key], &|_| true, at(NOW)).unwrap();
        Value::Object(claims.claims)
    }

    #[test]
    fn claims_are_those_recorded() {
        let options = ClientTokenOptions::default()
            .user_id("foo")
            .role("a")
            .role("b")
            .group("a&b")
            .group("c");
        let expected = json!({
            "sub": "foo", "role": ["a", "b"], "webpubsub.group": ["a&b", "c"],
            "nbf": NOW, "exp": NOW + 3600, "iat": NOW,
            "iss": "https://webpubsub.azure.com", "aud": "https://h/client/hubs/test",
        });
        assert_eq!(claims(&options), expected);
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let options = ClientTokenOptions::default()
            .user_id("")
            .protocol(ClientProtocol::Mqtt);
        let expected = json!({
            "nbf": NOW, "exp": NOW + 3600, "iat": NOW,
            "iss": "https://webpubsub.azure.com", "aud": "https://h/clients/mqtt/hubs/test",
        });
        assert_eq!(claims(&options), expected);
    }
}
