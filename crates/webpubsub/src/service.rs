//! The service as all calls of a client see it: where it is, who asks, and the pipelines that requests go through.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use azure_core::{
    Error,
    credentials::TokenCredential,
    error::ErrorKind,
    http::{
        Method, Pipeline, PipelineSendOptions, RawResponse, Url,
        headers::{CLIENT_REQUEST_ID, Header as _, HeaderValue},
        request::options::ClientRequestId,
    },
    tracing::PublicApiInstrumentationInformation,
};
use tracing::{Instrument as _, Span, field};
use webpubsub_protocol::{access::AccessKey, name::HubName};

use crate::{
    error::refused,
    invalid_input::InvalidInput,
    operation::Operation,
    options::WebPubSubServiceClientOptions,
    pipeline::{authentication, parse_reverse_proxy, pipelines},
    policy::ReverseProxyPolicy,
    request::{CallOptions, Request},
};

/// One hub of a service. Clients, groups and calls share it.
pub(crate) struct Service {
    pub(crate) endpoint: Url,
    pub(crate) hub: String,
    pub(crate) api_version: String,
    pub(crate) credential: Credential,
    pub(crate) reverse_proxy: Option<Url>,
    retrying: Pipeline,
    /// The same without retries, for POST when those are off.
    once: Pipeline,
    retry_post: bool,
    is_traced: bool,
    /// The last path and query, and its URL.
    last: Mutex<Option<(String, Url)>>,
}

/// How the client proves who it is.
#[derive(Clone)]
pub(crate) enum Credential {
    Key(AccessKey),
    Entra(Arc<dyn TokenCredential>),
}

impl Service {
    pub(crate) fn new(
        endpoint: Url,
        credential: Credential,
        hub: String,
        options: WebPubSubServiceClientOptions,
    ) -> azure_core::Result<Self> {
        // The hub keeps its spelling: the official packages send it as it is, and the service ignores case.
        HubName::new(hub.as_str()).map_err(InvalidInput::from)?;
        let reverse_proxy = options
            .reverse_proxy_endpoint
            .as_deref()
            .map(parse_reverse_proxy)
            .transpose()?;
        let mut per_try = vec![authentication(
            &endpoint,
            reverse_proxy.as_ref(),
            &credential,
            options.allow_insecure_loopback_entra,
        )?];
        if let Some(proxy) = &reverse_proxy {
            per_try.push(Arc::new(ReverseProxyPolicy::new(proxy.clone())));
        }
        let is_traced = options
            .client_options
            .instrumentation
            .tracer_provider
            .is_some();
        let (retrying, once) = pipelines(options.client_options, per_try)?;
        Ok(Self {
            endpoint,
            hub,
            api_version: options.api_version,
            credential,
            reverse_proxy,
            retrying,
            once,
            retry_post: options.retry_post,
            is_traced,
            last: Mutex::new(None),
        })
    }

    /// The request of an operation. `call` is the method of this crate that makes it.
    pub(crate) fn request<O: Operation>(
        &self,
        call: &'static str,
        operation: &O,
    ) -> azure_core::Result<Request> {
        let target = operation.target(&self.api_version)?;
        let url = self.url(target)?;
        Ok(Request::to_url::<O>(call, url))
    }

    /// The URL of a path and query. Many calls in a row often have the same one, which is not parsed again then.
    fn url(&self, target: String) -> azure_core::Result<Url> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, url)) = &*last
            && *known == target
        {
            return Ok(url.clone());
        }
        // Relative to the endpoint, whose path ends with a slash: so its host is not parsed again.
        let relative = target.trim_start_matches('/');
        let url = self
            .endpoint
            .join(relative)
            .map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
        *last = Some((target, url.clone()));
        Ok(url)
    }

    /// Sends a request. Statuses other than those of success are errors.
    pub(crate) async fn send(
        &self,
        request: Request,
        options: CallOptions,
    ) -> azure_core::Result<RawResponse> {
        // The hub is no secret; ids of users, connections and groups may be.
        let span = tracing::debug_span!(
            "webpubsub",
            call = request.call,
            hub = self.hub,
            status = field::Empty,
            error.code = field::Empty,
        );
        self.send_in_span(request, options).instrument(span).await
    }

    async fn send_in_span(
        &self,
        request: Request,
        options: CallOptions,
    ) -> azure_core::Result<RawResponse> {
        let Request {
            call,
            success,
            mut http,
        } = request;
        let mut context = options.context;
        // Policies clone the context, so it holds only what one of them reads.
        if self.is_traced {
            let api = format!("WebPubSubServiceClient.{call}");
            context.insert(PublicApiInstrumentationInformation::new(api, Vec::new()));
        }
        // As the policy of `azure_core` would do it, which first makes an error of the missing header.
        let id = match context.value::<ClientRequestId>() {
            Some(id) => id.value(),
            None => HeaderValue::from(azure_core::Uuid::new_v4().to_string()),
        };
        http.insert_header(CLIENT_REQUEST_ID, id);

        let retry = http.method() != Method::Post || options.retry_post.unwrap_or(self.retry_post);
        let pipeline = if retry { &self.retrying } else { &self.once };
        // Success is checked here: `azure_core` does not know the service's form of errors.
        let send = PipelineSendOptions {
            skip_checks: true,
            ..Default::default()
        };
        let response = pipeline.send(&context, &mut http, Some(send)).await?;
        let status = u16::from(response.status());
        Span::current().record("status", status);
        if success.contains(&status) {
            return Ok(response);
        }
        let error = refused(call, response);
        if let ErrorKind::HttpResponse {
            error_code: Some(code),
            ..
        } = error.kind()
        {
            Span::current().record("error.code", code);
        }
        Err(error)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("endpoint", &self.endpoint.as_str())
            .field("hub", &self.hub)
            .field("api_version", &self.api_version)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credential {
    /// Says what it is, never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "access key",
            Self::Entra(_) => "Microsoft Entra ID",
        })
    }
}
