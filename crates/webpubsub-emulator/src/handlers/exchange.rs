//! One event and its answer: its turn, the handler's consent, a place among the requests under way, and the request.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use http::Response;
use tokio::sync::OwnedSemaphorePermit;
use webpubsub_protocol::cloud_event::{EventType, VALIDATE};

use super::answer::{Answer, Unusable};
use super::client::{NoAnswer, Tries};
use super::dispatch::{Handlers, Shared};
use super::interception::Interception;
use super::probe::{self, Probe, Refused};
use super::request::{Event, Stamp};
use super::session::Turn;
use super::settings::EventHandler;
use crate::traffic::{Excerpt, SentEvent, TrafficEvent};

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    NotValidated(Refused),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

impl Failure {
    /// Whether the handler works, but refuses this client.
    fn refuses(&self, event: &EventType) -> bool {
        match self {
            Self::Unusable(Unusable::Status(status)) => {
                *event == EventType::Connect && status.is_client_error()
            }
            _ => false,
        }
    }
}

impl Handlers {
    /// Sends an event to a handler, and takes what `judge` makes of the answer. What goes wrong is logged.
    pub(super) async fn ask<T>(
        &self,
        handler: &EventHandler,
        event: &Event,
        turn: Turn,
        judge: impl FnOnce(Answer) -> Result<T, Unusable>,
    ) -> Result<T, Failure> {
        let context = &self.0.context;
        let began = context.clock.mono();
        let (mut status, mut excerpt) = (None, None);
        let answer = self.exchange(handler, event, turn).await;
        let result = answer.and_then(|answer| {
            status = Some(answer.status.as_u16());
            excerpt = match context.traffic.is_read() {
                true => context.traffic.excerpt(|| Excerpt::of(&answer.body)),
                false => None,
            };
            judge(answer).map_err(Failure::from)
        });
        context.counters.handler_calls.add(1);
        let took = context.clock.mono().saturating_duration_since(began);
        let failure = result
            .as_ref()
            .err()
            .filter(|failure| !failure.refuses(&event.kind));
        let health = self.0.healths.of(&event.hub, &handler.target);
        health.note(
            context.clock.now().wall,
            took,
            failure.map(ToString::to_string),
        );
        if let Err(failure) = &result {
            let (hub, connection, target) = (&event.hub, &event.connection_id, &handler.target);
            if failure.refuses(&event.kind) {
                tracing::info!(%hub, %connection, handler = ?target, "the client may not connect: {failure}");
            } else {
                context.counters.handler_failures.add(1);
                tracing::warn!(
                    %hub, %connection, event = %event.kind, handler = ?target,
                    "the event handler failed: {failure}"
                );
            }
        }
        // What a `connect` event holds, a client may have sent to authenticate itself.
        let shows = event.kind != EventType::Connect && context.traffic.has_payloads();
        context.traffic.note(|| TrafficEvent::HandlerCall {
            hub: event.hub.clone(),
            connection_id: event.connection_id.clone(),
            user_id: event.user_id.clone(),
            event: event.kind.name().to_owned(),
            event_id: event.id,
            request: shows.then(|| Excerpt::of(&event.body)),
            status,
            answer: excerpt,
            succeeded: result.is_ok(),
            failure: result.as_ref().err().map(ToString::to_string),
            sent: match shows {
                true => SentEvent::of(event).map(Box::new),
                false => None,
            },
            took,
        });
        result
    }

    async fn exchange(
        &self,
        handler: &EventHandler,
        event: &Event,
        turn: Turn,
    ) -> Result<Answer, Failure> {
        let Shared {
            client, context, ..
        } = &*self.0;
        let clock = &context.clock;
        let session = Arc::clone(turn.session());
        let url = handler.target.url(event.hub.as_str(), event.kind.name());
        let deadline = clock.now().mono + handler.timeout;
        let head = client.before(deadline, self.head(handler, event, &url, turn));
        let head = head.await;
        let (head, _under_way) = head.unwrap_or(Err(NoAnswer::TimedOut(handler.timeout).into()))?;
        if head.status().is_success() {
            session.keep_cookies(&url, head.headers(), clock.now().wall);
        }
        Ok(client.read(head, handler.timeout).await?)
    }

    /// Sends an event when its turn has come and the handler has room, and waits for the head of the answer. The place
    /// among the requests under way is the caller's until it has read the rest.
    async fn head(
        &self,
        handler: &EventHandler,
        event: &Event,
        url: &url::Url,
        turn: Turn,
    ) -> Result<(Response<Body>, OwnedSemaphorePermit), Failure> {
        let Shared {
            client, context, ..
        } = &*self.0;
        let session = turn.session();
        turn.comes().await;
        if handler.validated {
            let probe = Probe {
                target: handler.target.clone(),
                url: handler.target.url(event.hub.as_str(), VALIDATE),
                origin: session.origin().to_owned(),
            };
            let spawn = |running: probe::RunningProbe| self.spawn(running.run());
            let allowed = self.0.probes.allowed(&context.clock, client, probe, spawn);
            allowed.await.map_err(Failure::NotValidated)?;
        }
        // Places are given in the order in which they are asked for. Only one event of a connection has its turn, so
        // one that has many waiting holds up no other connection.
        let place = self.places(&event.hub).acquire_owned();
        let place = place.await.expect("places are never closed");
        let now = context.clock.now().wall;
        let request_id = self.0.request_ids.lock().guid();
        let stamp = Stamp {
            keys: &context.keys,
            time: now,
            request_id: &request_id,
            origin: session.origin(),
            state: session.state(),
            cookies: session.cookies(url, now),
        };
        let request = event.request(url, stamp).map_err(NoAnswer::from)?;
        let interception = Some(Interception {
            faults: &context.faults,
            hub: &event.hub,
            connection_id: &event.connection_id,
            user_id: event.user_id.as_ref(),
            event: event.kind.name(),
        });
        let sending = client.send(&handler.target, &request, Tries::Several, interception);
        let mut sending = pin!(sending);
        // Polled once, it is under way: then the next event of the connection may go.
        let first = futures_util::poll!(sending.as_mut());
        drop(turn);
        let head = match first {
            Poll::Ready(answer) => answer?,
            Poll::Pending => sending.await?,
        };
        Ok((head, place))
    }
}
