//! Events as methods of a trait, for those who do not want axum handlers.

use std::future::Future;

use crate::{
    request::{
        ConnectRequest, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest,
    },
    response::{ConnectResponse, UserEventResponse},
    user_event::UserEventRequest,
};

/// Takes all events of a hub. Each method has a default that accepts the event and does nothing.
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
    /// A client wants to connect.
    fn connect(&self, request: ConnectRequest) -> impl Future<Output = ConnectResponse> + Send {
        let _ = request;
        async { ConnectResponse::accept() }
    }

    /// A client sent something to its server.
    fn user_event(
        &self,
        request: UserEventRequest,
    ) -> impl Future<Output = UserEventResponse> + Send {
        let _ = request;
        async { UserEventResponse::empty() }
    }

    /// A connection was established. The service does not wait for it.
    fn connected(&self, request: ConnectedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection ended. The service does not wait for it.
    fn disconnected(&self, request: DisconnectedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection became the member of a group. The service does not wait for it.
    fn group_joined(&self, request: GroupJoinedRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }

    /// A connection is no longer the member of a group. The service does not wait for it.
    fn group_left(&self, request: GroupLeftRequest) -> impl Future<Output = ()> + Send {
        let _ = request;
        async {}
    }
}
