//! Sends requests to a reverse proxy instead of the endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{
    Context, Request, Url,
    policies::{Policy, PolicyResult},
};

/// A per-try policy that runs after signing, because the service compares tokens with its own name, not that of the proxy.
#[derive(Debug)]
pub(crate) struct ReverseProxyPolicy {
    proxy: Url,
}

impl ReverseProxyPolicy {
    /// Scheme, host and port of `proxy` are used.
    pub(crate) fn new(proxy: Url) -> Self {
        Self { proxy }
    }

    fn redirect(&self, url: &Url) -> Url {
        let mut redirected = self.proxy.clone();
        redirected.set_path(url.path());
        redirected.set_query(url.query());
        redirected
    }
}

#[async_trait]
impl Policy for ReverseProxyPolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let redirected = self.redirect(request.url());
        let original = std::mem::replace(request.url_mut(), redirected);
        let result = next[0].send(ctx, request, &next[1..]).await;
        // The same request is signed again if it is retried.
        *request.url_mut() = original;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_change() {
        let policy = ReverseProxyPolicy::new(Url::parse("https://proxy.example:8443").unwrap());
        let url = Url::parse("http://h/api/hubs/a%2Fb/:send?api-version=1&filter=%27%20*").unwrap();
        assert_eq!(
            policy.redirect(&url).as_str(),
            "https://proxy.example:8443/api/hubs/a%2Fb/:send?api-version=1&filter=%27%20*"
        );
    }
}
