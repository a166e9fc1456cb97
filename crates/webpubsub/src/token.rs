//! URLs and tokens for clients.

use std::{
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use azure_core::{
    Error,
    error::{ErrorKind, ResultExt as _},
    http::ClientMethodOptions,
};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use webpubsub_protocol::access::{
    ClientAccessToken, ClientProtocol, ClientTokenOptions, Token, client_url, sign_client_token,
};

use crate::{
    action::group,
    call::CallOptions,
    client::{Credential, WebPubSubServiceClient},
    generated::operations::GenerateClientToken,
    request::Request,
};

const CALL: &str = "client_access_token";

/// Makes a URL and token for a client to connect with. Made by
/// [`WebPubSubServiceClient::client_access_token`].
///
/// Whoever has the URL can connect as the user and with the roles that it names: send it over https only, do not log it,
/// and give as few roles as will do.
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
    client: WebPubSubServiceClient,
    token: ClientTokenOptions,
    lifetime: Option<Duration>,
    /// The official package tells the service the kind of client only when it was told itself.
    protocol: Option<ClientProtocol>,
    options: CallOptions,
}

impl GetClientAccessToken {
    pub(crate) fn new(client: WebPubSubServiceClient) -> Self {
        Self {
            client,
            token: ClientTokenOptions::default(),
            lifetime: None,
            protocol: None,
            options: CallOptions::default(),
        }
    }

    /// Who the client is; nobody by default.
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.token.user_id = Some(user_id.into());
        self
    }

    /// Adds a role: a [`Role`](crate::Role), or its text such as `webpubsub.sendToGroup.room-7`.
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

    /// Adds a group that the connection is in from its start.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.token.groups.push(group.into());
        self
    }

    /// Adds several groups that the connection is in from its start.
    pub fn groups<I>(mut self, groups: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.token.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// How long the token can be used to connect; 60 minutes by default. A connection lives on when its token expires. At
    /// least a second with an access key; whole minutes, at least one, with Microsoft Entra ID.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The kind of client: WebSocket (the default), MQTT or Socket.IO. Each has a URL of its own.
    pub fn protocol(mut self, protocol: ClientProtocol) -> Self {
        self.token.protocol = protocol;
        self.protocol = Some(protocol);
        self
    }

    /// Hands options of `azure_core` to the call. Has no effect with an access key, which needs no call.
    pub fn with_options(mut self, options: ClientMethodOptions<'_>) -> Self {
        self.options.set_method_options(options);
        self
    }

    /// Whether the call is retried; overrides [`retry_post`](crate::WebPubSubServiceClientOptions::retry_post). Has no
    /// effect with an access key, which needs no call.
    pub fn retry_post(mut self, retry: bool) -> Self {
        self.options.retry_post = Some(retry);
        self
    }

    async fn get(mut self) -> azure_core::Result<ClientAccessToken> {
        for name in &self.token.groups {
            group(name)?;
        }
        match self.client.credential() {
            Credential::Key(key) => {
                if let Some(lifetime) = self.lifetime {
                    self.token.lifetime = at_least_a_second(lifetime)?;
                }
                let (endpoint, hub) = (self.client.endpoint(), self.client.hub());
                Ok(sign_client_token(
                    endpoint,
                    hub,
                    key,
                    &self.token,
                    SystemTime::now(),
                ))
            }
            Credential::Entra(_) => self.ask().await,
        }
    }

    async fn ask(self) -> azure_core::Result<ClientAccessToken> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }

        let Self {
            client,
            token,
            lifetime,
            protocol,
            options,
        } = self;
        let client_type = protocol.map(ClientProtocol::as_str);
        let operation = GenerateClientToken {
            hub: client.hub(),
            user_id: token.user_id.as_deref(),
            roles: &token.roles,
            minutes_to_expire: lifetime.map(whole_minutes).transpose()?,
            groups: &token.groups,
            client_type,
        };
        let request = Request::new(CALL, &client, &operation)?;
        let response = client.dispatch(request, options).await?;
        let answer: Answer = serde_json::from_slice(response.body()).with_context(
            ErrorKind::DataConversion,
            "the client access token is not what the service should send",
        )?;
        let base_url = client_url(client.endpoint(), client.hub(), token.protocol);
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
        0 => Err(Error::with_message(
            ErrorKind::Other,
            "the lifetime of a client access token must be a second or more",
        )),
        _ => Ok(lifetime),
    }
}

fn whole_minutes(lifetime: Duration) -> azure_core::Result<u32> {
    let minutes = lifetime.as_secs() / 60;
    let exact = lifetime.as_secs().is_multiple_of(60) && lifetime.subsec_nanos() == 0;
    // The service reads a signed 32-bit number.
    match i32::try_from(minutes) {
        Ok(1..) if exact => Ok(minutes as u32),
        _ => Err(Error::with_message(
            ErrorKind::Other,
            format!(
                "the service makes client access tokens for whole minutes, 1 or more, not for {lifetime:?}"
            ),
        )),
    }
}
