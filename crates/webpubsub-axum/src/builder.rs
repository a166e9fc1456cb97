//! Configuring a handler.

use std::{marker::PhantomData, sync::Arc};

use axum::handler::Handler;
use webpubsub_protocol::{
    access::{AccessKey, ConnectionString, ConnectionStringError},
    limits::MESSAGE_BYTES,
    name::{EventName, HubName, InvalidName},
};

use crate::{
    event_handler::EventHandler,
    handler::WebPubSubEventHandler,
    handlers::{Handlers, PendingHandler, pending},
    hub::Hub,
    preflight::AllowedOrigins,
    queue::Queue,
    request::{
        ConnectRequest, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest,
    },
    route::Prefix,
    user_event::UserEventRequest,
    user_event_handler::UserEventHandler,
};

/// A message of the service, and what its encoding as `Any` and the members around a body may add.
const BODY_LIMIT: usize = MESSAGE_BYTES + 64 * 1024;

const QUEUE: usize = 1024;

/// Configures a [`WebPubSubEventHandler`]. Methods `on_…` take axum handlers: async functions whose arguments are
/// extractors of axum and of this crate.
///
/// `S` is the state of the handlers. `K` says whether the builder knows how to check signatures; without it there is no
/// [`build`](WebPubSubEventHandlerBuilder::build).
#[must_use]
pub struct WebPubSubEventHandlerBuilder<S = (), K = MissingKeys> {
    hub: String,
    path: Option<String>,
    keys: Option<Vec<AccessKey>>,
    endpoints: Option<Vec<String>>,
    body_limit: usize,
    queue: usize,
    handlers: Handlers<PendingHandler<S>>,
    error: Option<BuildError>,
    signatures: PhantomData<K>,
}

/// The builder does not know how to check signatures: give it an access key, or call
/// [`without_signature_check`](WebPubSubEventHandlerBuilder::without_signature_check).
#[derive(Debug)]
pub enum MissingKeys {}

/// The builder knows how to check signatures.
#[derive(Debug)]
pub enum Ready {}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The hub or the name of a user event.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The path does not begin with a slash.
    #[error("the path `{0}` must begin with a slash, and hold no query")]
    Path(String),
    /// An allowed endpoint is not a URL.
    #[error("`{endpoint}` in the allowed endpoints is invalid")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        source: ConnectionStringError,
    },
    /// There are access keys, but all are empty, or the list is.
    #[error("no access key, or an empty one; without keys call without_signature_check")]
    Keys,
    /// An event has two handlers.
    #[error("the event `{0}` has two handlers")]
    TwoHandlers(String),
}

impl<S> WebPubSubEventHandlerBuilder<S, MissingKeys> {
    pub(crate) fn new(hub: String) -> Self {
        Self {
            hub,
            path: None,
            keys: Some(Vec::new()),
            endpoints: None,
            body_limit: BODY_LIMIT,
            queue: QUEUE,
            handlers: Handlers::default(),
            error: None,
            signatures: PhantomData,
        }
    }

    /// Takes events without proof that they come from the service: whoever reaches the handler can forge them. For
    /// development, or where something in front of the handler checks.
    pub fn without_signature_check(mut self) -> WebPubSubEventHandlerBuilder<S, Ready> {
        self.keys = None;
        self.ready()
    }
}

impl<S, K> WebPubSubEventHandlerBuilder<S, K> {
    /// Adds an access key of the resource. An event must be signed with one of the keys that were added.
    ///
    /// The service signs with both of its keys, so one is enough; several serve several resources, or a change of keys.
    pub fn access_key(self, key: impl Into<String>) -> WebPubSubEventHandlerBuilder<S, Ready> {
        self.access_keys([key])
    }

    /// Adds several access keys.
    pub fn access_keys<A: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = A>,
    ) -> WebPubSubEventHandlerBuilder<S, Ready> {
        let known = self.keys.get_or_insert_default();
        known.extend(keys.into_iter().map(|key| AccessKey::new(key)));
        self.ready()
    }

    /// Adds the access key of a connection string. Its endpoint does not matter.
    ///
    /// # Errors
    ///
    /// When it is not a connection string.
    pub fn connection_string(
        self,
        connection_string: &str,
    ) -> Result<WebPubSubEventHandlerBuilder<S, Ready>, ConnectionStringError> {
        let parsed: ConnectionString = connection_string.parse()?;
        Ok(self.access_key(parsed.access_key().expose()))
    }

    /// The path that the service calls, `/api/webpubsub/hubs/{hub}/` by default; whatever is below it is taken as well.
    /// Case and a slash at the end do not count. In a nested router, the path with the prefix or without it.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Restricts who may send events to these endpoints, for example `https://contoso.webpubsub.azure.com`; all may by
    /// default. It is the service that looks at it, before it sends its first event: against others than the service only
    /// the signature helps.
    pub fn allowed_endpoints<E: Into<String>>(
        mut self,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Self {
        self.endpoints = Some(endpoints.into_iter().map(Into::into).collect());
        self
    }

    /// The longest body, in bytes: 1 MiB, which is the longest message, and 64 KiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How many events that the service does not wait for may wait or run, 1,024 by default. When there are more, their
    /// requests wait for a place before they are acknowledged.
    pub fn queue(mut self, events: usize) -> Self {
        self.queue = events;
        self
    }

    fn ready(self) -> WebPubSubEventHandlerBuilder<S, Ready> {
        let handlers = self.handlers;
        WebPubSubEventHandlerBuilder {
            hub: self.hub,
            path: self.path,
            keys: self.keys,
            endpoints: self.endpoints,
            body_limit: self.body_limit,
            queue: self.queue,
            handlers,
            error: self.error,
            signatures: PhantomData,
        }
    }
}

impl<S: Clone + Send + Sync + 'static, K> WebPubSubEventHandlerBuilder<S, K> {
    /// Decides who may connect. The service waits for the answer: a
    /// [`ConnectResponse`](crate::ConnectResponse), or `()` to let the client in.
    pub fn on_connect<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("connect", handler, |handlers| &mut handlers.connect)
    }

    /// A connection was established. The service does not wait, and ignores the answer.
    pub fn on_connected<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("connected", handler, |handlers| &mut handlers.connected)
    }

    /// A connection ended. The service does not wait, and ignores the answer.
    pub fn on_disconnected<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("disconnected", handler, |handlers| {
            &mut handlers.disconnected
        })
    }

    /// A connection became the member of a group. The service does not wait, and ignores the answer.
    pub fn on_group_joined<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("joined", handler, |handlers| &mut handlers.group_joined)
    }

    /// A connection is no longer the member of a group. The service does not wait, and ignores the answer.
    pub fn on_group_left<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("left", handler, |handlers| &mut handlers.group_left)
    }

    /// Takes the user events of this name, without regard to case. The service waits for the answer: a
    /// [`UserEventResponse`](crate::UserEventResponse), text, [`Json`](axum::Json), bytes, or `()` for nothing.
    ///
    /// The first argument of the handler is a [`UserEventRequest<T>`], for example
    /// `on_user_event::<Order, _>("order", …)`; `T` follows from the handler when it is left out. What a simple WebSocket
    /// client sends has the name `message`.
    pub fn on_user_event<T, M>(
        mut self,
        event: &str,
        handler: impl UserEventHandler<T, M, S>,
    ) -> Self
    where
        M: 'static,
    {
        let before = match EventName::new(event) {
            Ok(_) => self
                .handlers
                .user_events
                .insert(event.to_ascii_lowercase(), pending(handler)),
            Err(error) => return self.fail(error.into()),
        };
        match before {
            Some(_) => self.fail(BuildError::TwoHandlers(event.to_owned())),
            None => self,
        }
    }

    /// Takes all user events that no other handler takes.
    pub fn on_any_user_event<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("*", handler, |handlers| &mut handlers.any_user_event)
    }

    /// Takes all events by the methods of a trait. Beside it, [`on_user_event`](Self::on_user_event) can take some of the
    /// user events.
    pub fn event_handler(self, handler: impl EventHandler) -> Self {
        macro_rules! call {
            ($handler:ident.$method:ident($request:ty)) => {{
                let handler = Arc::clone(&$handler);
                move |request: $request| async move { handler.$method(request).await }
            }};
        }
        let handler = Arc::new(handler);
        self.on_connect(call!(handler.connect(ConnectRequest)))
            .on_any_user_event(call!(handler.user_event(UserEventRequest)))
            .on_connected(call!(handler.connected(ConnectedRequest)))
            .on_disconnected(call!(handler.disconnected(DisconnectedRequest)))
            .on_group_joined(call!(handler.group_joined(GroupJoinedRequest)))
            .on_group_left(call!(handler.group_left(GroupLeftRequest)))
    }

    /// Gives the handlers their state, for axum's `State`.
    pub fn with_state<S2>(self, state: S) -> WebPubSubEventHandlerBuilder<S2, K> {
        let with_state = |pending: PendingHandler<S>| -> PendingHandler<S2> {
            let handler = pending(state.clone());
            Box::new(move |_| handler)
        };
        WebPubSubEventHandlerBuilder {
            hub: self.hub,
            path: self.path,
            keys: self.keys,
            endpoints: self.endpoints,
            body_limit: self.body_limit,
            queue: self.queue,
            handlers: self.handlers.map(with_state),
            error: self.error,
            signatures: PhantomData,
        }
    }

    fn set<H, M>(
        mut self,
        event: &str,
        handler: H,
        slot: impl FnOnce(&mut Handlers<PendingHandler<S>>) -> &mut Option<PendingHandler<S>>,
    ) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        match slot(&mut self.handlers).replace(pending(handler)) {
            Some(_) => self.fail(BuildError::TwoHandlers(event.to_owned())),
            None => self,
        }
    }

    /// Keeps the first error for [`build`](WebPubSubEventHandlerBuilder::build).
    fn fail(mut self, error: BuildError) -> Self {
        self.error.get_or_insert(error);
        self
    }
}

impl WebPubSubEventHandlerBuilder<(), Ready> {
    /// Makes the handler.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration.
    pub fn build(self) -> Result<WebPubSubEventHandler, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let name = HubName::new(self.hub)?;
        let path = self
            .path
            .unwrap_or_else(|| format!("/api/webpubsub/hubs/{name}/"));
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return Err(BuildError::Path(path));
        }
        let keys = self.keys.as_ref();
        if keys
            .is_some_and(|keys| keys.is_empty() || keys.iter().any(|key| key.expose().is_empty()))
        {
            return Err(BuildError::Keys);
        }
        Ok(WebPubSubEventHandler::of(Hub {
            name,
            prefix: Prefix::new(&path),
            keys: self.keys,
            origins: origins(self.endpoints)?,
            body_limit: self.body_limit,
            queue: Queue::new(self.queue),
            handlers: self.handlers.map(|pending| pending(())),
        }))
    }
}

impl<S, K> std::fmt::Debug for WebPubSubEventHandlerBuilder<S, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebPubSubEventHandlerBuilder")
            .field("hub", &self.hub)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn origins(endpoints: Option<Vec<String>>) -> Result<AllowedOrigins, BuildError> {
    let Some(endpoints) = endpoints else {
        return Ok(AllowedOrigins::default());
    };
    let mut allowed = AllowedOrigins::none();
    for endpoint in endpoints {
        if let Err(source) = allowed.add(&endpoint) {
            return Err(BuildError::Endpoint { endpoint, source });
        }
    }
    Ok(allowed)
}
