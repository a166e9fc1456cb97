//! How connections end.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::{ConnectionString, sign_rest_token};

use super::raw::{RawFrame, RawSocket, Received};
use super::{Client, TEST_TIMEOUT, emulator, json_client, request};

/// REST calls, signed as the official packages do it.
pub(super) struct Rest {
    connection: ConnectionString,
    http: reqwest::Client,
}

impl Rest {
    pub(super) fn of(emulator: &Emulator) -> Self {
        let connection = emulator.connection_string().parse().expect("ours");
        Self {
            connection,
            http: reqwest::Client::new(),
        }
    }

    pub(super) async fn put(&self, path: &str) -> u16 {
        self.call(reqwest::Method::PUT, path, "").await
    }

    /// Sends text to a hub, a group, a user or a connection.
    pub(super) async fn send(&self, path: &str, text: &str) -> u16 {
        self.call(reqwest::Method::POST, path, text).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tokens are checked against the machine's clock"
    )]
    async fn call(&self, method: reqwest::Method, path: &str, text: &str) -> u16 {
        let url = format!(
            "{}{}",
            self.connection.endpoint(),
            path.trim_start_matches('/')
        );
        let hour = Duration::from_secs(3600);
        let token = sign_rest_token(&url, self.connection.access_key(), hour, SystemTime::now());
        let sent = self
            .http
            .request(method, &url)
            .header("content-length", text.len())
            .header("content-type", "text/plain")
            .body(text.to_owned())
            .bearer_auth(token.as_str())
            .send();
        sent.await.expect("an answer").status().as_u16()
    }
}

#[tokio::test]
async fn a_close_by_rest_names_its_reason_in_the_last_frame() {
    // req: S-5-7, S-8-2, S-8-3
    let emulator = emulator().await;
    let mut json = json_client(&emulator, "u").await;
    let url = emulator.client_access_url("chat", "u", &[]);
    let mut simple = Client::open(request(&url, None)).await;
    let rest = Rest::of(&emulator);
    let path = "/api/hubs/chat/users/u/:closeConnections?reason=so%20long&api-version=2024-12-01";
    assert_eq!(rest.call(reqwest::Method::POST, path, "").await, 204);
    assert_eq!(
        emulator.state().connections("chat"),
        0,
        "gone when the call returns"
    );
    assert_eq!(
        json.text().await,
        r#"{"type":"system","event":"disconnected","message":"Application server closed the connection. Reason: so long"}"#
    );
    assert_eq!(json.closed().await, (1000, String::new()));
    assert_eq!(simple.closed().await, (1000, String::new()));
}

#[tokio::test]
async fn a_clients_own_close_is_answered() {
    for (code, reason) in [(1000, "done"), (1001, ""), (4242, "mine")] {
        let emulator = emulator().await;
        let mut client = json_client(&emulator, "u").await;
        let close = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        client.send(Message::Close(Some(close))).await;
        assert_eq!(client.closed().await, (code, reason.to_owned()));
        let gone = emulator.wait_until(|state| state.connections("chat") == 0);
        tokio::time::timeout(TEST_TIMEOUT, gone)
            .await
            .expect("gone");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_answered_with_1009_and_no_reset() {
    // req: S-8-2
    let emulator = emulator().await;
    let subprotocols = [
        (None, 1),
        (Some("json.webpubsub.azure.v1"), 1),
        (Some("json.reliable.webpubsub.azure.v1"), 1),
        (Some("protobuf.webpubsub.azure.v1"), 2),
        (Some("protobuf.reliable.webpubsub.azure.v1"), 2),
    ];
    // Just above the limit, above all that is read whole, and so large that most of it comes after the close.
    for size in [(1 << 20) + 1, 3 << 20, 6 << 20] {
        for (subprotocol, opcode) in subprotocols {
            let url = emulator.client_access_url("chat", "ana", &[]);
            let mut socket = RawSocket::open(&emulator, &url, subprotocol).await;
            let frame = |opcode, payload| RawFrame {
                opcode,
                last: true,
                reserved: 0,
                masked: true,
                payload,
            };
            let what = format!("{subprotocol:?}, {size} bytes");
            let large = frame(opcode, vec![b'x'; size]).into_bytes();
            socket.send(&large).await.expect(&what);
            let closed = loop {
                if let Received::Close(close) = socket.next().await.expect(&what) {
                    break close;
                }
            };
            let reason = "The client message is too large.".to_owned();
            assert_eq!(closed, Some((1009, reason)), "{what}");
            let answer = frame(8, b"\x03\xf1".to_vec()).into_bytes();
            socket.send(&answer).await.expect(&what);
            socket.end().await.expect(&what);
        }
    }
}

#[tokio::test]
async fn a_lost_socket_ends_the_connection() {
    let emulator = emulator().await;
    let client = json_client(&emulator, "u").await;
    drop(client);
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("gone");
}

#[tokio::test]
async fn shutdown_tells_clients_and_waits_for_them() {
    // req: S-8-4
    let emulator = emulator().await;
    let mut json = json_client(&emulator, "u").await;
    let url = emulator.client_access_url("news", None, &[]);
    let mut simple = Client::open(request(&url, None)).await;
    let clients = async {
        assert_eq!(
            json.text().await,
            r#"{"type":"system","event":"disconnected","message":"Service reload"}"#
        );
        assert_eq!(json.closed().await, (1001, String::new()));
        assert_eq!(simple.closed().await, (1001, String::new()));
        // Finish the handshake, so that nothing has to be waited for.
        while json.socket.next().await.is_some() {}
        while simple.socket.next().await.is_some() {}
    };
    let both = async { tokio::join!(emulator.shutdown(), clients) };
    tokio::time::timeout(TEST_TIMEOUT, both)
        .await
        .expect("an orderly end");
}

#[tokio::test]
async fn silence_is_taken_as_loss() {
    // req: S-8-1
    let emulator = Emulator::builder()
        .manual_clock()
        .start()
        .await
        .expect("a free port");
    let mut client = json_client(&emulator, "u").await;

    // A client that reads answers the pings, and stays.
    for _ in 0..6 {
        emulator.clock().advance(Duration::from_secs(20));
        let ping = tokio::time::timeout(TEST_TIMEOUT, client.socket.next()).await;
        assert!(matches!(ping, Ok(Some(Ok(Message::Ping(_))))), "{ping:?}");
        // Sends the pong that is queued, and makes sure that it arrived.
        client.say(r#"{"type":"ping"}"#).await;
        assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    }
    // One that does not is lost after 60 s of silence, not before. Each step waits until its ping
    // was written, since only then the next one is armed.
    for _ in 0..2 {
        emulator.clock().advance(Duration::from_secs(20));
        let ping = tokio::time::timeout(TEST_TIMEOUT, peek_ping(&mut client)).await;
        ping.expect("a ping");
        assert_eq!(emulator.state().connections("chat"), 1);
    }
    emulator.clock().advance(Duration::from_secs(20));
    let gone = emulator.wait_until(|state| state.connections("chat") == 0);
    tokio::time::timeout(TEST_TIMEOUT, gone)
        .await
        .expect("taken as lost");
}

/// Waits for a ping without answering it: the answer goes out with the next write or read only.
async fn peek_ping(client: &mut Client) {
    use tokio::io::AsyncReadExt as _;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = client.socket.get_mut() else {
        panic!("a plain socket");
    };
    let mut frame = [0; 2];
    stream.read_exact(&mut frame).await.expect("a ping");
    assert_eq!(frame, [0x89, 0]);
}
