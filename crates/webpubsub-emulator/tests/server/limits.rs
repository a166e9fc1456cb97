//! Clients that take without giving: silence, slow heads, large heads.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use webpubsub_emulator::Emulator;

use crate::support::http::exchange;

/// How long a test waits for what must happen.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const HEALTH: &[u8] = b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What the server sends until it closes the connection.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer));
    // A reset is as good as an end here.
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8(answer).unwrap()
}

async fn connect(address: SocketAddr, start: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start).await.unwrap();
    stream
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let emulator = Emulator::builder()
        .header_read_timeout(Duration::from_millis(50))
        .start()
        .await
        .unwrap();
    let address = emulator.addresses()[0];
    for start in [
        &b""[..],
        b"HEAD /api/health HTTP/1.1\r\n",
        b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nA: ",
    ] {
        let answer = rest_of(&mut connect(address, start).await).await;
        assert_eq!(answer, "", "{start:?}");
    }
    // Also between two requests.
    let mut stream = connect(
        address,
        b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert!(rest_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn clients_that_all_connect_before_they_speak_are_all_served() {
    let emulator = Emulator::builder()
        .max_pending_connections(4)
        .start()
        .await
        .unwrap();
    let address = emulator.addresses()[0];
    let silent = join_all((0..300).map(|_| connect(address, b""))).await;
    let answers = silent.into_iter().map(|mut stream| async move {
        stream.write_all(HEALTH).await.unwrap();
        rest_of(&mut stream).await
    });
    for answer in join_all(answers).await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
}

// Time passes as soon as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_that_had_its_time_gives_way_to_one_that_speaks() {
    let emulator = Emulator::builder()
        .max_pending_connections(1)
        .start()
        .await
        .unwrap();
    let address = emulator.addresses()[0];
    // One that has spoken keeps its place, whatever comes after.
    let mut kept = connect(
        address,
        b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    let mut status = [0; 12];
    kept.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut silent = connect(address, b"HEAD / HTTP/1.1\r\n").await;
    let reply = exchange(address, HEALTH).await.expect("an answer");
    assert_eq!(reply.status, 200);
    assert_eq!(rest_of(&mut silent).await, "");
    kept.write_all(HEALTH).await.unwrap();
    assert!(rest_of(&mut kept).await.contains("HTTP/1.1 200 "));
}

#[tokio::test]
async fn large_heads_are_refused() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.addresses()[0];
    let long = "a".repeat(200_000);
    let many = "a: b\r\n".repeat(200);
    for (request, status) in [
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                &long[..70_000]
            ),
            414,
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\na: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
            431,
        ),
    ] {
        let reply = exchange(address, request.as_bytes())
            .await
            .expect("an answer");
        assert_eq!(reply.status, status, "{}", &request[..40]);
    }
    // As large as a client token with many roles may be.
    let large = format!(
        "HEAD /api/health?{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\na: {}\r\n\r\n",
        "a".repeat(60_000),
        "a".repeat(60_000)
    );
    let reply = exchange(address, large.as_bytes())
        .await
        .expect("an answer");
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_client_that_has_said_everything_still_gets_its_answer() {
    let emulator = Emulator::start().await.unwrap();
    let health = b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = connect(emulator.addresses()[0], health).await;
    stream.shutdown().await.unwrap();
    assert!(rest_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    // One that breaks off in the middle gets none, and holds nothing up.
    let mut stream = connect(emulator.addresses()[0], &health[..20]).await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest_of(&mut stream).await, "");
}
