//! How an emulator ends, and what its clients see of it.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::ClientTokenOptions;

use crate::support::World;

/// How long a test waits for what must happen.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn shutdown_tells_clients_why() {
    let world = World::start().await;
    let mut subprotocol = world.client("chat", ClientTokenOptions::default()).await;
    let mut simple = world.simple("chat", ClientTokenOptions::default()).await;
    let address = world.address;
    // Takes the clients along, so that they hang up once they have seen it all.
    let clients = async move {
        let disconnected = subprotocol.json().await;
        assert_eq!(disconnected["event"], "disconnected", "{disconnected}");
        assert_eq!(disconnected["message"], "Service reload", "{disconnected}");
        for client in [&mut subprotocol, &mut simple] {
            let close = client.closed().await.expect("a close frame");
            assert_eq!(close.code, CloseCode::Away);
        }
    };
    tokio::join!(world.emulator.shutdown(), clients);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_never_answers() {
    // The emulator's clock stands still, so only the machine's time can end this.
    let emulator = Emulator::builder().manual_clock().start().await.unwrap();
    let url = emulator.client_access_url("chat", "ana", &[]);
    let (mut deaf, _) = connect_async(url).await.unwrap();
    // From here on it passes when nothing else is left to do.
    tokio::time::pause();
    tokio::time::timeout(TEST_TIMEOUT, emulator.shutdown())
        .await
        .expect("an end although the close handshake has none");
    // It was told nevertheless.
    match deaf.next().await {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
        other => panic!("expected a close frame, got {other:?}"),
    }
}

#[tokio::test]
async fn shutdown_waits_for_requests_and_closes_idle_connections() {
    let world = World::start().await;
    let head = |length: usize| {
        let token = world.token_for("/api/hubs/chat/:send");
        format!(
            "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n",
            world.address
        )
    };
    // Has begun a request, which nobody can finish in time.
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    let mut busy = TcpStream::connect(world.address).await.unwrap();
    let mut status = [0; 12];
    idle.write_all(format!("{}hello", head(5)).as_bytes())
        .await
        .unwrap();
    idle.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 202");
    // The counter shows that the request has arrived; its body has not.
    busy.write_all(format!("{}hel", head(5)).as_bytes())
        .await
        .unwrap();
    while world.emulator.counts().requests < 2 {
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    let rest = async {
        // Both idle connections end although the busy one goes on.
        for mut stream in [silent, idle] {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        busy.write_all(b"lo").await.unwrap();
        busy.read_to_string(&mut answer).await.unwrap();
    };
    let both = async { tokio::join!(world.emulator.shutdown(), rest) };
    tokio::time::timeout(TEST_TIMEOUT, both)
        .await
        .expect("the end of all connections");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn a_drop_stops_without_waiting() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.addresses()[0];
    let (mut socket, _) = connect_async(emulator.client_access_url("chat", "ana", &[]))
        .await
        .unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    drop(emulator);
    let ends = async {
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Away),
            other => panic!("expected a close frame, got {other:?}"),
        }
        let _ = silent.read_to_end(&mut Vec::new()).await;
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, ends)
        .await
        .expect("the end of all connections");
}
