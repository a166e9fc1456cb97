//! The event handler of one or several hubs.

use std::{collections::BTreeSet, sync::Arc};

use axum::Router;
use http::request::Parts;

use crate::{
    builder::{MissingKeys, WebPubSubEventHandlerBuilder},
    hub::Hub,
    rejection::NotOurs,
    route::Task,
};

/// Handles the events of one or several hubs. Create it with [`builder`](Self::builder). Clones share their handlers and
/// their queue.
///
/// It is a tower [`Service`](tower::Service), which answers other requests with 404; a [`Layer`](tower::Layer), which passes
/// them on; and, with [`into_router`](Self::into_router), an axum [`Router`].
#[derive(Debug, Clone)]
pub struct WebPubSubEventHandler {
    hubs: Arc<[Arc<Hub>]>,
}

impl WebPubSubEventHandler {
    /// Starts to build a handler for a hub. Hub names are compared without regard to case.
    ///
    /// `S` is the state of the handlers, which [`with_state`](WebPubSubEventHandlerBuilder::with_state) provides later.
    pub fn builder<S>(hub: impl Into<String>) -> WebPubSubEventHandlerBuilder<S, MissingKeys> {
        WebPubSubEventHandlerBuilder::new(hub.into())
    }

    /// Combines two handlers, so that one value serves several hubs, on the same path or on different ones.
    ///
    /// A request goes to the first handler that it fits. If hubs share a path, the first of them therefore answers the
    /// service when it asks whether it may send events to that path.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let hubs = self.hubs.iter().chain(other.hubs.iter()).cloned().collect();
        Self { hubs }
    }

    /// The paths that the handler listens on, one for each hub, in lower case and with a trailing slash. It also accepts
    /// everything below them.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.hubs.iter().map(|hub| hub.prefix.as_str())
    }

    /// Converts the handler into a router that handles events and answers all other requests with 404.
    ///
    /// You can merge and nest the router. The prefix of the nest may be part of the
    /// [`path`](WebPubSubEventHandlerBuilder::path) or not; if it is, nest only once. To nest the handler at exactly its
    /// path, prefer `nest_service(path, handler)`: unlike `nest`, it also matches the path with a trailing slash.
    ///
    /// The router has a fallback, because routes are case-sensitive and the paths of events are not. axum cannot merge two
    /// routers that both have a fallback, so if your application has one, use the handler as a layer.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let routes: BTreeSet<String> = self
            .hubs
            .iter()
            .flat_map(|hub| hub.prefix.routes())
            .collect();
        // A path may hold what other versions of axum took for parameters.
        let router = Router::new()
            .without_v07_checks()
            .fallback_service(self.clone());
        let add = |router: Router<S>, route: String| router.route_service(&route, self.clone());
        routes.into_iter().fold(router, add)
    }

    /// Waits until all acknowledged events have been handled. From then on, non-blocking events are refused with 503.
    ///
    /// Call it after the server has stopped, for example after `axum::serve(..).with_graceful_shutdown(..)`. Otherwise,
    /// events that are still queued are lost when the runtime ends.
    pub async fn shutdown(&self) {
        let drained = self.hubs.iter().map(|hub| hub.queue.drain());
        futures_util::future::join_all(drained).await;
    }

    pub(crate) fn of(hub: Hub) -> Self {
        Self {
            hubs: Arc::new([Arc::new(hub)]),
        }
    }

    /// The hub that a request is for; otherwise what it lacks for the hub that it comes closest to.
    pub(crate) fn find(&self, parts: &Parts) -> Result<(Arc<Hub>, Task), NotOurs> {
        let mut closest = NotOurs::Path;
        for hub in self.hubs.iter() {
            match hub.task(parts) {
                Ok(task) => return Ok((Arc::clone(hub), task)),
                Err(reason) => closest = closest.max(reason),
            }
        }
        Err(closest)
    }
}

impl<S: Clone + Send + Sync + 'static> From<WebPubSubEventHandler> for Router<S> {
    fn from(handler: WebPubSubEventHandler) -> Self {
        handler.into_router()
    }
}
