//! The source of client access URLs.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Provides the URL to connect to, which contains an access token.
///
/// The client asks for a URL before each new connection, but never for a recovery, and never for two at once. The time-out
/// of the dial includes it. A server creates such URLs: the access key must never be in a client.
#[derive(Clone)]
pub struct WebPubSubClientCredential(Source);

#[derive(Clone)]
enum Source {
    Url(Arc<str>),
    Provider(Arc<dyn Fn() -> UrlFuture + Send + Sync>),
}

type BoxError = Box<dyn Error + Send + Sync>;
type UrlFuture = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

impl WebPubSubClientCredential {
    /// Always uses the same URL. When its token has expired, usually after an hour, no new connection can be opened.
    pub fn url(url: impl Into<String>) -> Self {
        Self(Source::Url(url.into().into()))
    }

    /// Calls `provider` for each URL.
    ///
    /// ```
    /// # async fn fetch_url() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// use webpubsub_client::WebPubSubClientCredential;
    ///
    /// let credential = WebPubSubClientCredential::provider(|| async {
    ///     let url = fetch_url().await?; // asks your server
    ///     Ok::<_, std::io::Error>(url)
    /// });
    /// ```
    pub fn provider<P, F, E>(provider: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let provider = move || -> UrlFuture {
            let url = provider();
            Box::pin(async move { url.await.map_err(Into::into) })
        };
        Self(Source::Provider(Arc::new(provider)))
    }

    pub(crate) async fn client_access_url(&self) -> Result<String, BoxError> {
        match &self.0 {
            Source::Url(url) => Ok(url.to_string()),
            Source::Provider(provider) => provider().await,
        }
    }
}

impl From<&str> for WebPubSubClientCredential {
    fn from(url: &str) -> Self {
        Self::url(url)
    }
}

impl From<String> for WebPubSubClientCredential {
    fn from(url: String) -> Self {
        Self::url(url)
    }
}

/// Shows no URL: it holds a token.
impl fmt::Debug for WebPubSubClientCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Url(_) => "WebPubSubClientCredential::Url([redacted])",
            Source::Provider(_) => "WebPubSubClientCredential::Provider",
        })
    }
}
