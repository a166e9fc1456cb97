//! Microsoft Entra ID tokens over plain http, to the local machine only.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    Error,
    credentials::{AccessToken, TokenCredential},
    error::ErrorKind,
    http::{
        Context, Request, StatusCode, Url,
        headers::AUTHORIZATION,
        policies::{Policy, PolicyResult},
    },
    time::{Duration, OffsetDateTime},
};
use futures_util::lock::Mutex;
use url::Host;

/// Authenticates like the bearer policy of `azure_core`, which refuses plain http, for URLs whose host is this machine. It
/// checks every request, so that a URL that was changed cannot carry a token to another host.
pub(crate) struct LoopbackBearerPolicy {
    credential: Arc<dyn TokenCredential>,
    scope: &'static str,
    token: Mutex<Option<AccessToken>>,
}

impl LoopbackBearerPolicy {
    pub(crate) fn new(credential: Arc<dyn TokenCredential>, scope: &'static str) -> Self {
        Self {
            credential,
            scope,
            token: Mutex::new(None),
        }
    }

    async fn authorization(&self) -> azure_core::Result<String> {
        let mut cached = self.token.lock().await;
        let usable = cached
            .take()
            .filter(|token| token.expires_on > OffsetDateTime::now_utc() + Duration::minutes(5));
        let token = match usable {
            Some(token) => token,
            None => self.credential.get_token(&[self.scope], None).await?,
        };
        let value = format!("Bearer {}", token.token.secret());
        *cached = Some(token);
        Ok(value)
    }
}

#[async_trait]
impl Policy for LoopbackBearerPolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        if !is_loopback(request.url()) {
            return Err(Error::with_message(
                ErrorKind::Credential,
                "Microsoft Entra ID tokens are sent over plain http to loopback hosts only",
            ));
        }
        let authorization = self.authorization().await?;
        request.insert_header(AUTHORIZATION, authorization);
        let response = next[0].send(ctx, request, &next[1..]).await?;
        if response.status() == StatusCode::Unauthorized {
            *self.token.lock().await = None;
        }
        Ok(response)
    }
}

impl fmt::Debug for LoopbackBearerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackBearerPolicy")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Whether the host of a URL is this machine, judged by its name alone: what other names resolve to can change.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_by_name() {
        for url in [
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1",
            "http://127.9.9.9",
            "http://[::1]:1",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "http://localhost.example",
            "http://a.localhost",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost@example.com",
        ] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
