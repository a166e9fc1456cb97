//! A WebSocket client that sends any bytes: what no library would write.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use webpubsub_emulator::Emulator;

use super::TEST_TIMEOUT;

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An upgraded socket.
pub(super) struct RawSocket {
    stream: TcpStream,
    /// The head of the answer to the upgrade.
    pub(super) answer: String,
}

/// What the service sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Text(String),
    Binary(Vec<u8>),
    /// Code and reason; none when the frame was empty.
    Close(Option<(u16, String)>),
}

/// A frame to send, of any content.
#[derive(Debug, Clone)]
pub(super) struct RawFrame {
    pub(super) opcode: u8,
    pub(super) last: bool,
    /// The three reserved bits: 4, 2 and 1.
    pub(super) reserved: u8,
    pub(super) masked: bool,
    pub(super) payload: Vec<u8>,
}

impl RawFrame {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mask: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let masked = u8::from(self.masked) << 7;
        let length = self.payload.len();
        let mut bytes = vec![u8::from(self.last) << 7 | self.reserved << 4 | self.opcode];
        if length < 126 {
            bytes.push(masked | u8::try_from(length).expect("below 126"));
        } else if let Ok(length) = u16::try_from(length) {
            bytes.push(masked | 126);
            bytes.extend(length.to_be_bytes());
        } else {
            bytes.push(masked | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
        if self.masked {
            bytes.extend(mask);
            let payload = self.payload.into_iter().zip(mask.into_iter().cycle());
            bytes.extend(payload.map(|(byte, mask)| byte ^ mask));
        } else {
            bytes.extend(self.payload);
        }
        bytes
    }
}

impl RawSocket {
    /// Upgrades by hand. Compression is always offered.
    pub(super) async fn open(emulator: &Emulator, url: &str, offer: Option<&str>) -> Self {
        let authority = emulator.endpoint().trim_start_matches("http://");
        let path = url.split_once(authority).expect("our own URL").1;
        let mut stream = TcpStream::connect(emulator.addresses()[0])
            .await
            .expect("listening");
        let offer = offer.map_or_else(String::new, |names| {
            format!("Sec-WebSocket-Protocol: {names}\r\n")
        });
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{offer}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = tokio::time::timeout(TEST_TIMEOUT, stream.read_u8()).await;
            answer.push(read.expect("in time").expect("more bytes"));
        }
        let answer = String::from_utf8(answer).expect("ASCII");
        Self { stream, answer }
    }

    /// Sends bytes as they are, at once.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent = tokio::time::timeout(TEST_TIMEOUT, self.stream.write_all(bytes)).await;
        sent.map_err(|_| "the emulator does not read".to_owned())?
            .map_err(|error| format!("cannot send: {error}"))
    }

    /// The next message or close; pings and pongs are passed over.
    pub(super) async fn next(&mut self) -> Result<Received, String> {
        let next = tokio::time::timeout(TEST_TIMEOUT, self.read()).await;
        next.map_err(|_| "nothing came".to_owned())?
            .map_err(|error| format!("cannot read: {error}"))
    }

    /// Waits for the end of the stream, before which nothing comes.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        let end = tokio::time::timeout(TEST_TIMEOUT, self.stream.read(&mut [0])).await;
        match end.map_err(|_| "the stream does not end".to_owned())? {
            Ok(0) => Ok(()),
            Ok(_) => Err("something comes".to_owned()),
            Err(error) => Err(format!("the stream breaks: {error}")),
        }
    }

    async fn read(&mut self) -> std::io::Result<Received> {
        loop {
            let [opcode, length] = self.read_array().await?;
            let length = match length {
                126 => u16::from_be_bytes(self.read_array().await?).into(),
                127 => u64::from_be_bytes(self.read_array().await?),
                short => short.into(),
            };
            let length = usize::try_from(length).expect("a frame that fits");
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await?;
            assert_eq!(opcode & 0xf0, 0x80, "whole messages, no reserved bits");
            match opcode & 0x0f {
                1 => {
                    let text = String::from_utf8(payload).expect("UTF-8");
                    return Ok(Received::Text(text));
                }
                2 => return Ok(Received::Binary(payload)),
                CLOSE if payload.is_empty() => return Ok(Received::Close(None)),
                CLOSE => {
                    let reason = String::from_utf8(payload.split_off(2)).expect("UTF-8");
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    return Ok(Received::Close(Some((code, reason))));
                }
                PING | PONG => {}
                other => panic!("opcode {other}"),
            }
        }
    }

    async fn read_array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }
}
