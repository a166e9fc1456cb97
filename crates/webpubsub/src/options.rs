//! How a client behaves.

use azure_core::http::ClientOptions;

use crate::generated::operations::API_VERSION;

/// Options of a [`WebPubSubServiceClient`](crate::WebPubSubServiceClient). Fill in what differs from the default:
///
/// ```
/// use webpubsub::WebPubSubServiceClientOptions;
///
/// let options = WebPubSubServiceClientOptions { retry_post: false, ..Default::default() };
/// ```
#[derive(Clone, Debug)]
pub struct WebPubSubServiceClientOptions {
    /// Retries, transport, policies, logging, user agent and tracing of `azure_core`. Without a transport of your own the
    /// client makes one: pooled connections, TLS by rustls, no redirects, 20 s to connect and 60 s between two reads.
    pub client_options: ClientOptions,

    /// Where requests go instead of the endpoint: scheme, host and port of a reverse proxy, for example Azure API
    /// Management. Tokens are still made for the endpoint, which is what the service compares them with. Must not have a
    /// path. The URLs of client access tokens are not affected.
    pub reverse_proxy_endpoint: Option<String>,

    /// Whether calls that use POST are retried like all others; `true` by default. A retry after a lost answer sends a
    /// message twice. The calls are: sending, closing several connections, [adding connections to
    /// groups](crate::WebPubSubServiceClient::add_connections_to_groups) and [removing
    /// them](crate::WebPubSubServiceClient::remove_connections_from_groups), and asking the service for a client access
    /// token. [`Call::retry_post`](crate::Call::retry_post) overrides it for one call.
    pub retry_post: bool,

    /// Sends Microsoft Entra ID tokens over plain http to `localhost`, `127.0.0.0/8` and `[::1]`, for emulators. Has no
    /// effect for other hosts: for those, tokens always need https. `false` by default.
    pub allow_insecure_loopback_entra: bool,

    /// The version of the REST API to ask for; `2024-12-01` by default.
    pub api_version: String,
}

impl Default for WebPubSubServiceClientOptions {
    fn default() -> Self {
        Self {
            client_options: ClientOptions::default(),
            reverse_proxy_endpoint: None,
            retry_post: true,
            allow_insecure_loopback_entra: false,
            api_version: API_VERSION.to_owned(),
        }
    }
}
