//! The pipelines of a client: how requests are authenticated, where they may go, and what is logged.

use std::sync::Arc;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        ClientOptions, Pipeline, RetryOptions, Url,
        policies::{Policy, auth::BearerTokenAuthorizationPolicy},
    },
};
use webpubsub_protocol::access::parse_endpoint;

use crate::{
    invalid_input::InvalidInput,
    policy::{AccessKeyPolicy, LoopbackBearerPolicy, is_loopback},
    service::Credential,
    transport::default_transport,
};

/// The scope of Microsoft Entra ID tokens for the service.
const SCOPE: &str = "https://webpubsub.azure.com/.default";

pub(crate) fn parse_reverse_proxy(text: &str) -> azure_core::Result<Url> {
    let proxy = parse_endpoint(text).map_err(InvalidInput::ReverseProxy)?;
    match proxy.path() {
        "/" => Ok(proxy),
        _ => Err(InvalidInput::ReverseProxyPath.into()),
    }
}

/// The policy that authenticates requests. Fails if an Entra token would be sent over a connection that others can read.
pub(crate) fn authentication(
    endpoint: &Url,
    reverse_proxy: Option<&Url>,
    credential: &Credential,
    allow_insecure_loopback: bool,
) -> azure_core::Result<Arc<dyn Policy>> {
    let credential = match credential {
        Credential::Key(key) => return Ok(Arc::new(AccessKeyPolicy::new(key.clone()))),
        Credential::Entra(credential) => credential.clone(),
    };
    let insecure = |url: &&Url| url.scheme() != "https";
    let hops = [Some(endpoint), reverse_proxy];
    if let Some(url) = hops
        .into_iter()
        .flatten()
        .filter(insecure)
        .find(|url| !is_loopback(url))
    {
        let host = url.host_str().unwrap_or_default();
        return Err(Error::with_message(
            ErrorKind::Credential,
            format!(
                "Microsoft Entra ID tokens are only sent over https, and `{host}` is reached over http"
            ),
        ));
    }
    if !hops.into_iter().flatten().any(|url| insecure(&url)) {
        return Ok(Arc::new(BearerTokenAuthorizationPolicy::new(
            credential,
            [SCOPE],
        )));
    }
    if !allow_insecure_loopback {
        return Err(Error::with_message(
            ErrorKind::Credential,
            "Microsoft Entra ID tokens are only sent over https; for an emulator on this machine set \
             `allow_insecure_loopback_entra`",
        ));
    }
    Ok(Arc::new(LoopbackBearerPolicy::new(credential, SCOPE)))
}

/// Two pipelines over one transport: with retries as configured, and without.
pub(crate) fn pipelines(
    mut options: ClientOptions,
    per_try: Vec<Arc<dyn Policy>>,
) -> azure_core::Result<(Pipeline, Pipeline)> {
    if options.transport.is_none() {
        options.transport = Some(default_transport()?);
    }
    // These reveal nothing about people or content. Everything else, ids above all, is redacted in logs.
    let headers = ["api-supported-versions", "x-ms-error-code"];
    let parameters = [
        "clientType",
        "maxpagesize",
        "messageTtlSeconds",
        "minutesToExpire",
        "top",
    ];
    options
        .logging
        .additional_allowed_header_names
        .extend(headers.map(Into::into));
    options
        .logging
        .additional_allowed_query_params
        .extend(parameters.map(Into::into));

    let (name, version) = (
        option_env!("CARGO_PKG_NAME"),
        option_env!("CARGO_PKG_VERSION"),
    );
    let pipeline =
        |options| Pipeline::new(name, version, options, Vec::new(), per_try.clone(), None);
    let once = ClientOptions {
        retry: RetryOptions::none(),
        ..options.clone()
    };
    Ok((pipeline(options), pipeline(once)))
}
