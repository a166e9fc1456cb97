//! Configuration of an event handler.

use std::{marker::PhantomData, sync::Arc};

use axum::handler::Handler;
use webpubsub_protocol::{
    access::{AccessKey, ConnectionString, ConnectionStringError},
    cloud_event::signature::Verifier,
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

/// The longest message of the service, and what its encoding as `Any` and the members around it may add.
const BODY_LIMIT: usize = MESSAGE_BYTES + 64 * 1024;

const QUEUE: usize = 1024;

/// Configures a [`WebPubSubEventHandler`]. The `on_…` methods take axum handlers: async functions whose arguments are
/// extractors from axum and from this crate.
///
/// `S` is the state of the handlers, which [`with_state`](Self::with_state) provides. `K` tracks whether the builder knows
/// how to check signatures: until it does, there is no [`build`](WebPubSubEventHandlerBuilder::build) method.
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

/// The builder does not know yet how to check signatures. Add an access key, or call
/// [`without_signature_check`](WebPubSubEventHandlerBuilder::without_signature_check).
#[derive(Debug)]
pub enum MissingKeys {}

/// The builder knows how to check signatures.
#[derive(Debug)]
pub enum Ready {}

/// Why a handler could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The name of the hub or of a user event is not valid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The path does not begin with a slash, or it contains a query.
    #[error("the path `{0}` must begin with a slash and must not contain a query")]
    Path(String),
    /// An allowed endpoint is not a URL.
    #[error("`{endpoint}` in the allowed endpoints is invalid")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        source: ConnectionStringError,
    },
    /// An access key is empty, or the list of keys is.
    #[error(
        "an access key is empty, or none was given; to run without keys, call without_signature_check"
    )]
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

    /// Accepts events without a check of their signature, so that whoever can reach the handler can forge them. Use it for
    /// development, or if something in front of the handler authenticates the service.
    pub fn without_signature_check(mut self) -> WebPubSubEventHandlerBuilder<S, Ready> {
        self.keys = None;
        self.ready()
    }
}

impl<S, K> WebPubSubEventHandlerBuilder<S, K> {
    /// Adds an access key of the resource. Events must be signed with one of the keys that were added.
    ///
    /// The service signs each event with both keys of a resource, so one key is enough. Add more if events come from several
    /// resources, or while you rotate keys.
    pub fn access_key(self, key: impl Into<String>) -> WebPubSubEventHandlerBuilder<S, Ready> {
        self.access_keys([key])
    }

    /// Adds several access keys; see [`access_key`](Self::access_key).
    pub fn access_keys<A: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = A>,
    ) -> WebPubSubEventHandlerBuilder<S, Ready> {
        let known = self.keys.get_or_insert_default();
        known.extend(keys.into_iter().map(|key| AccessKey::new(key)));
        self.ready()
    }

    /// Adds the access key that a connection string contains. Its endpoint is ignored.
    ///
    /// # Errors
    ///
    /// If the connection string is not valid.
    pub fn connection_string(
        self,
        connection_string: &str,
    ) -> Result<WebPubSubEventHandlerBuilder<S, Ready>, ConnectionStringError> {
        let parsed: ConnectionString = connection_string.parse()?;
        Ok(self.access_key(parsed.access_key().expose()))
    }

    /// Sets the path that the service calls; `/api/webpubsub/hubs/{hub}/` by default. The handler also accepts everything
    /// below the path. Upper case and a trailing slash make no difference. In a nested router, the path may include the
    /// prefix of the nest or omit it.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Accepts events only from these endpoints of the service, for example `https://contoso.webpubsub.azure.com`. By
    /// default all are accepted.
    ///
    /// The service itself enforces this: it asks the handler before it sends the first event. It does not protect against
    /// anybody else; only signatures do.
    pub fn allowed_endpoints<E: Into<String>>(
        mut self,
        endpoints: impl IntoIterator<Item = E>,
    ) -> Self {
        self.endpoints = Some(endpoints.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the maximum size of a body in bytes. The default is 1 MiB, the maximum size of a message, plus 64 KiB. Larger
    /// bodies are refused with 413.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets how many non-blocking events may be queued or running at a time; 1,024 by default. Further requests are not
    /// acknowledged until there is room for them.
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
    /// Handles `connect`: decides whether a client may connect. The service waits for the response: a
    /// [`ConnectResponse`](crate::ConnectResponse), or `()` to accept the client.
    pub fn on_connect<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("connect", handler, |handlers| &mut handlers.connect)
    }

    /// Handles `connected`: a connection was established. The service does not wait for the handler.
    pub fn on_connected<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("connected", handler, |handlers| &mut handlers.connected)
    }

    /// Handles `disconnected`: a connection ended. The service does not wait for the handler.
    pub fn on_disconnected<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("disconnected", handler, |handlers| {
            &mut handlers.disconnected
        })
    }

    /// Handles `joined`: a connection joined a group. The service does not wait for the handler.
    pub fn on_group_joined<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("joined", handler, |handlers| &mut handlers.group_joined)
    }

    /// Handles `left`: a connection left a group. The service does not wait for the handler.
    pub fn on_group_left<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("left", handler, |handlers| &mut handlers.group_left)
    }

    /// Handles user events with this name, which is compared without regard to case. The service waits for the response: a
    /// [`UserEventResponse`](crate::UserEventResponse), text, [`Json`](axum::Json), bytes, or `()` for nothing.
    ///
    /// The first argument of the handler is a [`UserEventRequest<T>`]. `T` is usually inferred; otherwise write
    /// `on_user_event::<Order, _>("order", …)`. Messages of simple WebSocket clients, which speak no subprotocol, arrive
    /// under the name `message`.
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

    /// Handles all user events that have no handler of their own.
    pub fn on_any_user_event<H, M>(self, handler: H) -> Self
    where
        H: Handler<M, S>,
        M: 'static,
    {
        self.set("*", handler, |handlers| &mut handlers.any_user_event)
    }

    /// Handles all events with an implementation of [`EventHandler`]. You can still add
    /// [`on_user_event`](Self::on_user_event) for single user events.
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

    /// Provides the state that handlers extract with axum's `State`.
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
    /// Builds the handler.
    ///
    /// # Errors
    ///
    /// The first mistake in the configuration.
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
            verifier: self.keys.as_deref().map(Verifier::new),
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
