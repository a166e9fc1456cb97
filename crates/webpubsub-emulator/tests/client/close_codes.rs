//! The table of close codes: one row for each row of the reference.

use std::time::Duration;

use webpubsub_emulator::{Emulator, EmulatorBuilder, Limit};

use super::TEST_TIMEOUT;
use super::closing::Rest;
use super::raw::{RawFrame, RawSocket, Received};

const JSON: Option<&str> = Some("json.webpubsub.azure.v1");
const RELIABLE: Option<&str> = Some("json.reliable.webpubsub.azure.v1");
const PROTOBUF: Option<&str> = Some("protobuf.webpubsub.azure.v1");
const SIMPLE: Option<&str> = None;

/// What leads to the close.
enum Cause {
    /// The client sends a frame of this opcode.
    Frame(u8, Vec<u8>),
    /// A REST call closes all connections.
    RestClose,
    /// REST sends so many messages of so many bytes.
    RestSends(usize, usize),
    /// REST sends so many messages, of which nobody acknowledges the first two for 5 s.
    Unacknowledged(usize),
    Shutdown,
}

struct Row {
    name: &'static str,
    subprotocol: Option<&'static str>,
    /// Added to the URL.
    query: &'static str,
    builder: fn(EmulatorBuilder) -> EmulatorBuilder,
    cause: Cause,
    code: u16,
    reason: &'static str,
    /// The text of the `disconnected` frame before the close.
    disconnected: Option<&'static str>,
}

const fn row(
    name: &'static str,
    subprotocol: Option<&'static str>,
    cause: Cause,
    code: u16,
    reason: &'static str,
) -> Row {
    Row {
        name,
        subprotocol,
        query: "",
        builder: |builder| builder,
        cause,
        code,
        reason,
        disconnected: None,
    }
}

fn text(text: &str) -> Cause {
    Cause::Frame(1, text.as_bytes().to_vec())
}

fn table() -> Vec<Row> {
    const QUEUE: &str = "The outbound message queue is full.";
    const REPLAY: &str = "The reliable message buffer is full.";
    const INVALID: &str = "The client frame is invalid.";
    const LARGE: &str = "The client message is too large.";
    let oversized = || Cause::Frame(2, vec![0; (1 << 20) + 1]);
    vec![
        row(
            "own close",
            JSON,
            Cause::Frame(8, b"\x03\xe8done".into()),
            1000,
            "done",
        ),
        row(
            "own close, simple",
            SIMPLE,
            Cause::Frame(8, b"\x03\xe8".into()),
            1000,
            "",
        ),
        Row {
            disconnected: Some("Application server closed the connection. Reason: bye"),
            ..row("REST close", JSON, Cause::RestClose, 1000, "")
        },
        row("REST close, simple", SIMPLE, Cause::RestClose, 1000, ""),
        Row {
            disconnected: Some("Service reload"),
            ..row("service going away", RELIABLE, Cause::Shutdown, 1001, "")
        },
        row(
            "service going away, simple",
            SIMPLE,
            Cause::Shutdown,
            1001,
            "",
        ),
        row(
            "broken frame",
            JSON,
            Cause::Frame(3, Vec::new()),
            1002,
            INVALID,
        ),
        row(
            "invalid UTF-8",
            JSON,
            Cause::Frame(1, vec![0xff]),
            1007,
            INVALID,
        ),
        row(
            "binary on JSON",
            JSON,
            Cause::Frame(2, b"{}".into()),
            1003,
            "The JSON subprotocol requires text messages.",
        ),
        row(
            "text on protobuf",
            PROTOBUF,
            text("{}"),
            1003,
            "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.",
        ),
        row(
            "malformed JSON",
            RELIABLE,
            text("{}"),
            1007,
            "The client message is not a valid JSON protocol message.",
        ),
        row(
            "malformed protobuf",
            PROTOBUF,
            Cause::Frame(2, Vec::new()),
            1007,
            "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.",
        ),
        Row {
            query: "&awps_connection_id=nobody",
            ..row(
                "recovery refused",
                RELIABLE,
                // Nothing has to be sent: the close comes by itself.
                Cause::RestSends(0, 0),
                1008,
                "The connection could not be recovered.",
            )
        },
        Row {
            query: "&webpubsub_mode=sendToGroup&group=secret",
            ..row(
                "raw send without permission",
                SIMPLE,
                text("x"),
                1008,
                "The connection is not authorized for raw sendToGroup mode.",
            )
        },
        Row {
            builder: |builder| builder.manual_clock().limit(Limit::ReplayMessages, 2),
            disconnected: Some(REPLAY),
            ..row(
                "buffer overflow",
                RELIABLE,
                Cause::Unacknowledged(3),
                1008,
                REPLAY,
            )
        },
        Row {
            builder: |builder| builder.limit(Limit::OutboxBytes, 4096),
            disconnected: Some(QUEUE),
            ..row(
                "queue overflow",
                JSON,
                Cause::RestSends(1, 5000),
                1008,
                QUEUE,
            )
        },
        Row {
            builder: |builder| builder.limit(Limit::OutboxBytes, 4096),
            ..row(
                "queue overflow, simple",
                SIMPLE,
                Cause::RestSends(1, 5000),
                1008,
                QUEUE,
            )
        },
        row("too large", PROTOBUF, oversized(), 1009, LARGE),
        row("too large, simple", SIMPLE, oversized(), 1009, LARGE),
        row(
            "raw event failed",
            SIMPLE,
            text("x"),
            1011,
            "Internal server error",
        ),
    ]
}

#[tokio::test]
async fn every_close_has_its_code_and_reason() {
    // req: S-8-2, S-8-3, S-8-4, S-8-5
    for row in table() {
        let emulator = (row.builder)(Emulator::builder()).start().await;
        let emulator = emulator.expect("the emulator starts");
        let url = emulator.client_access_url("chat", "ana", &[]) + row.query;
        let mut socket = RawSocket::open(&emulator, &url, row.subprotocol).await;
        match &row.cause {
            Cause::Frame(opcode, payload) => {
                let frame = RawFrame {
                    opcode: *opcode,
                    last: true,
                    reserved: 0,
                    masked: true,
                    payload: payload.clone(),
                };
                socket.send(&frame.into_bytes()).await.expect(row.name);
                assert_closed(&mut socket, &row).await;
            }
            Cause::RestClose => {
                let path = "/api/hubs/chat/:closeConnections?reason=bye&api-version=2024-12-01";
                assert_eq!(Rest::of(&emulator).send(path, "").await, 204);
                assert_closed(&mut socket, &row).await;
            }
            Cause::RestSends(messages, bytes) => {
                let rest = Rest::of(&emulator);
                for _ in 0..*messages {
                    let sent = rest.send("/api/hubs/chat/:send", &"x".repeat(*bytes)).await;
                    assert_eq!(sent, 202, "{}", row.name);
                }
                assert_closed(&mut socket, &row).await;
            }
            Cause::Unacknowledged(messages) => {
                let rest = Rest::of(&emulator);
                let sends = async {
                    for _ in 0..*messages {
                        let sent = rest.send("/api/hubs/chat/:send", "x").await;
                        assert_eq!(sent, 202, "{}", row.name);
                    }
                };
                let reads = async {
                    for _ in ["connected", "x", "x"] {
                        socket.next().await.expect(row.name);
                    }
                    emulator.clock().advance(Duration::from_secs(5));
                };
                tokio::join!(sends, reads);
                assert_closed(&mut socket, &row).await;
            }
            Cause::Shutdown => {
                let closed = async {
                    assert_closed(&mut socket, &row).await;
                    drop(socket);
                };
                let both = async { tokio::join!(emulator.shutdown(), closed) };
                tokio::time::timeout(TEST_TIMEOUT, both)
                    .await
                    .expect("an end");
            }
        }
    }
}

/// Reads to the close: the frame before it is `disconnected` where there is one.
async fn assert_closed(socket: &mut RawSocket, row: &Row) {
    let mut last = None;
    let close = loop {
        match socket.next().await.expect(row.name) {
            Received::Close(close) => break close,
            Received::Text(text) => last = Some(text),
            Received::Binary(_) => last = None,
        }
    };
    assert_eq!(
        close,
        Some((row.code, row.reason.to_owned())),
        "{}",
        row.name
    );
    let disconnected = last.filter(|text| text.contains(r#""event":"disconnected""#));
    let expected = row
        .disconnected
        .map(|text| format!(r#"{{"type":"system","event":"disconnected","message":"{text}"}}"#));
    assert_eq!(disconnected, expected, "{}", row.name);
}
