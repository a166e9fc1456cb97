//! The handler as a tower service, and as a layer in front of another service.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use futures_util::{
    TryFutureExt as _,
    future::{BoxFuture, Either, MapOk},
};
use http::Request;
use tower::{Layer, Service};

use crate::{body::BoxError, handler::WebPubSubEventHandler, route};

/// Requests that are not for the handler are answered with 404 and a text that names what is missing.
impl<B> Service<Request<B>> for WebPubSubEventHandler
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let found = self.find(&parts);
        Box::pin(async move {
            Ok(match found {
                Ok((hub, task)) => hub.answer(task, parts, body).await,
                Err(not_ours) => not_ours.into_response(),
            })
        })
    }
}

/// Requests that are not for the handler are passed on to the inner service.
impl<S> Layer<S> for WebPubSubEventHandler {
    type Service = WebPubSubEventService<S>;

    fn layer(&self, inner: S) -> WebPubSubEventService<S> {
        let handler = self.clone();
        WebPubSubEventService { handler, inner }
    }
}

/// A service with a [`WebPubSubEventHandler`] in front of it: the result of using the handler as a [`Layer`].
#[derive(Debug, Clone)]
pub struct WebPubSubEventService<S> {
    handler: WebPubSubEventHandler,
    inner: S,
}

impl<S, B> Service<Request<B>> for WebPubSubEventService<S>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<EventFuture<S::Error>, PassedOn<S::Future, S::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Every request of the application passes through here, and most of them are not events.
        let request = if route::may_be_ours(request.headers()) {
            let (parts, body) = request.into_parts();
            if let Ok((hub, task)) = self.handler.find(&parts) {
                let answer = async move { Ok(hub.answer(task, parts, body).await) };
                return Either::Left(Box::pin(answer));
            }
            Request::from_parts(parts, body)
        } else {
            request
        };
        Either::Right(self.inner.call(request).map_ok(IntoResponse::into_response))
    }
}

type EventFuture<E> = BoxFuture<'static, Result<Response, E>>;
type PassedOn<F, R> = MapOk<F, fn(R) -> Response>;
