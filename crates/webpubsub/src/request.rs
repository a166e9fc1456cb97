//! From an operation to an answer.

use azure_core::{
    http::{
        Body, Method, PipelineSendOptions, RawResponse, Request as HttpRequest, Url,
        headers::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
    },
    tracing::PublicApiInstrumentationInformation,
};
use tracing::{Instrument as _, Span, field};

use crate::{
    call::CallOptions,
    client::WebPubSubServiceClient,
    error::{invalid, refused},
    operation::Operation,
};

/// A request that is ready to go through the pipeline.
pub(crate) struct Request {
    /// The method of this crate that makes it, for errors and spans.
    call: &'static str,
    success: &'static [u16],
    http: HttpRequest,
}

impl Request {
    pub(crate) fn new<O: Operation>(
        call: &'static str,
        client: &WebPubSubServiceClient,
        operation: &O,
    ) -> azure_core::Result<Self> {
        let target = operation.target(client.api_version())?;
        let endpoint = client.endpoint().as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{endpoint}{target}")).map_err(invalid)?;
        Ok(Self::to_url::<O>(call, url))
    }

    /// A request for a URL that the service gave, as the continuation of an operation.
    pub(crate) fn to_url<O: Operation>(call: &'static str, url: Url) -> Self {
        let mut http = HttpRequest::new(url, O::METHOD);
        if let Some(accept) = O::ACCEPT {
            http.insert_header(ACCEPT, accept);
        }
        Self {
            call,
            success: O::SUCCESS,
            http,
        }
    }

    pub(crate) fn header(&mut self, name: String, value: String) {
        self.http.insert_header(name, value);
    }

    pub(crate) fn body(&mut self, content_type: &'static str, body: Body) {
        self.http.insert_header(CONTENT_TYPE, content_type);
        if let (Body::SeekableStream(_), Some(length)) = (&body, body.len()) {
            // Otherwise it would go out in chunks, which the service refuses.
            self.http.insert_header(CONTENT_LENGTH, length.to_string());
        }
        self.http.set_body(body);
    }
}

impl WebPubSubServiceClient {
    pub(crate) async fn dispatch(
        &self,
        request: Request,
        options: CallOptions,
    ) -> azure_core::Result<RawResponse> {
        // The hub is no secret; ids of users, connections and groups may be.
        let span = tracing::debug_span!(
            "webpubsub",
            call = request.call,
            hub = self.hub(),
            status = field::Empty,
            error.code = field::Empty,
        );
        self.dispatch_in_span(request, options)
            .instrument(span)
            .await
    }

    async fn dispatch_in_span(
        &self,
        request: Request,
        options: CallOptions,
    ) -> azure_core::Result<RawResponse> {
        let Request {
            call,
            success,
            mut http,
        } = request;
        let retry = http.method() != Method::Post
            || options.retry_post.unwrap_or_else(|| self.retry_post());
        let mut context = options.context;
        let api = format!("WebPubSubServiceClient.{call}");
        context.insert(PublicApiInstrumentationInformation::new(api, Vec::new()));

        // Success is checked here: `azure_core` does not know the service's form of errors.
        let send = PipelineSendOptions {
            skip_checks: true,
            ..Default::default()
        };
        let response = self
            .pipeline(retry)
            .send(&context, &mut http, Some(send))
            .await?;
        let status = u16::from(response.status());
        Span::current().record("status", status);
        if success.contains(&status) {
            return Ok(response);
        }
        let error = refused(call, response);
        if let azure_core::error::ErrorKind::HttpResponse {
            error_code: Some(code),
            ..
        } = error.kind()
        {
            Span::current().record("error.code", code);
        }
        Err(error)
    }
}
