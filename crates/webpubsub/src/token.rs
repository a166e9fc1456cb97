//! Client access tokens.

use std::{
    future::IntoFuture,
    sync::Arc,
    time::{Duration, SystemTime},
};

use azure_core::{
    error::{ErrorKind, ResultExt as _},
    http::ClientMethodOptions,
};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use webpubsub_protocol::access::{
    ClientAccessToken, ClientProtocol, ClientTokenOptions, Token, client_url, sign_client_token,
};

use crate::{
    generated::operations::GenerateClientToken,
    invalid_input::InvalidInput,
    name::group,
    request::CallOptions,
    service::{Credential, Service},
};

const CALL: &str = "client_access_token";

/// Creates the URL and token with which a client connects; created itself by
/// [`WebPubSubServiceClient::client_access_token`](crate::WebPubSubServiceClient::client_access_token).
///
/// Whoever has the URL can connect as its user and with its roles. Send it over https only, do not log it, and grant no more
/// roles than the client needs.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let emulator = webpubsub_emulator::Emulator::start().await?;
/// # let client = webpubsub::WebPubSubServiceClient::from_connection_string(&emulator.connection_string(), "chat")?;
/// use webpubsub::Role;
///
/// let access = client
///     .client_access_token()
///     .user_id("ana")
///     .role(Role::send_to_group("room-7")?)
///     .group("room-7")
///     .await?;
/// assert!(access.url().starts_with(access.base_url()));
/// # emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until this is awaited"]
#[derive(Debug)]
pub struct GetClientAccessToken {
    service: Arc<Service>,
    token: ClientTokenOptions,
    lifetime: Option<Duration>,
    /// `None` unless it was set: then, like the official package, the request does not name it.
    protocol: Option<ClientProtocol>,
    options: CallOptions,
}

impl GetClientAccessToken {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        Self {
            service: Arc::clone(service),
            token: ClientTokenOptions::default(),
            lifetime: None,
            protocol: None,
            options: CallOptions::default(),
        }
    }

    /// Sets the id of the user. Without it, the client is anonymous.
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.token.user_id = Some(user_id.into());
        self
    }

    /// Adds a role: a [`Role`](crate::Role), or its text, such as `webpubsub.sendToGroup.room-7`.
    #[allow(clippy::needless_pass_by_value, reason = "roles are made on the spot")]
    pub fn role(mut self, role: impl ToString) -> Self {
        self.token.roles.push(role.to_string());
        self
    }

    /// Adds several roles.
    pub fn roles<I>(mut self, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: ToString,
    {
        self.token
            .roles
            .extend(roles.into_iter().map(|role| role.to_string()));
        self
    }

    /// Adds a group that the connection joins when it opens.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.token.groups.push(group.into());
        self
    }

    /// Adds several groups that the connection joins when it opens.
    pub fn groups<I>(mut self, groups: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.token.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// Sets how long the token can be used to connect; 60 minutes by default. Connections stay open when their token
    /// expires. With an access key the minimum is 1 second; with Microsoft Entra ID, the lifetime must be a whole number of
    /// minutes, at least 1.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets the kind of client: WebSocket (the default), MQTT or Socket.IO. Each has its own URL.
    pub fn protocol(mut self, protocol: ClientProtocol) -> Self {
        self.token.protocol = protocol;
        self.protocol = Some(protocol);
        self
    }

    /// Passes `azure_core` options to the call. Has no effect with an access key, which needs no call.
    pub fn with_options(mut self, options: ClientMethodOptions<'_>) -> Self {
        self.options.set_method_options(options);
        self
    }

    /// Turns retries of the call on or off. Overrides [`retry_post`](crate::WebPubSubServiceClientOptions::retry_post). Has no
    /// effect with an access key, which needs no call.
    pub fn retry_post(mut self, retry: bool) -> Self {
        self.options.retry_post = Some(retry);
        self
    }

    async fn get(mut self) -> azure_core::Result<ClientAccessToken> {
        for name in &self.token.groups {
            group(name)?;
        }
        match &self.service.credential {
            Credential::Key(key) => {
                if let Some(lifetime) = self.lifetime {
                    self.token.lifetime = at_least_a_second(lifetime)?;
                }
                Ok(sign_client_token(
                    &self.service.endpoint,
                    &self.service.hub,
                    key,
                    &self.token,
                    SystemTime::now(),
                ))
            }
            Credential::Entra(_) => self.request().await,
        }
    }

    async fn request(self) -> azure_core::Result<ClientAccessToken> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }

        let Self {
            service,
            token,
            lifetime,
            protocol,
            options,
        } = self;
        let client_type = protocol.map(ClientProtocol::as_str);
        let operation = GenerateClientToken {
            hub: &service.hub,
            user_id: token.user_id.as_deref(),
            roles: &token.roles,
            minutes_to_expire: lifetime.map(whole_minutes).transpose()?,
            groups: &token.groups,
            client_type,
        };
        let request = service.request(CALL, &operation)?;
        let response = service.send(request, options).await?;
        let answer: Answer = serde_json::from_slice(response.body()).with_context(
            ErrorKind::DataConversion,
            "the response with the client access token does not have the expected form",
        )?;
        let base_url = client_url(&service.endpoint, &service.hub, token.protocol);
        Ok(ClientAccessToken::new(Token::new(answer.token), base_url))
    }
}

impl IntoFuture for GetClientAccessToken {
    type Output = azure_core::Result<ClientAccessToken>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.get())
    }
}

fn at_least_a_second(lifetime: Duration) -> azure_core::Result<Duration> {
    match lifetime.as_secs() {
        0 => Err(InvalidInput::Lifetime(lifetime).into()),
        _ => Ok(lifetime),
    }
}

fn whole_minutes(lifetime: Duration) -> azure_core::Result<u32> {
    let minutes = lifetime.as_secs() / 60;
    let exact = lifetime.as_secs().is_multiple_of(60) && lifetime.subsec_nanos() == 0;
    // The service reads a signed 32-bit number.
    match i32::try_from(minutes) {
        Ok(1..) if exact => Ok(minutes as u32),
        _ => Err(InvalidInput::LifetimeInMinutes(lifetime).into()),
    }
}
