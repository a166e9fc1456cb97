//! The options of a client.

use azure_core::http::ClientOptions;

use crate::generated::operations::API_VERSION;

/// Options of a [`WebPubSubServiceClient`](crate::WebPubSubServiceClient). Set those that differ from the default:
///
/// ```
/// use webpubsub::WebPubSubServiceClientOptions;
///
/// let options = WebPubSubServiceClientOptions { retry_post: false, ..Default::default() };
/// ```
#[derive(Clone, Debug)]
pub struct WebPubSubServiceClientOptions {
    /// Options of `azure_core`: retries, transport, policies, logging, user agent and tracing.
    ///
    /// Without a transport of your own, each client creates one that pools connections, does not follow redirects, and times
    /// out after 20 s without a connection or 60 s without a byte of the response.
    pub client_options: ClientOptions,

    /// The URL of a reverse proxy, for example Azure API Management, that requests are sent to in place of the endpoint.
    /// Consists of scheme, host and port, without a path. `None` by default.
    ///
    /// Tokens are still issued for the endpoint, because that is what the service compares them with. The URLs of client
    /// access tokens contain the endpoint as well.
    pub reverse_proxy_endpoint: Option<String>,

    /// Whether calls that use POST are retried like all others; `true` by default. If the response to a send is lost, the
    /// retry sends the message a second time.
    ///
    /// The calls that use POST are those that send messages, close several connections, [add connections to
    /// groups](crate::WebPubSubServiceClient::add_connections_to_groups), [remove
    /// them](crate::WebPubSubServiceClient::remove_connections_from_groups), or request a client access token from the
    /// service. [`Call::retry_post`](crate::Call::retry_post) overrides this setting for one call.
    pub retry_post: bool,

    /// Allows Microsoft Entra ID tokens to be sent over plain http to `localhost`, `127.0.0.0/8` and `[::1]`, for use with an
    /// emulator; `false` by default. It has no effect on other hosts, which always require https.
    pub allow_insecure_loopback_entra: bool,

    /// The version of the REST API to use; `2024-12-01` by default.
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
