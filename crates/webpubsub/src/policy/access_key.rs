//! Signs requests with an access key.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
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

/// A per-try policy: each try gets a token of its own, whose audience is the URL of the request as it stands. So it has
/// to run after everything that changes the URL, except for a reverse proxy.
#[derive(Debug)]
pub(crate) struct AccessKeyPolicy {
    key: AccessKey,
}

impl AccessKeyPolicy {
    pub(crate) fn new(key: AccessKey) -> Self {
        Self { key }
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
        let token = sign_rest_token(
            request.url().as_str(),
            &self.key,
            LIFETIME,
            SystemTime::now(),
        );
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
        next[0].send(ctx, request, &next[1..]).await
    }
}
