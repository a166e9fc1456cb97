//! Listing the connections in a group, page by page.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use azure_core::{
    Error,
    error::{ErrorKind, ResultExt as _},
    http::{ClientMethodOptions, Url},
};
use futures_util::{Stream, TryStreamExt as _, stream};
use serde::Deserialize;

use crate::{
    generated::operations::ListConnectionsInGroup,
    name::group,
    request::{CallOptions, Request},
    service::Service,
};

const CALL: &str = "group.list_connections";

/// The connections in a group, one at a time. Pages are fetched as they are needed. The stream ends after an error.
pub type ConnectionStream = Pin<Box<dyn Stream<Item = azure_core::Result<GroupConnection>> + Send>>;

/// The connections in a group, one page at a time. The stream ends after an error.
pub type ConnectionPageStream =
    Pin<Box<dyn Stream<Item = azure_core::Result<ConnectionPage>> + Send>>;

/// Lists the connections in a group; created by
/// [`WebPubSubGroup::list_connections`](crate::WebPubSubGroup::list_connections).
///
/// The list is not a snapshot: connections that join or leave while you read it may or may not be included, but none is
/// included twice.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let client = webpubsub::WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")?;
/// use futures_util::TryStreamExt;
///
/// let mut connections = client.group("room-7").list_connections().top(1000).into_stream();
/// while let Some(connection) = connections.try_next().await? {
///     println!("{} {:?}", connection.connection_id, connection.user_id);
/// }
/// # emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is listed until a stream made from this is polled"]
#[derive(Debug)]
pub struct ListConnections {
    service: Arc<Service>,
    group: String,
    top: Option<u32>,
    page_size: Option<u32>,
    continuation_token: Option<String>,
    options: CallOptions,
}

impl ListConnections {
    pub(crate) fn new(service: &Arc<Service>, group: String) -> Self {
        let (top, page_size, continuation_token) = (None, None, None);
        Self {
            service: Arc::clone(service),
            group,
            top,
            page_size,
            continuation_token,
            options: CallOptions::default(),
        }
    }

    /// Limits the number of connections on all pages together. At least 1; unlimited by default.
    pub fn top(mut self, top: u32) -> Self {
        self.top = Some(top);
        self
    }

    /// Limits the number of connections on one page: 1 to 200; 200 by default.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.page_size = Some(page_size);
        self
    }

    /// Continues an earlier listing of the same group after the page that this
    /// [token](ConnectionPage::continuation_token) comes from.
    pub fn continuation_token(mut self, token: impl Into<String>) -> Self {
        self.continuation_token = Some(token.into());
        self
    }

    /// Passes `azure_core` options to the calls, for example a context with values for your own policies.
    pub fn with_options(mut self, options: ClientMethodOptions<'_>) -> Self {
        self.options.set_method_options(options);
        self
    }

    /// Returns the connections one at a time.
    #[must_use]
    pub fn into_stream(self) -> ConnectionStream {
        let pages = self.into_pages();
        Box::pin(stream::try_unfold(
            (pages, VecDeque::new()),
            |(mut pages, mut items)| async move {
                loop {
                    if let Some(item) = items.pop_front() {
                        return Ok(Some((item, (pages, items))));
                    }
                    match pages.try_next().await? {
                        Some(page) => items = page.connections.into(),
                        None => return Ok(None),
                    }
                }
            },
        ))
    }

    /// Returns the connections one page at a time. Each page is one call to the service.
    #[must_use]
    pub fn into_pages(self) -> ConnectionPageStream {
        Box::pin(stream::try_unfold(Next::First(self), |next| async move {
            let (listing, link) = match next {
                Next::First(listing) => (listing, None),
                Next::Link(listing, link) => (listing, Some(link)),
                Next::Nothing => return Ok(None),
            };
            let (page, link) = listing.page(link).await?;
            let next = link.map_or(Next::Nothing, |link| Next::Link(listing, link));
            Ok(Some((page, next)))
        }))
    }

    async fn page(&self, link: Option<Url>) -> azure_core::Result<(ConnectionPage, Option<Url>)> {
        let request = match link {
            Some(url) => Request::to_url::<ListConnectionsInGroup<'_>>(CALL, url),
            None => self.service.request(
                CALL,
                &ListConnectionsInGroup {
                    hub: &self.service.hub,
                    group: group(&self.group)?,
                    max_page_size: self.page_size,
                    top: self.top,
                    continuation_token: self.continuation_token.as_deref(),
                },
            )?,
        };
        let response = self.service.send(request, self.options.clone()).await?;
        let answer: Answer = serde_json::from_slice(response.body()).with_context(
            ErrorKind::DataConversion,
            "the list of connections does not have the expected form",
        )?;
        let link = answer.next_link.filter(|link| !link.is_empty());
        let link = link
            .map(|link| next_url(&self.service, &link))
            .transpose()?;
        let continuation_token = link.as_ref().and_then(continuation_token);
        Ok((
            ConnectionPage {
                connections: answer.value,
                continuation_token,
            },
            link,
        ))
    }
}

enum Next {
    First(ListConnections),
    Link(ListConnections, Url),
    Nothing,
}

/// A connection in a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupConnection {
    /// The id of the connection.
    pub connection_id: String,
    /// The id of the user; `None` for an anonymous connection.
    #[serde(default)]
    pub user_id: Option<String>,
}

/// A page of the connections in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionPage {
    /// The connections on this page.
    pub connections: Vec<GroupConnection>,
    /// Continues after this page when passed to [`ListConnections::continuation_token`]; `None` on the last page.
    pub continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    value: Vec<GroupConnection>,
    #[serde(default)]
    next_link: Option<String>,
}

/// The URL of the next page. Requests carry credentials, so a link to any other origin is not followed.
fn next_url(service: &Service, link: &str) -> azure_core::Result<Url> {
    let endpoint = &service.endpoint;
    let mut url = endpoint.join(link).with_context(
        ErrorKind::DataConversion,
        "the link to the next page is not a URL",
    )?;
    // A service behind a reverse proxy may refer to itself by the name of the proxy. The request is signed for the
    // endpoint, and then redirected to the proxy again.
    if service
        .reverse_proxy
        .as_ref()
        .is_some_and(|proxy| proxy.origin() == url.origin())
    {
        let mut at_endpoint = endpoint.clone();
        at_endpoint.set_path(url.path());
        at_endpoint.set_query(url.query());
        url = at_endpoint;
    }
    if url.origin() != endpoint.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(Error::with_message(
            ErrorKind::DataConversion,
            format!(
                "the link to the next page leads to `{}` instead of `{}`; it was not followed",
                url.origin().ascii_serialization(),
                endpoint.origin().ascii_serialization(),
            ),
        ));
    }
    Ok(url)
}

fn continuation_token(link: &Url) -> Option<String> {
    link.query_pairs()
        .find(|(name, _)| name == "continuationToken")
        .map(|(_, value)| value.into_owned())
}
