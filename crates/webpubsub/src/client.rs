//! The client of a hub.

use std::{fmt, sync::Arc};

use azure_core::{
    credentials::TokenCredential,
    http::{Pipeline, Url},
};
use webpubsub_protocol::{
    access::{AccessKey, ConnectionString, parse_endpoint},
    name::HubName,
    permission::Permission,
};

use crate::{
    action::{
        AddConnectionsToGroups, CloseAllConnections, CloseConnection, CloseUserConnections,
        ConnectionExists, GrantPermission, GroupExists, HasPermission,
        RemoveConnectionFromAllGroups, RemoveConnectionsFromGroups, RemoveUserFromAllGroups,
        RevokePermission, SendToAll, SendToConnection, SendToUser, ServiceHealth, UserExists,
    },
    call::{Call, Delivery},
    error::invalid,
    group::WebPubSubGroup,
    message::Message,
    options::WebPubSubServiceClientOptions,
    pipeline::{authentication, parse_reverse_proxy, pipelines},
    policy::ReverseProxyPolicy,
    token::GetClientAccessToken,
};

/// Talks to the service about one hub. Cheap to clone; clones share the connection pool.
///
/// Methods return a [`Call`], which does nothing until it is awaited. All errors are [`azure_core::Error`]s;
/// [`service_error()`](crate::ServiceErrorExt::service_error) gives the service's answer. Names that would address
/// something else when put into a URL (empty, `.`, `..`), and blank ones, are refused before anything is sent.
#[derive(Clone)]
pub struct WebPubSubServiceClient {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Url,
    hub: String,
    api_version: String,
    credential: Credential,
    pipeline: Pipeline,
    /// The same without retries, for POST when those are off.
    once: Pipeline,
    retry_post: bool,
    reverse_proxy: Option<Url>,
}

/// How the client proves who it is.
#[derive(Clone)]
pub(crate) enum Credential {
    Key(AccessKey),
    Entra(Arc<dyn TokenCredential>),
}

/// Making clients.
impl WebPubSubServiceClient {
    /// Makes a client from a connection string, as the portal shows it:
    /// `Endpoint=https://<host>;AccessKey=<key>;Version=1.0;`.
    ///
    /// # Errors
    ///
    /// When the connection string or the hub's name is not valid. The key is not quoted.
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

    /// Makes a client from a connection string, with options.
    ///
    /// # Errors
    ///
    /// When the connection string, the hub's name or an option is not valid.
    pub fn from_connection_string_with(
        connection_string: &str,
        hub: impl Into<String>,
        options: WebPubSubServiceClientOptions,
    ) -> azure_core::Result<Self> {
        let parsed: ConnectionString = connection_string.parse().map_err(invalid)?;
        let credential = Credential::Key(parsed.access_key().clone());
        Self::build(parsed.endpoint().clone(), credential, hub.into(), options)
    }

    /// Makes a client from an endpoint and an access key.
    ///
    /// # Errors
    ///
    /// When the endpoint, the hub's name or an option is not valid.
    pub fn with_access_key(
        endpoint: &str,
        access_key: AccessKey,
        hub: impl Into<String>,
        options: Option<WebPubSubServiceClientOptions>,
    ) -> azure_core::Result<Self> {
        let endpoint = parse_endpoint(endpoint).map_err(invalid)?;
        Self::build(
            endpoint,
            Credential::Key(access_key),
            hub.into(),
            options.unwrap_or_default(),
        )
    }

    /// Makes a client that signs in with Microsoft Entra ID. The credential's principal needs the role `Web PubSub Service
    /// Owner`.
    ///
    /// # Errors
    ///
    /// When the endpoint, the hub's name or an option is not valid. The endpoint must use https, see
    /// [`allow_insecure_loopback_entra`](WebPubSubServiceClientOptions::allow_insecure_loopback_entra) for emulators.
    pub fn new(
        endpoint: &str,
        credential: Arc<dyn TokenCredential>,
        hub: impl Into<String>,
        options: Option<WebPubSubServiceClientOptions>,
    ) -> azure_core::Result<Self> {
        let endpoint = parse_endpoint(endpoint).map_err(invalid)?;
        Self::build(
            endpoint,
            Credential::Entra(credential),
            hub.into(),
            options.unwrap_or_default(),
        )
    }

    fn build(
        endpoint: Url,
        credential: Credential,
        hub: String,
        options: WebPubSubServiceClientOptions,
    ) -> azure_core::Result<Self> {
        // The hub keeps its spelling: the official packages send it as it is, and the service ignores case.
        HubName::new(hub.as_str()).map_err(invalid)?;
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
        let (pipeline, once) = pipelines(options.client_options, per_try)?;
        let inner = Inner {
            endpoint,
            hub,
            api_version: options.api_version,
            credential,
            pipeline,
            once,
            retry_post: options.retry_post,
            reverse_proxy,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// What the client is for.
impl WebPubSubServiceClient {
    /// The hub, as it was spelled when the client was made.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.inner.hub
    }

    /// The endpoint of the service; its path ends with `/`.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.inner.endpoint
    }

    /// The version of the REST API that is asked for.
    #[must_use]
    pub fn api_version(&self) -> &str {
        &self.inner.api_version
    }

    /// The client of a group. The name is checked by the calls that use it.
    #[must_use]
    pub fn group(&self, name: impl Into<String>) -> WebPubSubGroup {
        WebPubSubGroup::new(self.clone(), name.into())
    }

    pub(crate) fn retry_post(&self) -> bool {
        self.inner.retry_post
    }

    pub(crate) fn pipeline(&self, retry: bool) -> &Pipeline {
        if retry {
            &self.inner.pipeline
        } else {
            &self.inner.once
        }
    }

    pub(crate) fn reverse_proxy(&self) -> Option<&Url> {
        self.inner.reverse_proxy.as_ref()
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.inner.credential
    }
}

/// Sending. Strings are sent as text and bytes as binary; [`payload::Json`](crate::payload::Json) sends anything that
/// serialises, and [`Streamed`](crate::Streamed) what is read while it is sent. Success means that the service accepted
/// the message, whether or not there is someone to receive it.
impl WebPubSubServiceClient {
    /// Sends a message to all connections of the hub.
    pub fn send_to_all(&self, message: impl Into<Message>) -> Call<SendToAll> {
        let (filter, excluded, delivery) = (None, Vec::new(), Delivery::default());
        Call::new(
            self,
            SendToAll {
                message: message.into(),
                filter,
                excluded,
                delivery,
            },
        )
    }

    /// Sends a message to all connections of a user.
    pub fn send_to_user(
        &self,
        user_id: impl Into<String>,
        message: impl Into<Message>,
    ) -> Call<SendToUser> {
        let (user_id, message) = (user_id.into(), message.into());
        Call::new(
            self,
            SendToUser {
                user_id,
                message,
                filter: None,
                delivery: Delivery::default(),
            },
        )
    }

    /// Sends a message to a connection.
    pub fn send_to_connection(
        &self,
        connection_id: impl Into<String>,
        message: impl Into<Message>,
    ) -> Call<SendToConnection> {
        let (connection_id, message) = (connection_id.into(), message.into());
        Call::new(
            self,
            SendToConnection {
                connection_id,
                message,
                delivery: Delivery::default(),
            },
        )
    }
}

/// Connections.
impl WebPubSubServiceClient {
    /// Asks whether a connection exists. One that may still be recovered does.
    pub fn connection_exists(&self, connection_id: impl Into<String>) -> Call<ConnectionExists> {
        Call::new(
            self,
            ConnectionExists {
                connection_id: connection_id.into(),
            },
        )
    }

    /// Asks whether a group exists, that is, has connections.
    pub fn group_exists(&self, group: impl Into<String>) -> Call<GroupExists> {
        Call::new(
            self,
            GroupExists {
                group: group.into(),
            },
        )
    }

    /// Asks whether a user has connections to the hub.
    pub fn user_exists(&self, user_id: impl Into<String>) -> Call<UserExists> {
        Call::new(
            self,
            UserExists {
                user_id: user_id.into(),
            },
        )
    }

    /// Closes a connection. Succeeds also when there is none.
    pub fn close_connection(&self, connection_id: impl Into<String>) -> Call<CloseConnection> {
        Call::new(
            self,
            CloseConnection {
                connection_id: connection_id.into(),
                reason: None,
            },
        )
    }

    /// Closes all connections of the hub.
    pub fn close_all_connections(&self) -> Call<CloseAllConnections> {
        Call::new(
            self,
            CloseAllConnections {
                excluded: Vec::new(),
                reason: None,
            },
        )
    }

    /// Closes all connections of a user.
    pub fn close_user_connections(&self, user_id: impl Into<String>) -> Call<CloseUserConnections> {
        Call::new(
            self,
            CloseUserConnections {
                user_id: user_id.into(),
                excluded: Vec::new(),
                reason: None,
            },
        )
    }
}

/// Groups; see also [`WebPubSubGroup`].
impl WebPubSubServiceClient {
    /// Removes the connections that a user has now from all groups.
    pub fn remove_user_from_all_groups(
        &self,
        user_id: impl Into<String>,
    ) -> Call<RemoveUserFromAllGroups> {
        Call::new(
            self,
            RemoveUserFromAllGroups {
                user_id: user_id.into(),
            },
        )
    }

    /// Removes a connection from all groups.
    pub fn remove_connection_from_all_groups(
        &self,
        connection_id: impl Into<String>,
    ) -> Call<RemoveConnectionFromAllGroups> {
        Call::new(
            self,
            RemoveConnectionFromAllGroups {
                connection_id: connection_id.into(),
            },
        )
    }

    /// Adds the connections that match an OData filter now to every one of some groups. An empty filter matches all
    /// connections of the hub. At least one group is needed.
    pub fn add_connections_to_groups<I>(
        &self,
        groups: I,
        filter: impl Into<String>,
    ) -> Call<AddConnectionsToGroups>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let groups = groups.into_iter().map(Into::into).collect();
        Call::new(
            self,
            AddConnectionsToGroups {
                groups,
                filter: filter.into(),
            },
        )
    }

    /// Removes the connections that match an OData filter now from every one of some groups. An empty filter matches all
    /// connections of the hub. At least one group is needed.
    pub fn remove_connections_from_groups<I>(
        &self,
        groups: I,
        filter: impl Into<String>,
    ) -> Call<RemoveConnectionsFromGroups>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let groups = groups.into_iter().map(Into::into).collect();
        Call::new(
            self,
            RemoveConnectionsFromGroups {
                groups,
                filter: filter.into(),
            },
        )
    }
}

/// Permissions: what a connection may do in a group by itself. The group is named literally, without wildcards.
impl WebPubSubServiceClient {
    /// Lets a connection join and leave a group, or send to it. Fails when there is no such connection.
    pub fn grant_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<GrantPermission> {
        Call::new(
            self,
            GrantPermission {
                connection_id: connection_id.into(),
                permission,
                group: group.into(),
            },
        )
    }

    /// Takes a permission from a connection. A member stays in the group.
    pub fn revoke_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<RevokePermission> {
        Call::new(
            self,
            RevokePermission {
                connection_id: connection_id.into(),
                permission,
                group: group.into(),
            },
        )
    }

    /// Asks whether a connection has a permission. `false` also when there is no such connection.
    pub fn has_permission(
        &self,
        connection_id: impl Into<String>,
        permission: Permission,
        group: impl Into<String>,
    ) -> Call<HasPermission> {
        Call::new(
            self,
            HasPermission {
                connection_id: connection_id.into(),
                permission,
                group: group.into(),
            },
        )
    }
}

/// Tokens and health.
impl WebPubSubServiceClient {
    /// Makes a URL and token for a client to connect with. With an access key it is signed here; with Microsoft Entra ID
    /// the service is asked.
    pub fn client_access_token(&self) -> GetClientAccessToken {
        GetClientAccessToken::new(self.clone())
    }

    /// Asks whether the service is up. Anything else than yes is an error.
    pub fn service_health(&self) -> Call<ServiceHealth> {
        Call::new(self, ServiceHealth {})
    }
}

impl fmt::Debug for WebPubSubServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = match &self.inner.credential {
            Credential::Key(_) => "access key",
            Credential::Entra(_) => "Microsoft Entra ID",
        };
        f.debug_struct("WebPubSubServiceClient")
            .field("endpoint", &self.inner.endpoint.as_str())
            .field("hub", &self.inner.hub)
            .field("api_version", &self.inner.api_version)
            .field("credential", &credential)
            .finish_non_exhaustive()
    }
}
