//! Names under which the emulator answers, and what web pages of others can do.

use webpubsub_emulator::Emulator;

use crate::server::{ask, health};
use crate::support::Reply;

const OWN_KEY: &str = "a key of our own, long enough to be used";

#[track_caller]
fn assert_misdirected(reply: &Reply, hint: &str) {
    assert_eq!(reply.status, 421, "{reply:?}");
    assert_eq!(
        reply.header("x-ms-error-code"),
        Some("Error.MisdirectedRequest")
    );
    assert!(reply.message().contains(hint), "{reply:?}");
}

#[tokio::test]
async fn loopback_serves_its_own_names_only() {
    let emulator = Emulator::start().await.unwrap();
    let port = emulator.addresses()[0].port();
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"] {
        for host in [format!("{host}:{port}"), host.to_owned()] {
            let reply = health(&emulator, &format!("Host: {host}\r\n")).await;
            assert_eq!(reply.status, 200, "{host}");
        }
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "192.168.0.5",
        "user@localhost",
    ] {
        for path in [
            "/api/health",
            "/client/hubs/chat",
            "/",
            "/api/hubs/chat/:send",
        ] {
            let reply = ask(
                &emulator,
                &format!("GET {path}"),
                &format!("Host: {host}:{port}\r\n"),
            )
            .await;
            assert_misdirected(&reply, "");
        }
    }
    let forwarded =
        "Host: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n";
    let reply = ask(&emulator, "GET /api/health", forwarded).await;
    assert_misdirected(&reply, "`--public-endpoint http://evil.example`");
}

#[tokio::test]
async fn the_host_comes_once_and_agrees_with_the_target() {
    let emulator = Emulator::start().await.unwrap();
    let localhost = "Host: localhost\r\n";
    for (request, head, hint) in [
        ("GET /", "", "no Host header"),
        (
            "GET /",
            "Host: localhost\r\nHost: localhost\r\n",
            "more than one Host",
        ),
        (
            "GET /",
            "Host: localhost\r\nhost: evil.example\r\n",
            "more than one Host",
        ),
        ("GET /", "Host:\r\n", "not a host"),
        ("GET /", "Host: local host\r\n", "not a host"),
        ("GET /", "Host: l\u{f6}calhost\r\n", "not a host"),
        (
            "GET http://evil.example/api/health",
            localhost,
            "another host",
        ),
        (
            "GET http://localhost:1/api/health",
            localhost,
            "another host",
        ),
        ("CONNECT evil.example:443", localhost, "another host"),
    ] {
        assert_misdirected(&ask(&emulator, request, head).await, hint);
    }
    let same = ask(&emulator, "HEAD http://localhost/api/health", localhost).await;
    assert_eq!(same.status, 200);
}

#[tokio::test]
async fn public_endpoints_are_served() {
    let emulator = Emulator::builder()
        .public_endpoint("https://pubsub.example.com")
        .public_endpoint("http://emulator:9000")
        .start()
        .await
        .unwrap();
    for (host, status) in [
        ("pubsub.example.com", 200),
        ("emulator:9000", 200),
        ("localhost", 200),
        ("example.com", 421),
    ] {
        let reply = health(&emulator, &format!("Host: {host}\r\n")).await;
        assert_eq!(reply.status, status, "{host}");
    }
}

#[tokio::test]
async fn other_addresses_serve_any_host_with_an_own_key_only() {
    let own = Emulator::builder().host("0.0.0.0").access_key(OWN_KEY);
    let own = own.start().await.unwrap();
    let well_known = Emulator::builder()
        .host("0.0.0.0")
        .allow_well_known_key(true);
    let well_known = well_known.start().await.unwrap();
    assert!(own.endpoint().starts_with("http://localhost:"));
    for (host, expected) in [
        ("emulator:8080", 421),
        ("192.168.0.5", 200),
        ("localhost:9000", 200),
    ] {
        let head = format!("Host: {host}\r\n");
        assert_eq!(health(&own, &head).await.status, 200, "{host}");
        assert_eq!(health(&well_known, &head).await.status, expected, "{host}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_get_no_permission() {
    let emulator = Emulator::start().await.unwrap();
    for path in [
        "/api/health",
        "/api/hubs/chat/:send",
        "/client/hubs/chat",
        "/",
    ] {
        for method in ["OPTIONS", "GET", "HEAD", "POST"] {
            let head = "Host: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                        Access-Control-Request-Headers: authorization\r\nContent-Length: 0\r\n";
            let reply = ask(&emulator, &format!("{method} {path}"), head).await;
            let cors = reply
                .headers
                .iter()
                .find(|(name, _)| name.to_ascii_lowercase().starts_with("access-control"));
            assert_eq!(cors, None, "{method} {path}");
            if method == "OPTIONS" {
                assert!(reply.status >= 400, "{path}: {reply:?}");
            }
        }
    }
}
