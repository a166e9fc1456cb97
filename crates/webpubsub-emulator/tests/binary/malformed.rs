//! Bytes that no client should send. The program answers or hangs up, and goes on.

use std::time::SystemTime;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, connect};
use webpubsub_protocol::access::{AccessKey, ClientTokenOptions, sign_client_token};

use crate::binary::process::Running;

const KEY: &str = "an own key for malformed frames, long enough";

#[test]
fn malformed_bytes_are_answered_without_a_panic() {
    let running = Running::start(&["--json"], &[]);
    let long = "x".repeat(200_000);
    let bad_upgrade = "GET /client/hubs/chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let table: Vec<Vec<u8>> = [
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        "GET",
        "GET /",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET \u{0} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /%zz/%/%f HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //////// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/hubs/../../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://localhost:99999/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\na: \u{0}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost:port\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nshort",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nExpect: the unexpected\r\nContent-Length: 0\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a.b.c\r\nContent-Length: 0\r\n\r\n",
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: localhost\r\nAuthorization: \u{e9}\r\nContent-Length: 0\r\n\r\n",
        "GET /api/hubs/chat/:send?api-version=%00&filter=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &format!("{bad_upgrade}\r\n"),
        &format!("{bad_upgrade}Sec-WebSocket-Version: 13\r\n\r\n"),
        &format!("{bad_upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"),
        &format!("{bad_upgrade}Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
        &format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        &format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n"),
        &format!("{long} / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        &format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(5000)),
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n\u{0}\u{0}",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        vec![0; 10_000],
        vec![0xff; 10_000],
        // The start of a TLS handshake, as of a client that was given `https`.
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        b"GET /api/hubs/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n".to_vec(),
        (0..=255).collect(),
    ])
    .collect();
    for bytes in &table {
        let answer = running.exchange(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        let status = answer
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5));
        match status {
            Some(status) => assert!(
                status.starts_with('4') || matches!(status, "505"),
                "{shown:?}: {answer}"
            ),
            None => assert_eq!(answer, "", "{shown:?}"),
        }
    }
    let health = b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = running.exchange(health);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the program follows the machine's time"
)]
fn malformed_frames_close_without_a_panic_and_show_no_secret() {
    let variables = [
        ("WEBPUBSUB_EMULATOR_ACCESS_KEY", KEY),
        ("WEBPUBSUB_EMULATOR_LOG", "trace"),
    ];
    let running = Running::start(&["--json"], &variables);
    let endpoint = format!("http://{}/", running.address).parse().unwrap();
    let options = ClientTokenOptions::default();
    let key = AccessKey::new(KEY);
    let access = sign_client_token(&endpoint, "chat", &key, &options, SystemTime::now());

    let file: Value = serde_json::from_str(include_str!("../vectors/json-frames.json")).unwrap();
    let malformed =
        |vector: &&Value| vector["direction"] == "up" && vector["expect"]["malformed"] == true;
    let vectors = file["vectors"].as_array().unwrap().iter();
    let frames: Vec<_> = vectors
        .filter(malformed)
        .map(|vector| ("json", Message::text(vector["text"].as_str().unwrap())))
        .chain(
            [&b""[..], b"\xff", b"\x32\x00", b"\x0a\x06\x0a\x04room"]
                .map(|bytes| ("protobuf", Message::binary(bytes.to_vec()))),
        )
        .collect();
    assert!(frames.len() > 100);

    for (form, frame) in frames {
        for variant in ["", ".reliable"] {
            let mut request = access.url().into_client_request().unwrap();
            let name = format!("{form}{variant}.webpubsub.azure.v1");
            let name = name.parse().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", name);
            let (mut socket, _) = connect(request).unwrap();
            socket.read().expect("the connected frame");
            socket.send(frame.clone()).unwrap();
            match socket.read() {
                Ok(Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 1007),
                other => panic!("{frame:?}: {other:?}"),
            }
        }
    }
    let ended = running.stop();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    for secret in [KEY, access.token().as_str()] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}
