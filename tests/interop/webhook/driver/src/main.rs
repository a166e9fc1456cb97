//! Serves the same event handlers as `tests/interop/js/webhook/official.mjs`.
//!
//! Reads one line of JSON, the access key and the answers to user events, prints its port, and when its input ends what
//! the handlers saw.

mod answers;
mod log;

use std::io::{Write as _, stdout};
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, stdin};
use tokio::net::TcpListener;
use webpubsub_axum::{
    ConnectRequest, ConnectedRequest, DisconnectedRequest, GroupJoinedRequest, GroupLeftRequest,
    UserEventRequest, WebPubSubEventHandler,
};

use answers::Setup;
use log::Log;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut input = BufReader::new(stdin());
    let mut line = String::new();
    input.read_line(&mut line).await?;
    let setup: Setup = serde_json::from_str(&line).context("the first line is no setup")?;
    let log = Log::default();
    let handler = handlers(&setup, &log)?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    print(&json!({ "port": listener.local_addr()?.port() }))?;
    // What is passed on must be seen from outside.
    let others = async || (StatusCode::NOT_FOUND, [("x-passed-on", "1")]).into_response();
    let app = Router::new().fallback(others).layer(handler.clone());
    let mut rest = Vec::new();
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        ended = input.read_to_end(&mut rest) => drop(ended?),
    }
    handler.shutdown().await;
    print(&log.entries())
}

fn handlers(setup: &Setup, log: &Log) -> Result<WebPubSubEventHandler> {
    let bare = WebPubSubEventHandler::builder::<()>("bare");
    let allowed = [
        "https://A.webpubsub.azure.com",
        "http://localhost:8080/path",
        "https://b.example:443",
    ];
    let full = |hub: &str, path: Option<&str>, endpoints: Option<&[&str]>| -> Result<_> {
        let mut builder = WebPubSubEventHandler::builder(hub).access_key(setup.key());
        if let Some(path) = path {
            builder = builder.path(path);
        }
        if let Some(endpoints) = endpoints {
            builder = builder.allowed_endpoints(endpoints.iter().copied());
        }
        let (connects, events, answers) = (log.clone(), log.clone(), setup.clone());
        let (connected, disconnected) = (log.clone(), log.clone());
        let (joined, left) = (log.clone(), log.clone());
        let built = builder
            .on_connect(async move |request: ConnectRequest| {
                connects.connect(&request);
                answers::connect(request.query("do"))
            })
            .on_any_user_event(async move |request: UserEventRequest| {
                events.user_event(&request);
                answers.user_event(request.context.event_name())
            })
            .on_connected(async move |request: ConnectedRequest| connected.connected(&request))
            .on_disconnected(async move |request: DisconnectedRequest| {
                disconnected.disconnected(&request);
            })
            .on_group_joined(async move |request: GroupJoinedRequest| {
                joined.group(&request.context, &request.group);
            })
            .on_group_left(async move |request: GroupLeftRequest| {
                left.group(&request.context, &request.group);
            })
            .build()?;
        Ok(built)
    };
    Ok(full("chat", None, None)?
        .or(bare.access_key(setup.key()).build()?)
        .or(full("allowed", None, Some(&allowed))?)
        .or(full("nobody", None, Some(&[]))?)
        .or(full("custom", Some("/Custom/EventHandler"), None)?))
}

fn print(line: &serde_json::Value) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
