//! `bench-peer WORK TARGET COUNT`: does one piece of work COUNT times. Prints a line when it is ready, begins when a line
//! comes in, prints `done` when it is. Servers print where they listen, and end with their input.
//! `tests/interop/js/bench/peer.mjs` does the same with the official packages for JavaScript,
//! `tests/interop/python/bench/peer.py` with those for Python.

#![allow(clippy::print_stdout, reason = "the harness reads standard output")]

use std::env;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::body::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin, stdin};
use tokio::net::TcpListener;
use webpubsub::WebPubSubServiceClient;
use webpubsub_axum::{UserEventRequest, UserEventResponse, WebPubSubEventHandler};
use webpubsub_client::{Event, Events, Overflow, Subprotocol, WebPubSubClient};

/// Requests under way at once, over a WebSocket and over HTTP.
const FRAMES_IN_FLIGHT: usize = 64;
const CALLS_IN_FLIGHT: usize = 32;

const GROUP: &str = "g";
const HUB: &str = "load";

// One thread, as the peers have.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let mut next = || args.next().context("usage: bench-peer WORK TARGET COUNT");
    let (work, target) = (next()?, next()?);
    let count: usize = next()?.parse()?;
    let start = BufReader::new(stdin()).lines();
    match work.as_str() {
        "receive-json" => receive(target, Subprotocol::Json, count, start).await,
        "receive-reliable-json" => receive(target, Subprotocol::ReliableJson, count, start).await,
        "receive-reliable-protobuf" => {
            receive(target, Subprotocol::ReliableProtobuf, count, start).await
        }
        "acknowledged" => acknowledged(target, count, start).await,
        "forget" => forget(target, count, start).await,
        "idle" => idle(target, count, start).await,
        "rest" => rest(&target, count, start).await,
        "bare-rest" => bare_rest(&target, count, start).await,
        "token" => token(&target, count, start).await,
        "webhook" => webhook(target, start).await,
        "echo" => echo(start).await,
        other => bail!("there is no work `{other}`"),
    }
}

type Start = Lines<BufReader<Stdin>>;

/// Says that it is ready and waits for the start.
async fn ready(start: &mut Start) -> Result<()> {
    println!("ready");
    start.next_line().await?.context("the input ended")?;
    Ok(())
}

fn done() {
    println!("done");
}

async fn connect(url: String) -> Result<(WebPubSubClient, Events)> {
    Ok(WebPubSubClient::connect_with_events(url).await?)
}

async fn receive(
    url: String,
    subprotocol: Subprotocol,
    count: usize,
    mut start: Start,
) -> Result<()> {
    let client = WebPubSubClient::builder(url)
        .protocol(subprotocol)
        .build()?;
    let mut events = client.events();
    client.start().await?;
    ready(&mut start).await?;
    let mut received = 0;
    while received < count {
        match events.next().await.context("the events ended")? {
            Event::GroupMessage(_) => received += 1,
            Event::Disconnected { cause, .. } => bail!("disconnected: {cause}"),
            _ => {}
        }
    }
    done();
    client.stop().await;
    Ok(())
}

async fn acknowledged(url: String, count: usize, mut start: Start) -> Result<()> {
    let (client, events) = connect(url).await?;
    drop(events);
    ready(&mut start).await?;
    let text = "x".repeat(100);
    stream::iter(0..count)
        .map(|_| client.send_to_group(GROUP, text.as_str()).into_future())
        .buffer_unordered(FRAMES_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    done();
    client.stop().await;
    Ok(())
}

async fn forget(url: String, count: usize, mut start: Start) -> Result<()> {
    let (client, events) = connect(url).await?;
    drop(events);
    ready(&mut start).await?;
    let text = "x".repeat(100);
    let send = |_| {
        let send = client.send_to_group(GROUP, text.as_str());
        send.fire_and_forget().into_future()
    };
    stream::iter(0..count)
        .map(send)
        .buffer_unordered(FRAMES_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    done();
    // What was sent goes out before the input ends.
    start.next_line().await?;
    Ok(())
}

/// Opens many clients and keeps them until the input ends.
async fn idle(url: String, count: usize, mut start: Start) -> Result<()> {
    ready(&mut start).await?;
    let clients: Vec<_> = stream::iter(0..count)
        .map(|_| async {
            let client = WebPubSubClient::builder(url.clone()).build()?;
            let events = client.events_with(1 << 20, Overflow::DropOldest);
            client.start().await?;
            anyhow::Ok((client, events))
        })
        .buffer_unordered(FRAMES_IN_FLIGHT)
        .try_collect()
        .await?;
    done();
    start.next_line().await?;
    drop(clients);
    Ok(())
}

async fn rest(connection_string: &str, count: usize, mut start: Start) -> Result<()> {
    let client = WebPubSubServiceClient::from_connection_string(connection_string, HUB)?;
    client.send_to_all("warm").await?;
    ready(&mut start).await?;
    let text = "x".repeat(100);
    stream::iter(0..count)
        .map(|_| client.send_to_all(text.as_str()).into_future())
        .buffer_unordered(CALLS_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    done();
    Ok(())
}

/// The same request without anything that a service client does: its URL, type and token are made once.
async fn bare_rest(url: &str, count: usize, mut start: Start) -> Result<()> {
    let client = reqwest::Client::new();
    let text = "x".repeat(100);
    let token = "x".repeat(200);
    let send = || {
        client
            .post(url)
            .header("content-type", "text/plain")
            .bearer_auth(&token)
            .body(text.clone())
            .send()
    };
    send().await?;
    ready(&mut start).await?;
    stream::iter(0..count)
        .map(|_| async { send().await?.error_for_status()?.bytes().await })
        .buffer_unordered(CALLS_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    done();
    Ok(())
}

async fn token(connection_string: &str, count: usize, mut start: Start) -> Result<()> {
    let client = WebPubSubServiceClient::from_connection_string(connection_string, HUB)?;
    ready(&mut start).await?;
    for _ in 0..count {
        let access = client
            .client_access_token()
            .user_id("ana")
            .role("webpubsub.sendToGroup.room")
            .group("room")
            .await?;
        std::hint::black_box(access);
    }
    done();
    Ok(())
}

async fn webhook(key: String, mut start: Start) -> Result<()> {
    let handler = WebPubSubEventHandler::builder(HUB)
        .access_key(key)
        .on_any_user_event(async |request: UserEventRequest<String>| {
            UserEventResponse::success(request.data)
        })
        .build()?;
    serve(Router::new().layer(handler.clone()), &mut start).await
}

async fn echo(mut start: Start) -> Result<()> {
    serve(Router::new().fallback(async |body: Bytes| body), &mut start).await
}

async fn serve(app: Router, start: &mut Start) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        served = async { axum::serve(listener, app).await } => served?,
        ended = start.next_line() => drop(ended?),
    }
    Ok(())
}
