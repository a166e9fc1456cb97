//! The functions that handle events.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::Request, handler::Handler, response::Response};
use futures_util::future::BoxFuture;
use webpubsub_protocol::cloud_event::EventType;

use crate::rejection::Rejection;

/// A handler with its state.
pub(crate) type BoxedHandler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// A handler that still needs its state.
pub(crate) type PendingHandler<S> = Box<dyn FnOnce(S) -> BoxedHandler + Send>;

/// The handlers of a hub.
pub(crate) struct Handlers<H> {
    pub(crate) connect: Option<H>,
    pub(crate) connected: Option<H>,
    pub(crate) disconnected: Option<H>,
    pub(crate) group_joined: Option<H>,
    pub(crate) group_left: Option<H>,
    /// By lower-case name: the service compares them without case.
    pub(crate) user_events: BTreeMap<String, H>,
    pub(crate) any_user_event: Option<H>,
}

pub(crate) fn pending<H, M, S>(handler: H) -> PendingHandler<S>
where
    H: Handler<M, S>,
    M: 'static,
    S: Clone + Send + Sync + 'static,
{
    Box::new(move |state: S| {
        Arc::new(move |request| Box::pin(handler.clone().call(request, state.clone())))
    })
}

impl<H> Handlers<H> {
    /// The handler for an event; `None` if there is no handler for events of its type.
    pub(crate) fn find(&self, event: &EventType) -> Result<Option<&H>, Rejection> {
        Ok(match event {
            EventType::Connect => self.connect.as_ref(),
            EventType::Connected => self.connected.as_ref(),
            EventType::Disconnected => self.disconnected.as_ref(),
            EventType::GroupJoined => self.group_joined.as_ref(),
            EventType::GroupLeft => self.group_left.as_ref(),
            EventType::User(name) => {
                if self.user_events.is_empty() {
                    return Ok(self.any_user_event.as_ref());
                }
                let named = self.user_events.get(&name.to_ascii_lowercase());
                match named.or(self.any_user_event.as_ref()) {
                    Some(found) => Some(found),
                    None => return Err(Rejection::UnknownUserEvent),
                }
            }
        })
    }

    pub(crate) fn map<I>(self, mut change: impl FnMut(H) -> I) -> Handlers<I> {
        Handlers {
            connect: self.connect.map(&mut change),
            connected: self.connected.map(&mut change),
            disconnected: self.disconnected.map(&mut change),
            group_joined: self.group_joined.map(&mut change),
            group_left: self.group_left.map(&mut change),
            any_user_event: self.any_user_event.map(&mut change),
            user_events: {
                let events = self.user_events.into_iter();
                events
                    .map(|(name, handler)| (name, change(handler)))
                    .collect()
            },
        }
    }
}

impl<H> Default for Handlers<H> {
    fn default() -> Self {
        Self {
            connect: None,
            connected: None,
            disconnected: None,
            group_joined: None,
            group_left: None,
            user_events: BTreeMap::new(),
            any_user_event: None,
        }
    }
}
