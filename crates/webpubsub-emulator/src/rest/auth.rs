//! The token of a call.

use http::HeaderMap;
use webpubsub_protocol::access::{CheckedAt, EntraTokens, verify_rest_token};

use super::error::RestError;
use super::origin::Origin;
use crate::headers::bearer;
use crate::settings::Settings;
use crate::traffic;

/// Checks the token of a call to `path`, which is decoded already.
///
/// The audience may name the host of the request or a public endpoint; signatures of both keys
/// count.
///
/// # Errors
///
/// 401, saying which check failed and what would pass. Never repeats the token.
pub(super) fn authorize(
    settings: &Settings,
    headers: &HeaderMap,
    origin: &Origin<'_>,
    path: &str,
    at: CheckedAt,
) -> Result<(), RestError> {
    let token = bearer(headers).ok_or_else(|| {
        let expected = "an access token in the header `Authorization: Bearer <token>`";
        RestError::no_token().because(traffic::missing(expected))
    })?;
    let hosts = origin.audience_hosts();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let entra = if settings.accept_unvalidated_entra_tokens {
        EntraTokens::AcceptUnvalidated
    } else {
        EntraTokens::Refuse
    };
    verify_rest_token(token, settings.keys(), &hosts, path, entra, at).map_err(|error| {
        let host = hosts.first().copied().unwrap_or("localhost");
        let path = path.strip_suffix('/').unwrap_or(path);
        let audience = |host: &&str| format!("http://{host}{path}");
        let audiences: Vec<String> = hosts.iter().map(audience).collect();
        RestError::bad_token(error, &format!("http://{host}{path}"))
            .because(traffic::explain(token, error, &audiences, at))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use http::{HeaderValue, Request, StatusCode, header};
    use webpubsub_protocol::access::{AccessKey, sign_rest_token};

    use super::*;

    const PATH: &str = "/api/hubs/chat/:send";

    fn check(settings: &Settings, authorization: Option<&str>) -> Result<(), RestError> {
        let host = (header::HOST, HeaderValue::from_static("localhost:8080"));
        let value = |text| HeaderValue::from_str(text).expect("a header value");
        let mut request = Request::new(()).into_parts().0;
        request.headers.extend([host]);
        request
            .headers
            .extend(authorization.map(|text| (header::AUTHORIZATION, value(text))));
        let origin = Origin::of(&request, &settings.public_endpoints);
        authorize(settings, &request.headers, &origin, PATH, now().into())
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn bearer_for(audience: &str, key: &AccessKey) -> String {
        let token = sign_rest_token(audience, key, Duration::from_secs(60), now());
        format!("Bearer {}", token.as_str())
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for value in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Basic YTpi"),
            Some("x"),
        ] {
            let error = check(&Settings::default(), value).unwrap_err();
            assert_eq!(error.status(), StatusCode::UNAUTHORIZED, "{value:?}");
        }
    }

    #[test]
    fn public_endpoints_are_audiences_too() {
        let mut settings = Settings::default();
        let audience = "https://gateway.example/pubsub/api/hubs/chat/:send?api-version=2024-12-01";
        let token = bearer_for(audience, settings.access_key());
        assert!(check(&settings, Some(&token)).is_err());
        settings
            .public_endpoints
            .push("https://gateway.example/pubsub/".parse().unwrap());
        assert!(check(&settings, Some(&token)).is_ok());
    }

    #[test]
    fn a_wrong_audience_is_told_the_right_one_and_not_its_own() {
        let settings = Settings::default();
        let token = bearer_for(
            "http://elsewhere/api/hubs/chat/:send",
            settings.access_key(),
        );
        let error = check(&settings, Some(&token)).unwrap_err();
        assert!(
            error
                .message()
                .contains("`http://localhost:8080/api/hubs/chat/:send`")
        );
        assert!(!error.message().contains("elsewhere"));
        assert!(!error.message().contains(&token[7..]));
    }
}
