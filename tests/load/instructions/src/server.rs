//! What a server does: calls to the service up to the transport, and events from the request on.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, StatusCode, Transport,
};
use futures_util::FutureExt as _;
use tower::ServiceExt as _;
use webpubsub::{WebPubSubServiceClient, WebPubSubServiceClientOptions};
use webpubsub_axum::{UserEventRequest, UserEventResponse, WebPubSubEventHandler};
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::cloud_event::signature;

use crate::frames;

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=";
const HUB: &str = "load";

/// Accepts every request.
#[derive(Debug)]
struct Accepting;

#[async_trait]
impl HttpClient for Accepting {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        let nothing = Vec::new();
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Accepted,
            Headers::new(),
            nothing,
        ))
    }
}

/// A message to all, up to the transport.
pub(crate) fn send_to_all(count: u64) -> Result<()> {
    let options = WebPubSubServiceClientOptions {
        client_options: ClientOptions {
            transport: Some(Transport::new(Arc::new(Accepting))),
            ..ClientOptions::default()
        },
        ..WebPubSubServiceClientOptions::default()
    };
    let connection =
        format!("Endpoint=https://example.webpubsub.azure.com;AccessKey={KEY};Version=1.0;");
    let client = WebPubSubServiceClient::from_connection_string_with(&connection, HUB, options)?;
    let text = frames::text();
    for _ in 0..count {
        let sent = client
            .send_to_all(text.as_str())
            .into_future()
            .now_or_never();
        sent.context("a transport in memory is waited for")??;
    }
    Ok(())
}

/// A user event through the layer of an application, answered with what it holds.
pub(crate) fn user_event(count: u64) -> Result<()> {
    let handler = WebPubSubEventHandler::builder(HUB)
        .access_key(KEY)
        .on_any_user_event(async |request: UserEventRequest<String>| {
            UserEventResponse::success(request.data)
        })
        .build()?;
    let app = Router::new().layer(handler);
    let signature = signature::sign(&[AccessKey::new(KEY)], "c-1");
    let (head, ()) = http::Request::post(format!("/api/webpubsub/hubs/{HUB}/"))
        .header("content-type", "text/plain")
        .header("content-length", "100")
        .header("webhook-request-origin", "example.webpubsub.azure.com")
        .header("ce-awpsversion", "1.0")
        .header("ce-specversion", "1.0")
        .header("ce-type", "azure.webpubsub.user.echo")
        .header("ce-source", format!("/hubs/{HUB}/client/c-1"))
        .header("ce-id", "1")
        .header("ce-time", "2026-01-01T00:00:00Z")
        .header("ce-signature", signature)
        .header("ce-userid", "ana")
        .header("ce-connectionid", "c-1")
        .header("ce-hub", HUB)
        .header("ce-eventname", "echo")
        .body(())?
        .into_parts();
    let text = frames::text();
    for _ in 0..count {
        let request = http::Request::from_parts(head.clone(), Body::from(text.clone()));
        let answer = app.clone().oneshot(request).now_or_never();
        let answer = answer.context("a handler that does not wait is waited for")??;
        ensure!(
            answer.status().is_success(),
            "an event is refused: {}",
            answer.status()
        );
    }
    Ok(())
}
