//! Client access tokens: what they grant, how they are signed, and how they are checked.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    client_url::{ClientProtocol, client_audience, client_url, is_client_url},
    jwt::{self, CheckedAt, TokenError},
    key::{AccessKey, Token},
};
use crate::limits::CLIENT_TOKEN_LIFETIME;

/// What a client access token grants, and how long it is valid.
///
/// ```
/// use std::time::Duration;
/// use webpubsub_protocol::access::ClientTokenOptions;
///
/// let options = ClientTokenOptions::default()
///     .user_id("ana")
///     .role("webpubsub.sendToGroup.room-7")
///     .group("room-7")
///     .lifetime(Duration::from_secs(10 * 60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientTokenOptions {
    /// The id of the user; `None` or empty for an anonymous client.
    pub user_id: Option<String>,
    /// Roles, for example `webpubsub.sendToGroup.room-7`.
    pub roles: Vec<String>,
    /// Groups that the connection joins when it opens.
    pub groups: Vec<String>,
    /// How long the token can be used to connect, in whole seconds; fractions are dropped. 60 minutes by default.
    /// Connections stay open when their token expires.
    pub lifetime: Duration,
    /// The kind of client.
    pub protocol: ClientProtocol,
}

impl Default for ClientTokenOptions {
    fn default() -> Self {
        Self {
            user_id: None,
            roles: Vec::new(),
            groups: Vec::new(),
            lifetime: CLIENT_TOKEN_LIFETIME,
            protocol: ClientProtocol::Default,
        }
    }
}

impl ClientTokenOptions {
    /// Sets the user id.
    #[must_use]
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Adds a group that the connection joins when it opens.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Sets how long the token can be used to connect.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the kind of client.
    #[must_use]
    pub fn protocol(mut self, protocol: ClientProtocol) -> Self {
        self.protocol = protocol;
        self
    }
}

/// A client access token and the URLs for it. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientAccessToken {
    token: Token,
    base_url: String,
    url: String,
}

impl ClientAccessToken {
    /// Combines a token with the URL that it is for.
    #[must_use]
    pub fn new(token: Token, base_url: String) -> Self {
        let url = format!("{base_url}?access_token={}", token.as_str());
        Self {
            token,
            base_url,
            url,
        }
    }

    /// The token alone.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// `ws(s)://host/client/hubs/{hub}`, without the token.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The URL to connect to: [`base_url`](Self::base_url), `?access_token=` and the token. Never log it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for ClientAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAccessToken")
            .field("token", &self.token)
            .field("base_url", &self.base_url)
            .finish()
    }
}

/// Signs a client access token with the claims that the official JavaScript package uses: `iat`, `exp`, `aud`, and `sub`,
/// `role` and `webpubsub.group` if they are set.
#[must_use]
pub fn sign_client_token(
    endpoint: &Url,
    hub: &str,
    key: &AccessKey,
    options: &ClientTokenOptions,
    now: SystemTime,
) -> ClientAccessToken {
    #[derive(Serialize)]
    struct NewClaims<'a> {
        aud: &'a str,
        iat: u64,
        exp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sub: Option<&'a str>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        role: &'a [String],
        #[serde(rename = "webpubsub.group", skip_serializing_if = "<[_]>::is_empty")]
        groups: &'a [String],
    }

    let iat = jwt::unix_seconds(now);
    let claims = NewClaims {
        aud: &client_audience(endpoint, hub, options.protocol),
        iat,
        exp: iat.saturating_add(options.lifetime.as_secs()),
        sub: options.user_id.as_deref().filter(|user| !user.is_empty()),
        role: &options.roles,
        groups: &options.groups,
    };
    ClientAccessToken::new(
        jwt::sign(&claims, key),
        client_url(endpoint, hub, options.protocol),
    )
}

/// The claims of a client access token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientClaims {
    /// The user id, from `sub`; `None` if it is absent or empty.
    pub user_id: Option<String>,
    /// The roles, from `role`, which may be a list or one string.
    pub roles: Vec<String>,
    /// The groups, from `webpubsub.group` and then `group`. They may be invalid.
    pub groups: Vec<String>,
    /// Every claim of the token, including the standard ones.
    pub claims: Map<String, Value>,
}

impl ClientClaims {
    /// All claims in the form of the `connect` event: lists of strings. Numbers, booleans and objects are written as JSON;
    /// null becomes an empty list.
    #[must_use]
    pub fn event_claims(&self) -> BTreeMap<String, Vec<String>> {
        fn text(value: &Value) -> String {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        }
        let lists = self.claims.iter().map(|(name, value)| {
            let list = match value {
                Value::Null => Vec::new(),
                Value::Array(values) => values.iter().map(text).collect(),
                one => vec![text(one)],
            };
            (name.clone(), list)
        });
        lists.collect()
    }
}

/// Checks the token of a client that connects: the signature by one of `keys`; the lifetime, with 5 minutes of skew if only
/// the time is given; and that `aud` contains a client URL that `audience` accepts. It is called with each value that has
/// the form of a client URL.
///
/// # Errors
///
/// The check that failed. REST and reconnection tokens fail the audience check, whatever `audience` returns.
pub fn verify_client_token(
    token: &str,
    keys: &[AccessKey],
    audience: &dyn Fn(&str) -> bool,
    now: impl Into<CheckedAt>,
) -> Result<ClientClaims, TokenError> {
    let claims = jwt::verified_claims(token, keys)?;
    claims.check_lifetime(now.into())?;
    if !claims
        .audiences()?
        .iter()
        .any(|value| is_client_url(value) && audience(value))
    {
        return Err(TokenError::Audience);
    }
    let mut groups = claims.strings("webpubsub.group")?;
    for group in claims.strings("group")? {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(ClientClaims {
        user_id: claims
            .string("sub")?
            .filter(|user| !user.is_empty())
            .map(str::to_owned),
        roles: claims.strings("role")?,
        groups,
        claims: claims.into_map(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::{
        super::jwt::tests::{NOW, at, raw_token},
        *,
    };

    fn endpoint() -> Url {
        Url::parse("https://example.webpubsub.azure.com/").unwrap()
    }

    fn key() -> AccessKey {
        AccessKey::new("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH")
    }

    fn verify(claims: Value) -> Result<ClientClaims, TokenError> {
        let token = raw_token(&json!({"alg": "HS256"}), &claims, &key());
        verify_client_token(
            &token,
            &[key()],
            &|audience| audience == "https://h/client/hubs/chat",
            at(NOW),
        )
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vectors {
        client_tokens: Vec<ClientVector>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ClientVector {
        key: String,
        endpoint: String,
        hub: String,
        protocol: String,
        now: u64,
        lifetime_seconds: u64,
        user_id: Option<String>,
        #[serde(default)]
        roles: Vec<String>,
        #[serde(default)]
        groups: Vec<String>,
        base_url: String,
        token: String,
    }

    #[test]
    fn vectors() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../tests/vectors/access.json")).unwrap();
        assert!(vectors.client_tokens.len() >= 3);
        for vector in vectors.client_tokens {
            let key = AccessKey::new(vector.key);
            let endpoint: Url = vector.endpoint.parse().unwrap();
            let options = ClientTokenOptions {
                user_id: vector.user_id.clone(),
                roles: vector.roles.clone(),
                groups: vector.groups.clone(),
                lifetime: Duration::from_secs(vector.lifetime_seconds),
                protocol: vector.protocol.parse().unwrap(),
            };
            let signed = sign_client_token(&endpoint, &vector.hub, &key, &options, at(vector.now));
            assert_eq!(signed.token().as_str(), vector.token);
            assert_eq!(signed.base_url(), vector.base_url);
            assert_eq!(
                signed.url(),
                format!("{}?access_token={}", vector.base_url, vector.token)
            );

            let expected = client_audience(&endpoint, &vector.hub, options.protocol);
            let claims = verify_client_token(
                &vector.token,
                &[key],
                &|audience| audience == expected,
                at(vector.now),
            )
            .unwrap();
            assert_eq!(
                claims.user_id,
                vector.user_id.filter(|user| !user.is_empty())
            );
            assert_eq!(claims.roles, vector.roles);
            assert_eq!(claims.groups, vector.groups);
        }
    }

    #[test]
    fn an_anonymous_token_has_exactly_three_claims() {
        let signed = sign_client_token(
            &endpoint(),
            "chat",
            &key(),
            &ClientTokenOptions::default(),
            at(NOW),
        );
        let claims =
            verify_client_token(signed.token().as_str(), &[key()], &|_| true, at(NOW)).unwrap();
        assert_eq!(
            Value::Object(claims.claims),
            json!({"aud": "https://example.webpubsub.azure.com/client/hubs/chat", "iat": NOW, "exp": NOW + 3600})
        );
        let empty_user = ClientTokenOptions::default().user_id("");
        assert_eq!(
            signed,
            sign_client_token(&endpoint(), "chat", &key(), &empty_user, at(NOW))
        );
    }

    #[test]
    fn claims_in_all_their_spellings() {
        let aud = "https://h/client/hubs/chat";
        let claims = verify(json!({
            "aud": ["https://other/client/hubs/x", aud], "exp": NOW, "sub": "ana", "role": "one",
            "webpubsub.group": ["a", "b"], "group": ["b", "c"], "iss": "https://webpubsub.azure.com",
            "level": 7, "admin": true, "nothing": null, "deep": {"x": [1]}, "mixed": ["x", 1],
        }))
        .unwrap();
        assert_eq!(claims.user_id.as_deref(), Some("ana"));
        assert_eq!(claims.roles, ["one"]);
        assert_eq!(claims.groups, ["a", "b", "c"]);
        let event = claims.event_claims();
        assert_eq!(event["sub"], ["ana"]);
        assert_eq!(event["role"], ["one"]);
        assert_eq!(event["exp"], [NOW.to_string()]);
        assert_eq!(event["level"], ["7"]);
        assert_eq!(event["admin"], ["true"]);
        assert_eq!(event["nothing"], [""; 0]);
        assert_eq!(event["deep"], [r#"{"x":[1]}"#]);
        assert_eq!(event["mixed"], ["x", "1"]);

        let bare = verify(json!({"aud": aud, "exp": NOW, "sub": "", "role": [], "group": "mqtt"}))
            .unwrap();
        assert_eq!((bare.user_id, bare.roles.len()), (None, 0));
        assert_eq!(bare.groups, ["mqtt"]);
    }

    #[test]
    fn each_failed_check_is_named() {
        let aud = "https://h/client/hubs/chat";
        let table = [
            (json!({"aud": aud}), TokenError::MissingClaim("exp")),
            (json!({"exp": NOW}), TokenError::MissingClaim("aud")),
            (
                json!({"exp": NOW, "aud": []}),
                TokenError::MissingClaim("aud"),
            ),
            (
                json!({"exp": NOW, "aud": 5}),
                TokenError::InvalidClaim("aud"),
            ),
            (
                json!({"exp": NOW, "aud": [aud, 5]}),
                TokenError::InvalidClaim("aud"),
            ),
            (json!({"exp": NOW - 301, "aud": aud}), TokenError::Expired),
            (
                json!({"exp": NOW + 999, "nbf": NOW + 301, "aud": aud}),
                TokenError::NotYetValid,
            ),
            (
                json!({"exp": NOW, "aud": "https://h/client/hubs/other"}),
                TokenError::Audience,
            ),
            (
                json!({"exp": NOW, "aud": aud, "role": 1}),
                TokenError::InvalidClaim("role"),
            ),
            (
                json!({"exp": NOW, "aud": aud, "sub": 1}),
                TokenError::InvalidClaim("sub"),
            ),
            (
                json!({"exp": NOW, "aud": aud, "webpubsub.group": [1]}),
                TokenError::InvalidClaim("webpubsub.group"),
            ),
            (
                json!({"exp": NOW, "aud": aud, "group": {}}),
                TokenError::InvalidClaim("group"),
            ),
        ];
        for (claims, error) in table {
            assert_eq!(verify(claims.clone()), Err(error), "{claims}");
        }
        assert!(verify(json!({"exp": NOW - 300, "aud": aud})).is_ok());
    }

    #[test]
    fn debug_hides_the_token() {
        let signed = sign_client_token(
            &endpoint(),
            "chat",
            &key(),
            &ClientTokenOptions::default(),
            at(NOW),
        );
        let debug = format!("{signed:?}");
        assert!(
            debug.contains("client/hubs/chat") && !debug.contains("eyJ"),
            "{debug}"
        );
    }

    proptest! {
        #[test]
        fn sign_then_verify(
            user in proptest::option::of(".{0,20}"),
            roles in proptest::collection::vec(".{0,20}", 0..4),
            groups in proptest::collection::hash_set(".{1,20}", 0..4),
            lifetime in 0u64..1_000_000,
        ) {
            let groups: Vec<_> = groups.into_iter().collect();
            let options = ClientTokenOptions {
                user_id: user.clone(), roles: roles.clone(), groups: groups.clone(),
                lifetime: Duration::from_secs(lifetime), protocol: ClientProtocol::Mqtt,
            };
            let signed = sign_client_token(&endpoint(), "chat", &key(), &options, at(NOW));
            let token = signed.token().as_str();
            let claims = verify_client_token(token, &[key()], &|_| true, at(NOW + lifetime)).unwrap();
            prop_assert_eq!(claims.user_id, user.filter(|user| !user.is_empty()));
            prop_assert_eq!(claims.roles, roles);
            prop_assert_eq!(claims.groups, groups);
            prop_assert_eq!(
                verify_client_token(token, &[key()], &|_| true, at(NOW + lifetime + 301)),
                Err(TokenError::Expired)
            );
        }
    }
}
