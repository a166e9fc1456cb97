//! What clients must not send: each gets the close of the reference, the others notice nothing.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::Emulator;

use super::{PATIENCE, emulator, json_client};

const MALFORMED: &str = "The client message is not a valid JSON protocol message.";

/// Every malformed frame of the vectors, once.
fn malformed_frames() -> Vec<(String, String)> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../spec/vectors/json-frames.json"
    );
    let text = std::fs::read_to_string(file).expect("the vectors are there");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    let malformed = vectors
        .iter()
        .filter(|vector| vector["direction"] == "up" && vector["expect"]["malformed"] == true);
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    malformed
        .map(|vector| (text(&vector["name"]), text(&vector["text"])))
        .collect()
}

#[tokio::test]
async fn malformed_frames_close_with_1007_and_nobody_else_notices() {
    // req: S-4-4, S-8-5, S-8-10, S-8-13, S-4-14
    let emulator = emulator().await;
    let mut witness = json_client(&emulator, "witness").await;
    let frames = malformed_frames();
    assert!(frames.len() >= 60);
    for (name, frame) in frames {
        let mut client = json_client(&emulator, "bad").await;
        client.say(&frame).await;
        assert_eq!(
            client.closed().await,
            (1007, MALFORMED.to_owned()),
            "{name}"
        );
    }
    witness.say(r#"{"type":"ping"}"#).await;
    assert_eq!(witness.text().await, r#"{"type":"pong"}"#);
    tokio::time::timeout(
        PATIENCE,
        emulator.wait_until(|state| state.connections("chat") == 1),
    )
    .await
    .expect("the others are gone");
}

#[tokio::test]
async fn wrong_kinds_and_sizes_have_their_own_codes() {
    // req: S-1-23, S-8-9, S-8-12, S-13-1
    let emulator = emulator().await;
    let mut client = json_client(&emulator, "binary").await;
    client
        .send(Message::binary(br#"{"type":"ping"}"#.to_vec()))
        .await;
    let text_only = "The JSON subprotocol requires text messages.";
    assert_eq!(client.closed().await, (1003, text_only.to_owned()));

    let frame = |size: usize| {
        let head = r#"{"type":"ping","pad":""#;
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    let mut client = json_client(&emulator, "large").await;
    client.say(&frame(1 << 20)).await;
    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
    client.say(&frame((1 << 20) + 1)).await;
    assert_eq!(
        client.closed().await,
        (1009, "The client message is too large.".to_owned())
    );
}

#[tokio::test]
async fn broken_websocket_frames_have_their_own_codes() {
    // req: S-8-7, S-8-8
    let emulator = emulator().await;
    let masked = |opcode: u8, payload: &[u8]| {
        let mut frame = vec![
            opcode,
            0x80 | u8::try_from(payload.len()).expect("short"),
            0,
            0,
            0,
            0,
        ];
        frame.extend_from_slice(payload);
        frame
    };
    for (name, bytes, code) in [
        ("reserved bits", masked(0xf1, b"{}"), 1002),
        ("reserved opcode", masked(0x83, b"{}"), 1002),
        ("unmasked", vec![0x81, 2, b'{', b'}'], 1002),
        ("fragmented ping", masked(0x09, b""), 1002),
        ("continuation of nothing", masked(0x80, b"{}"), 1002),
        ("invalid UTF-8", masked(0x81, b"\xff\xfe"), 1007),
    ] {
        let (mut stream, _) = raw_socket(&emulator).await;
        stream.write_all(&bytes).await.expect("sent");
        let (got, reason) = close_frame(&mut stream).await;
        assert_eq!(
            (got, reason.as_str()),
            (code, "The client frame is invalid."),
            "{name}"
        );
    }
}

/// A socket that was upgraded by hand, and the head of the answer.
async fn raw_socket(emulator: &Emulator) -> (TcpStream, String) {
    let url = emulator.client_access_url("chat", "raw", &[]);
    open_by_hand(emulator, &url, super::JSON).await
}

async fn open_by_hand(emulator: &Emulator, url: &str, offer: &str) -> (TcpStream, String) {
    let authority = emulator.endpoint().trim_start_matches("http://");
    let path = url.split_once(authority).expect("our own URL").1;
    let mut stream = TcpStream::connect(emulator.addresses()[0])
        .await
        .expect("listening");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: {offer}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(byte(&mut stream).await);
    }
    (stream, String::from_utf8(answer).expect("ASCII"))
}

/// The head of the answer to an upgrade whose offer tungstenite's client would not accept.
pub(super) async fn upgrade_by_hand(emulator: &Emulator, url: &str, offer: &str) -> String {
    open_by_hand(emulator, url, offer).await.1
}

async fn byte(stream: &mut TcpStream) -> u8 {
    let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
    read.expect("in time").expect("more bytes")
}

/// Reads short frames until the close frame.
async fn close_frame(stream: &mut TcpStream) -> (u16, String) {
    loop {
        let opcode = byte(stream).await;
        let mut length = usize::from(byte(stream).await);
        if length == 126 {
            length = usize::from(byte(stream).await) << 8 | usize::from(byte(stream).await);
        }
        let mut payload = vec![0; length];
        stream
            .read_exact(&mut payload)
            .await
            .expect("a whole frame");
        if opcode == 0x88 {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (
                code,
                String::from_utf8(payload.split_off(2)).expect("UTF-8"),
            );
        }
    }
}
