//! A clock that follows the machine and is moved forward: whatever waits notices, and nobody has to wait for real.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use webpubsub_emulator::Emulator;

use super::closing::Rest;
use super::recovery::{recover, reliable};
use super::{Client, TEST_TIMEOUT, emulator, json_client, refusal, request};

/// Hangs up in a way that lets a reliable client come back.
async fn go_away(client: &mut Client) {
    let close = CloseFrame {
        code: 1001.into(),
        reason: "".into(),
    };
    client.send(Message::Close(Some(close))).await;
    client.closed().await;
}

async fn all_gone(emulator: &Emulator) {
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("gone");
}

#[tokio::test]
async fn sockets_are_pinged_and_idle_streams_end() {
    let emulator = emulator().await;
    let mut client = json_client(&emulator, "ana").await;
    client
        .say(
            r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":30000}}"#,
        )
        .await;
    client.say(r#"{"type":"ping"}"#).await;
    while !client.text().await.contains("pong") {}
    emulator.clock().advance(Duration::from_secs(30));
    let (mut is_pinged, mut has_ended) = (false, false);
    while !(is_pinged && has_ended) {
        let next = tokio::time::timeout(TEST_TIMEOUT, client.socket.next()).await;
        match next.expect("in time").expect("open").expect("a frame") {
            Message::Ping(_) => is_pinged = true,
            Message::Text(text) => has_ended |= text.contains("IdleTimeout"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn recovery_windows_close() {
    let emulator = emulator().await;
    let (mut client, _) = reliable(&emulator).await;
    go_away(&mut client).await;
    emulator.clock().advance(Duration::from_secs(30));
    all_gone(&emulator).await;
}

#[tokio::test]
async fn messages_expire() {
    let emulator = emulator().await;
    let (mut client, session) = reliable(&emulator).await;
    go_away(&mut client).await;
    for (ttl, text) in [(10, "short"), (300, "long")] {
        let path = format!("/api/hubs/chat/:send?messageTtlSeconds={ttl}&api-version=2024-12-01");
        assert_eq!(Rest::of(&emulator).send(&path, text).await, 202);
    }
    emulator.clock().advance(Duration::from_secs(10));
    let mut client = recover(&emulator, &session).await;
    assert!(client.text().await.contains("connected"));
    assert!(client.text().await.contains("long"));
}

#[tokio::test]
async fn tokens_expire() {
    let emulator = emulator().await;
    let url = emulator.client_access_url("chat", "ana", &[]);
    drop(Client::open(request(&url, None)).await);
    emulator.clock().advance(Duration::from_secs(66 * 60));
    assert_eq!(refusal(request(&url, None)).await.0, 401);
}
