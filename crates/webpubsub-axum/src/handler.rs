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

/// Takes the events of a hub, or of several. Made by its [`builder`](Self::builder); cloning shares it.
///
/// It is a tower [`Service`](tower::Service) that answers 404 to what is not for it, a [`Layer`](tower::Layer) that passes
/// such requests on, and by [`into_router`](Self::into_router) an axum [`Router`].
#[derive(Debug, Clone)]
pub struct WebPubSubEventHandler {
    hubs: Arc<[Arc<Hub>]>,
}

impl WebPubSubEventHandler {
    /// Begins a handler of the hub. Names of hubs compare without case.
    ///
    /// `S` is the state of the handlers, given later by [`with_state`](WebPubSubEventHandlerBuilder::with_state).
    pub fn builder<S>(hub: impl Into<String>) -> WebPubSubEventHandlerBuilder<S, MissingKeys> {
        WebPubSubEventHandlerBuilder::new(hub.into())
    }

    /// Takes also the events of other hubs, on the same path or on others. The first handler that a request fits takes
    /// it, so the question whether events may be sent to a path that several hubs share is answered by the first one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let hubs = self.hubs.iter().chain(other.hubs.iter()).cloned().collect();
        Self { hubs }
    }

    /// The paths that it listens on, in lower case and with a slash at the end: one for each hub. It takes what is below
    /// them, too.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.hubs.iter().map(|hub| hub.prefix.as_str())
    }

    /// A router that takes the events and answers 404 to all other requests.
    ///
    /// It can be merged and nested. A prefix that routers strip may be part of
    /// [`path`](WebPubSubEventHandlerBuilder::path) or not; when it is, nest once only. To nest at exactly the path, prefer
    /// `nest_service(path, handler)`, which unlike `nest` also takes the path with a slash at its end.
    ///
    /// Routes compare with regard to case and events without, so the router also has a fallback. Beside a fallback of your
    /// own use the handler as layer: axum merges no two fallbacks.
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

    /// Waits until the events that were acknowledged are handled. From now on, events that the service does not wait for
    /// are answered with 503.
    ///
    /// Call it when the server has stopped, for example after `axum::serve(..).with_graceful_shutdown(..)`; without it
    /// such events are lost when the runtime ends.
    pub async fn shutdown(&self) {
        let drained = self.hubs.iter().map(|hub| hub.queue.drain());
        futures_util::future::join_all(drained).await;
    }

    pub(crate) fn of(hub: Hub) -> Self {
        Self {
            hubs: Arc::new([Arc::new(hub)]),
        }
    }

    /// Whose request it is; else what it lacks, for the hub that it comes closest to.
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
