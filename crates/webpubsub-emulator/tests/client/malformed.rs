//! What clients must not send, and what is just allowed: each row of the table gets the reaction of
//! the reference, and neither the emulator nor other clients notice.

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;
use webpubsub_emulator::Emulator;
use webpubsub_protocol::access::ClientTokenOptions;
use webpubsub_protocol::frame::{json, protobuf};

use super::raw::{RawFrame, RawSocket, Received};
use super::{Client, TEST_TIMEOUT, emulator, json_client};

/// `spec/vectors/malformed.json`; its README says what the members mean.
#[derive(Deserialize)]
struct Table {
    closes: Map<String, Value>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    on: Vec<Kind>,
    send: Vec<Sent>,
    expect: Reaction,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[serde(rename = "json")]
    Json,
    #[serde(rename = "json.reliable")]
    ReliableJson,
    #[serde(rename = "protobuf")]
    Protobuf,
    #[serde(rename = "protobuf.reliable")]
    ReliableProtobuf,
    #[serde(rename = "simple")]
    Simple,
}

/// A frame with its payload, or `bytes` past all framing.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Sent {
    text: Option<String>,
    binary: Option<String>,
    bytes: Option<String>,
    /// Each `~` stands for so many `x`.
    fill: Option<usize>,
    /// `~` stands for so many `[` and as many `]`.
    nest: Option<usize>,
    /// `~` stands for as many `x` as it takes to this many bytes; binary is filled up with zeros.
    size: Option<usize>,
    opcode: Option<u8>,
    #[serde(rename = "final")]
    last: Option<bool>,
    rsv: u8,
    masked: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaction {
    /// What is answered first.
    #[serde(default)]
    frames: Vec<Value>,
    /// The name of a close; without one the connection stays open.
    close: Option<String>,
}

#[tokio::test]
async fn every_row_gets_its_reaction_and_nobody_else_notices() {
    // req: S-1-10, S-1-23, S-3.1-6, S-3.1-7, S-4-4, S-4-14, S-4-16, S-8-5, S-8-7, S-8-8, S-9-2
    // req: S-8-9, S-8-10, S-8-11, S-8-12, S-8-13, S-9-4, S-9-5, S-10-6, S-12-5, S-12-6, S-12-7, S-13-1
    let emulator = emulator().await;
    let mut witness = json_client(&emulator, "witness").await;
    let health = reqwest::Client::new();
    let table = table();
    assert!(table.rows.len() >= 350, "{}", table.rows.len());
    let mut failures = Vec::new();
    for (number, row) in table.rows.iter().enumerate() {
        for kind in &row.on {
            let hub = format!("row{number}{kind:?}");
            if let Err(failure) = play(&emulator, &hub, *kind, row, &table.closes).await {
                failures.push(format!("{} on {kind:?}: {failure}", row.name));
            }
        }
        witness.say(r#"{"type":"ping"}"#).await;
        assert_eq!(witness.text().await, r#"{"type":"pong"}"#, "{}", row.name);
        let url = format!("{}/api/health", emulator.endpoint());
        let answer = health.head(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", row.name);
    }
    assert!(failures.is_empty(), "{:#?}", failures);
    assert_eq!(emulator.state().connections("chat"), 1, "the witness");
}

#[tokio::test]
async fn a_simple_client_in_event_mode_is_closed_without_a_handler() {
    let emulator = emulator().await;
    for message in [Message::text(""), Message::binary(vec![0xff])] {
        let url = emulator.client_access_url("chat", None, &[]);
        let mut client = Client::open(super::request(&url, None)).await;
        client.send(message).await;
        let failed = (1011, "Internal server error".to_owned());
        assert_eq!(client.closed().await, failed);
    }
}

/// The rows of all three files of vectors.
fn table() -> Table {
    let mut table: Table = read(include_str!("../vectors/malformed.json"));
    let frames: Value = read(include_str!("../vectors/json-frames.json"));
    for vector in vectors(&frames, "vectors") {
        if vector["direction"] != "up" || vector["expect"]["malformed"] != true {
            continue;
        }
        let on = vec![Kind::Json, Kind::ReliableJson];
        let sent = Sent {
            text: vector["text"].as_str().map(str::to_owned),
            ..Sent::default()
        };
        table.rows.push(Row::malformed(&vector["name"], on, sent));
    }
    let frames: Value = read(include_str!("../vectors/protobuf.json"));
    for vector in vectors(&frames, "refuse") {
        let on = vec![Kind::Protobuf, Kind::ReliableProtobuf];
        let sent = Sent {
            binary: vector["hex"].as_str().map(str::to_owned),
            ..Sent::default()
        };
        table.rows.push(Row::malformed(&vector["name"], on, sent));
    }
    table
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn vectors<'a>(file: &'a Value, list: &str) -> &'a Vec<Value> {
    file[list].as_array().expect("a list")
}

impl Row {
    fn malformed(name: &Value, on: Vec<Kind>, sent: Sent) -> Self {
        Self {
            name: name.as_str().expect("a name").to_owned(),
            on,
            send: vec![sent],
            expect: Reaction {
                frames: Vec::new(),
                close: Some("malformed".to_owned()),
            },
        }
    }
}

/// Plays one row on a connection of its own, in a hub of its own.
async fn play(
    emulator: &Emulator,
    hub: &str,
    kind: Kind,
    row: &Row,
    closes: &Map<String, Value>,
) -> Result<(), String> {
    let mut socket = kind.open(emulator, hub).await;
    let bytes: Vec<u8> = row.send.iter().flat_map(Sent::bytes).collect();
    socket.send(&bytes).await?;
    for expected in &row.expect.frames {
        expect(kind, expected, &socket.next().await?)?;
    }
    let Some(close) = &row.expect.close else {
        socket.send(&kind.call()).await?;
        return expect(kind, &kind.echo(), &socket.next().await?)
            .map_err(|error| format!("no longer alive: {error}"));
    };
    let (code, reason) = kind.close(&closes[close]);
    let expected = Received::Close(code.map(|code| (code, reason)));
    let received = socket.next().await?;
    if received != expected {
        return Err(format!("{received:?} instead of {expected:?}"));
    }
    if code.is_none() && kind.is_reliable() {
        // A close without a status can be recovered from.
        return Ok(());
    }
    let gone = emulator.wait_until(|state| state.connections(hub) == 0);
    let gone = tokio::time::timeout(TEST_TIMEOUT, gone).await;
    gone.map(drop)
        .map_err(|_| "the connection has not ended".to_owned())
}

impl Kind {
    /// A connection that may do everything in the group `room`, whose `connected` frame was read.
    /// Simple clients publish to that group, and are in it.
    async fn open(self, emulator: &Emulator, hub: &str) -> RawSocket {
        let roles = ["joinLeaveGroup.room", "sendToGroup.room"];
        let roles = roles.into_iter().chain(["getGroupState", "setGroupState"]);
        let options = roles.fold(ClientTokenOptions::default(), |options, role| {
            options.role(format!("webpubsub.{role}"))
        });
        let group = if self == Self::Simple { "room" } else { "mine" };
        let url = emulator.client_access_url_with(hub, &options.group(group));
        let (url, offer) = match self.subprotocol() {
            Some(name) => (url, Some(name)),
            None => (format!("{url}&webpubsub_mode=sendToGroup&group=room"), None),
        };
        let mut socket = RawSocket::open(emulator, &url, offer).await;
        let answer = socket.answer.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(!answer.contains("sec-websocket-extensions"), "{answer}");
        if offer.is_some() {
            let connected = self.decode(&socket.next().await.expect("a frame"));
            assert_eq!(connected["event"], "connected", "{connected}");
        }
        socket
    }

    const fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("json.webpubsub.azure.v1"),
            Self::ReliableJson => Some("json.reliable.webpubsub.azure.v1"),
            Self::Protobuf => Some("protobuf.webpubsub.azure.v1"),
            Self::ReliableProtobuf => Some("protobuf.reliable.webpubsub.azure.v1"),
            Self::Simple => None,
        }
    }

    const fn is_reliable(self) -> bool {
        matches!(self, Self::ReliableJson | Self::ReliableProtobuf)
    }

    /// Something harmless that is answered.
    fn call(self) -> Vec<u8> {
        let mut call = Sent::default();
        match self {
            Self::Json | Self::ReliableJson => call.text = Some(r#"{"type":"ping"}"#.to_owned()),
            Self::Protobuf | Self::ReliableProtobuf => call.binary = Some("4a00".to_owned()),
            Self::Simple => call.text = Some("alive?".to_owned()),
        }
        call.bytes()
    }

    fn echo(self) -> Value {
        match self {
            Self::Simple => serde_json::json!({"text": "alive?"}),
            _ => serde_json::json!({"type": "pong"}),
        }
    }

    /// A frame as JSON, whatever its form.
    fn decode(self, received: &Received) -> Value {
        match (self, received) {
            (Self::Json | Self::ReliableJson, Received::Text(text)) => {
                serde_json::from_str(text).expect("JSON")
            }
            (Self::Protobuf | Self::ReliableProtobuf, Received::Binary(bytes)) => {
                let frame = protobuf::decode_server(bytes.clone()).expect("a frame");
                serde_json::from_str(&json::encode_server(&frame)).expect("JSON")
            }
            (_, other) => Value::String(format!("{other:?}")),
        }
    }

    /// Code and reason of a close of the table.
    fn close(self, close: &Value) -> (Option<u16>, String) {
        let form = match self {
            Self::Protobuf | Self::ReliableProtobuf => "protobuf",
            _ => "json",
        };
        let close = close.get(form).unwrap_or(close);
        let code = close[0]
            .as_u64()
            .map(|code| code.try_into().expect("a code"));
        (code, close[1].as_str().unwrap_or_default().to_owned())
    }
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        if let Some(bytes) = &self.bytes {
            return hex(bytes);
        }
        let frame = RawFrame {
            opcode: self
                .opcode
                .unwrap_or(if self.text.is_some() { 1 } else { 2 }),
            last: self.last.unwrap_or(true),
            reserved: self.rsv,
            masked: self.masked.unwrap_or(true),
            payload: self.payload(),
        };
        frame.into_bytes()
    }

    fn payload(&self) -> Vec<u8> {
        let Some(text) = &self.text else {
            let mut bytes = hex(self.binary.as_deref().expect("a payload"));
            let size = self.size.unwrap_or(bytes.len());
            bytes.resize(size, 0);
            return bytes;
        };
        let filling = match (self.fill, self.nest, self.size) {
            (Some(fill), None, None) => "x".repeat(fill),
            (None, Some(nest), None) => "[".repeat(nest) + &"]".repeat(nest),
            (None, None, Some(size)) => "x".repeat(size - (text.len() - 1)),
            _ => return text.clone().into_bytes(),
        };
        text.replace('~', &filling).into_bytes()
    }
}

fn expect(kind: Kind, expected: &Value, received: &Received) -> Result<(), String> {
    let is_right = if kind == Kind::Simple {
        let sent: Sent = Sent::deserialize(expected).map_err(|error| error.to_string())?;
        match received {
            Received::Text(text) => sent.text.is_some() && sent.payload() == text.as_bytes(),
            Received::Binary(bytes) => sent.binary.is_some() && sent.payload() == *bytes,
            Received::Close(_) => false,
        }
    } else {
        agrees(expected, &kind.decode(received))
    };
    if is_right {
        return Ok(());
    }
    let received: String = format!("{received:?}").chars().take(300).collect();
    Err(format!("{received} instead of {expected}"))
}

/// Whether a frame is the expected one; a `message` may be there that was not written down.
fn agrees(expected: &Value, frame: &Value) -> bool {
    match (expected, frame) {
        (Value::Object(expected), Value::Object(frame)) => {
            let known = |name: &String| expected.contains_key(name) || name == "message";
            frame.keys().all(known)
                && expected.iter().all(|(name, value)| {
                    let found = frame.get(name);
                    found.is_some_and(|found| agrees(value, found))
                })
        }
        _ => expected == frame,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}
