//! The client of a hub.

mod calls;

use std::{fmt, sync::Arc};

use azure_core::{credentials::TokenCredential, http::Url};
use webpubsub_protocol::access::{AccessKey, ConnectionString, parse_endpoint};

use crate::{
    action::Action,
    call::Call,
    group::WebPubSubGroup,
    invalid_input::InvalidInput,
    options::WebPubSubServiceClientOptions,
    service::{Credential, Service},
};

/// The client for one hub of a Web PubSub resource. Cloning it is cheap; clones share the connection pool.
///
/// Most methods return a [`Call`](crate::Call), which does nothing until you await it.
///
/// # Errors
///
/// All errors are [`azure_core::Error`]s, of three origins:
///
/// - The service refused the call: [`service_error()`](crate::ServiceErrorExt::service_error) returns its answer.
/// - A parameter was not valid, so nothing was sent: `error.downcast_ref::<InvalidInput>()` returns the reason, see
///   [`InvalidInput`]. This includes names that are blank, and names that would change the meaning of a URL (empty, `.`
///   and `..`).
/// - The service could not be reached, or a credential gave no token:
///   [`kind()`](azure_core::Error::kind) is `Connection`, `Io` or `Credential`.
#[derive(Clone)]
pub struct WebPubSubServiceClient {
    service: Arc<Service>,
}

/// # Create a client
impl WebPubSubServiceClient {
    /// Creates a client from a connection string as shown in the Azure portal:
    /// `Endpoint=https://<host>;AccessKey=<key>;Version=1.0;`.
    ///
    /// # Errors
    ///
    /// If the connection string or the hub name is not valid. The error never contains the key.
    pub fn from_connection_string(
        connection_string: &str,
        hub: impl Into<String>,
    ) -> azure_core::Result<Self> {
        Self::from_connection_string_with(
            connection_string,
            hub,
            WebPubSubServiceClientOptions::default(),
        )
    }

    /// Creates a client from a connection string, with options.
    ///
    /// # Errors
    ///
    /// If the connection string, the hub name or an option is not valid.
    pub fn from_connection_string_with(
        connection_string: &str,
        hub: impl Into<String>,
        options: WebPubSubServiceClientOptions,
    ) -> azure_core::Result<Self> {
        let parsed: ConnectionString = connection_string.parse().map_err(InvalidInput::from)?;
        let credential = Credential::Key(parsed.access_key().clone());
        Self::build(parsed.endpoint().clone(), credential, hub.into(), options)
    }

    /// Creates a client from an endpoint, such as `https://contoso.webpubsub.azure.com`, and an access key.
    ///
    /// # Errors
    ///
    /// If the endpoint, the hub name or an option is not valid.
    pub fn with_access_key(
        endpoint: &str,
        access_key: AccessKey,
        hub: impl Into<String>,
        options: Option<WebPubSubServiceClientOptions>,
    ) -> azure_core::Result<Self> {
        Self::at(endpoint, Credential::Key(access_key), hub.into(), options)
    }

    /// Creates a client that signs in with Microsoft Entra ID. The principal of the credential needs the role *Web PubSub
    /// Service Owner*.
    ///
    /// # Errors
    ///
    /// If the endpoint, the hub name or an option is not valid. The endpoint must use https; for an emulator, see
    /// [`allow_insecure_loopback_entra`](WebPubSubServiceClientOptions::allow_insecure_loopback_entra).
    pub fn new(
        endpoint: &str,
        credential: Arc<dyn TokenCredential>,
        hub: impl Into<String>,
        options: Option<WebPubSubServiceClientOptions>,
    ) -> azure_core::Result<Self> {
        Self::at(endpoint, Credential::Entra(credential), hub.into(), options)
    }

    fn at(
        endpoint: &str,
        credential: Credential,
        hub: String,
        options: Option<WebPubSubServiceClientOptions>,
    ) -> azure_core::Result<Self> {
        let endpoint = parse_endpoint(endpoint).map_err(InvalidInput::from)?;
        Self::build(endpoint, credential, hub, options.unwrap_or_default())
    }

    fn build(
        endpoint: Url,
        credential: Credential,
        hub: String,
        options: WebPubSubServiceClientOptions,
    ) -> azure_core::Result<Self> {
        let service = Service::new(endpoint, credential, hub, options)?;
        Ok(Self {
            service: Arc::new(service),
        })
    }
}

/// # Hub and groups
impl WebPubSubServiceClient {
    /// The name of the hub, in the spelling that the client was created with.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.service.hub
    }

    /// The endpoint of the service. Its path ends with `/`.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.service.endpoint
    }

    /// The version of the REST API that this client uses.
    #[must_use]
    pub fn api_version(&self) -> &str {
        &self.service.api_version
    }

    /// Returns a client for one group of the hub. An invalid name is reported by the calls that use it, not here.
    #[must_use]
    pub fn group(&self, name: impl Into<String>) -> WebPubSubGroup {
        WebPubSubGroup::new(&self.service, name.into())
    }

    fn call<A: Action>(&self, action: A) -> Call<A> {
        Call::new(&self.service, action)
    }
}

impl fmt::Debug for WebPubSubServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &*self.service;
        f.debug_struct("WebPubSubServiceClient")
            .field("endpoint", &service.endpoint.as_str())
            .field("hub", &service.hub)
            .field("api_version", &service.api_version)
            .field("credential", &service.credential)
            .finish_non_exhaustive()
    }
}
