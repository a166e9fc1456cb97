//! A request that is ready to go through the pipeline, and the options of the call that it belongs to.

use azure_core::http::{
    Body, ClientMethodOptions, Context, Request as HttpRequest, Url,
    headers::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use webpubsub_protocol::metadata::{HEADER_PREFIX, Metadata};

use crate::{invalid_input::InvalidInput, operation::Operation};

pub(crate) struct Request {
    /// The method of this crate that makes it, for errors and spans.
    pub(crate) call: &'static str,
    pub(crate) success: &'static [u16],
    pub(crate) http: HttpRequest,
}

impl Request {
    /// A request for the URL of an operation, or for one that the service gave as its continuation.
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

    pub(crate) fn body(&mut self, content_type: &'static str, body: Body) {
        self.http.insert_header(CONTENT_TYPE, content_type);
        if let (Body::SeekableStream(_), Some(length)) = (&body, body.len()) {
            // Otherwise it would go out in chunks, which the service refuses.
            self.http.insert_header(CONTENT_LENGTH, length.to_string());
        }
        self.http.set_body(body);
    }

    /// Turns metadata entries into headers.
    pub(crate) fn metadata(&mut self, entries: Vec<(String, String)>) -> azure_core::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value));
        let metadata = Metadata::new(entries).map_err(InvalidInput::from)?;
        for (key, value) in metadata.iter() {
            self.http
                .insert_header(format!("{HEADER_PREFIX}{key}"), value.to_owned());
        }
        Ok(())
    }
}

/// The options that every call has.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) context: Context<'static>,
    pub(crate) retry_post: Option<bool>,
}

impl CallOptions {
    pub(crate) fn set_method_options(&mut self, options: ClientMethodOptions<'_>) {
        self.context = options.context.into_owned();
    }
}
