//! The handler of one hub: from a request that is for it to the response.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request},
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode, request::Parts};
use tracing::{Instrument as _, Span};
use webpubsub_protocol::{
    cloud_event::{EventType, signature},
    name::HubName,
};

use crate::{
    body::{self, BoxError},
    context::{ConnectionContext, is_mqtt_event},
    event::Event,
    handlers::{BoxedHandler, Handlers},
    header::{self, names},
    preflight::AllowedOrigins,
    queue::Queue,
    rejection::{NotOurs, Rejection, SignatureRejection},
    response::finish,
    route::{self, Prefix, Task},
};

pub(crate) struct Hub {
    pub(crate) name: HubName,
    pub(crate) prefix: Prefix,
    /// `None` if signatures are not checked.
    pub(crate) verifier: Option<signature::Verifier>,
    pub(crate) origins: AllowedOrigins,
    pub(crate) body_limit: usize,
    pub(crate) queue: Queue,
    pub(crate) handlers: Handlers<BoxedHandler>,
}

impl Hub {
    pub(crate) fn task(&self, parts: &Parts) -> Result<Task, NotOurs> {
        route::task(&self.prefix, self.name.as_str(), parts)
    }

    pub(crate) async fn answer<B>(&self, task: Task, parts: Parts, body: B) -> Response
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        match task {
            Task::Preflight => self.origins.answer(&parts.headers),
            Task::Event(event) => match self.take(&event, parts, body).await {
                Ok(response) => response,
                Err(rejection) => {
                    tracing::debug!(hub = %self.name, %rejection, "refused an event");
                    rejection.into_response()
                }
            },
        }
    }

    async fn take<B>(&self, event: &EventType, parts: Parts, body: B) -> Result<Response, Rejection>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        self.verify(&parts.headers)?;
        let Some(handler) = self.handlers.find(event)? else {
            return Ok(unhandled(event, &parts.headers));
        };
        body::refuse_encoding(&parts.headers)?;
        let context = ConnectionContext::read(event, &parts.headers)?;
        let span = span(&context);
        let connection = context.clone();
        // The body is read only once there is room in the queue, so that the queue also bounds memory.
        let place = match event.is_blocking() {
            true => None,
            false => Some(
                self.queue
                    .place()
                    .await
                    .map_err(|_| Rejection::ShuttingDown)?,
            ),
        };
        let body = body::read(&parts.headers, body, self.body_limit).await?;
        let event = Arc::new(Event::read(event, context, &parts.headers, body.clone())?);
        let mut request = Request::from_parts(parts, Body::from(body));
        // The limit above applies; axum would add its own.
        DefaultBodyLimit::disable().apply(&mut request);
        request.extensions_mut().insert(Arc::clone(&event));
        let call = call(Arc::clone(handler), request);
        let Some(place) = place else {
            let answer = async { finish(&event, call.await).await };
            return Ok(answer.instrument(span).await);
        };
        let run = async move {
            let status = call.await.status();
            if status.is_client_error() || status.is_server_error() {
                tracing::warn!(%status, "the handler of an event failed; the event had already been acknowledged");
            }
        };
        self.queue
            .push(place, connection.connection_id(), run.instrument(span));
        Ok(Response::new(Body::empty()))
    }

    fn verify(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let connection_id = header::required(headers, &names::CE_CONNECTION_ID)?;
        let Some(verifier) = &self.verifier else {
            return Ok(());
        };
        match header::text(headers, &names::CE_SIGNATURE)? {
            None => Err(SignatureRejection::Missing.into()),
            Some(found) if verifier.verify(found, connection_id) => Ok(()),
            Some(_) => Err(SignatureRejection::Wrong.into()),
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("name", &self.name)
            .field("path", &self.prefix.as_str())
            .field("checks_signatures", &self.verifier.is_some())
            .finish_non_exhaustive()
    }
}

/// The response of the official library to an event that has no handler.
fn unhandled(event: &EventType, headers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    if *event == EventType::Connect && is_mqtt_event(headers) {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

fn span(context: &ConnectionContext) -> Span {
    tracing::info_span!(
        "webpubsub_event",
        hub = context.hub(),
        connection = context.connection_id(),
        event = context.event_name(),
        event_id = context.event_id(),
        traceparent = context.traceparent(),
    )
}

async fn call(handler: BoxedHandler, request: Request) -> Response {
    let run = async move { handler(request).await };
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("the handler of an event panicked");
            Rejection::Panicked.into_response()
        }
    }
}
