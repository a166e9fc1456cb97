//! A trait with a method for each event, as an alternative to axum handlers.

use std::future::Future;

use crate::{
    request::{
        ConnectRequest, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest,
    },
    response::{ConnectResponse, UserEventResponse},
    user_event::UserEventRequest,
};

/// Handles all events of a hub. The default implementation of each method accepts the event and does nothing. Register an
/// implementation with [`event_handler`](crate::WebPubSubEventHandlerBuilder::event_handler).
///
/// ```
/// use webpubsub_axum::{EventHandler, UserEventRequest, UserEventResponse, WebPubSubEventHandler};
///
/// struct Echo;
///
/// impl EventHandler for Echo {
///     async fn user_event(&self, event: UserEventRequest) -> UserEventResponse {
///         UserEventResponse::success(event.data)
///     }
/// }
///
/// let handler = WebPubSubEventHandler::builder("chat").access_key("key").event_handler(Echo).build()?;
/// # Ok::<(), webpubsub_axum::BuildError>(())
/// ```
pub trait EventHandler: Send + Sync + 'static {
    /// A client wants to connect. The service waits for the response.
    fn connect(&self, request: ConnectRequest) -> impl Future<Output = ConnectResponse> + Send {
        let _ = request;
        async { ConnectResponse::accept() }
    }

    /// A client sent a user event. The service waits for the response.
    fn user_event(
        &self,
        request: UserEventRequest,
    ) -> impl Future<Output = UserEventResponse> + Send {
        let _ = request;
        async { UserEventResponse::empty() }
    }

    /// A connection was established. The service does not wait for this method.
    fn connected(&self, request: ConnectedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection ended. The service does not wait for this method.
    fn disconnected(&self, request: DisconnectedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection joined a group. The service does not wait for this method.
    fn group_joined(&self, request: GroupJoinedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection left a group. The service does not wait for this method.
    fn group_left(&self, request: GroupLeftRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }
}
