//! The handler in tower: as a service of its own, and in front of another.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Request;
use tower::{Layer, Service};

use crate::{body::BoxError, handler::WebPubSubEventHandler};

/// Answers 404 to what is not for it, with a text that says what is missing.
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

/// Passes on what is not for it.
impl<S> Layer<S> for WebPubSubEventHandler {
    type Service = WebPubSubEventService<S>;

    fn layer(&self, inner: S) -> WebPubSubEventService<S> {
        let handler = self.clone();
        WebPubSubEventService { handler, inner }
    }
}

/// A service behind a [`WebPubSubEventHandler`], which is its [`Layer`].
#[derive(Debug, Clone)]
pub struct WebPubSubEventService<S> {
    handler: WebPubSubEventHandler,
    inner: S,
}

impl<S, B> Service<Request<B>> for WebPubSubEventService<S>
where
    S: Service<Request<B>>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.handler.find(&parts) {
            Ok((hub, task)) => Box::pin(async move { Ok(hub.answer(task, parts, body).await) }),
            Err(_) => {
                let answer = self.inner.call(Request::from_parts(parts, body));
                Box::pin(async move { answer.await.map(IntoResponse::into_response) })
            }
        }
    }
}
