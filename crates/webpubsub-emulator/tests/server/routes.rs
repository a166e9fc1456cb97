//! Paths outside of REST and WebSocket, and what the traffic log shows of requests.

use futures_util::StreamExt as _;
use webpubsub_emulator::{Emulator, TrafficEvent};

use crate::server::{ask, health};

const LOCALHOST: &str = "Host: localhost\r\n";

#[tokio::test]
async fn unknown_paths_are_answered_with_help() {
    let emulator = Emulator::start().await.unwrap();
    for (request, status, code, hint) in [
        ("GET /", 404, "Error.NotFound", "/client/hubs/{hub}"),
        ("GET /favicon.ico", 404, "Error.NotFound", "/api/health"),
        ("OPTIONS *", 404, "Error.NotFound", "/api/hubs/{hub}"),
        ("GET /clients/mqtt/hubs/chat", 501, "NotImplemented", "MQTT"),
        (
            "GET /clients/socketio/hubs/chat",
            501,
            "NotImplemented",
            "Socket.IO",
        ),
    ] {
        let reply = ask(&emulator, request, LOCALHOST).await;
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.header("x-ms-error-code"), Some(code));
        assert_eq!(reply.json()["code"], code);
        assert!(reply.message().contains(hint), "{reply:?}");
    }
}

#[tokio::test]
async fn requests_are_counted_and_logged_without_their_query() {
    let emulator = Emulator::start().await.unwrap();
    health(&emulator, LOCALHOST).await;
    let mut traffic = emulator.traffic();
    ask(
        &emulator,
        "GET /client/hubs/chat?access_token=sEcReT",
        LOCALHOST,
    )
    .await;
    health(&emulator, "Host: evil.example\r\n").await;
    health(&emulator, LOCALHOST).await;
    for expected in [
        ("GET", "/client/hubs/chat", None, Some(400)),
        ("HEAD", "/api/health", None, Some(421)),
        (
            "HEAD",
            "/api/health",
            Some("HealthApi_GetServiceStatus"),
            Some(200),
        ),
    ] {
        let entry = traffic.next().await.expect("an entry");
        let TrafficEvent::Request {
            method,
            path,
            operation,
            status,
            ..
        } = entry.event.clone()
        else {
            panic!("no request")
        };
        let request = (method.as_str(), path.as_str(), operation, status);
        assert_eq!(request, expected);
    }
    assert_eq!(emulator.counts().requests, 4);
}
