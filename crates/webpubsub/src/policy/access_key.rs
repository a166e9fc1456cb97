//! Signs requests with an access key.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use azure_core::http::{
    Context, Request,
    headers::AUTHORIZATION,
    policies::{Policy, PolicyResult},
};
use webpubsub_protocol::access::{AccessKey, sign_rest_token};

/// As in the official JavaScript package.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A per-try policy: each try carries a token whose audience is the current URL of the request. It must therefore run after
/// every policy that changes the URL, except for the one of the reverse proxy.
pub(crate) struct AccessKeyPolicy {
    key: AccessKey,
    last: Mutex<Option<Signed>>,
}

/// A header that was signed, and what it was signed for.
struct Signed {
    audience: String,
    second: u64,
    authorization: String,
}

impl AccessKeyPolicy {
    pub(crate) fn new(key: AccessKey) -> Self {
        Self {
            key,
            last: Mutex::new(None),
        }
    }

    /// The header for a request to `audience`. Tokens contain the time in seconds, so the token for the same audience
    /// within the same second is always the same, and is not signed again.
    fn authorization(&self, audience: &str, now: SystemTime) -> String {
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = &*last
            && signed.second == second
            && signed.audience == audience
        {
            return signed.authorization.clone();
        }
        let token = sign_rest_token(audience, &self.key, LIFETIME, now);
        let authorization = format!("Bearer {}", token.as_str());
        *last = Some(Signed {
            audience: audience.to_owned(),
            second,
            authorization: authorization.clone(),
        });
        authorization
    }
}

#[async_trait]
impl Policy for AccessKeyPolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let authorization = self.authorization(request.url().as_str(), SystemTime::now());
        request.insert_header(AUTHORIZATION, authorization);
        next[0].send(ctx, request, &next[1..]).await
    }
}

impl fmt::Debug for AccessKeyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeyPolicy").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_header_is_the_one_that_would_be_signed() {
        let key = AccessKey::new("key");
        let policy = AccessKeyPolicy::new(key.clone());
        let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (audience, millis) in [
            ("http://h/a", 0),
            ("http://h/a", 999),
            ("http://h/a", 1_000),
            ("http://h/b", 1_001),
            ("http://h/a", 1_002),
            ("http://h/a", 0),
        ] {
            let now = start + Duration::from_millis(millis);
            let token = sign_rest_token(audience, &key, LIFETIME, now);
            assert_eq!(
                policy.authorization(audience, now),
                format!("Bearer {}", token.as_str()),
                "{audience} after {millis} ms"
            );
        }
    }
}
