//! The least of a service that a real-time client needs, so that the client is what is measured: it says `connected`,
//! acknowledges at once, and sends what it is asked to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{Message, Sender, SequenceId, ServerFrame, json, protobuf};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::wire::{opcode, write_server_frame};

/// Bytes that are written or read at once.
const CHUNK: usize = 64 << 10;

/// A listener for one client.
#[derive(Debug)]
pub(super) struct Service {
    address: SocketAddr,
    clients: Receiver<(TcpStream, Subprotocol)>,
    received: Arc<AtomicU64>,
}

impl Service {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, clients) = mpsc::channel();
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        thread::spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            let subprotocol = greet(&mut stream)?;
            sender.send((stream.try_clone()?, subprotocol))?;
            read(stream, &counter)
        });
        Ok(Self {
            address,
            clients,
            received,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}/client/hubs/load", self.address)
    }

    /// The frames that came so far, but for sequence acknowledgements and pings.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits until so many frames came.
    pub(super) fn wait(&self, count: u64, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.received() < count {
            if Instant::now() > deadline {
                bail!("{} frames came in place of {count}", self.received());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Sends so many messages with a text of `size` bytes to the client.
    pub(super) fn send(&self, count: u64, size: usize) -> Result<()> {
        let (mut stream, subprotocol) = self
            .clients
            .recv_timeout(Duration::from_secs(10))
            .context("no client came")?;
        let mut message = Message {
            sequence_id: None,
            from: Sender::Group {
                group: GroupName::new("g")?,
                from_user_id: Some(ByteString::from_static("u")),
            },
            payload: Payload::text("x".repeat(size)),
            metadata: Metadata::default(),
            stream: None,
        };
        let mut out = Vec::with_capacity(2 * CHUNK);
        for id in 1..=count {
            message.sequence_id = subprotocol.is_reliable().then_some(SequenceId(id));
            write(
                &mut out,
                subprotocol,
                &ServerFrame::Message(message.clone()),
            );
            if out.len() >= CHUNK || id == count {
                stream.write_all(&out)?;
                out.clear();
            }
        }
        Ok(())
    }
}

fn write(out: &mut Vec<u8>, subprotocol: Subprotocol, frame: &ServerFrame) {
    match subprotocol {
        Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => {
            write_server_frame(out, opcode::BINARY, &protobuf::encode_server(frame));
        }
        _ => write_server_frame(out, opcode::TEXT, json::encode_server(frame).as_bytes()),
    }
}

/// Answers the upgrade request, says `connected`, and returns the subprotocol.
fn greet(stream: &mut TcpStream) -> Result<Subprotocol> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            bail!("the client hung up within its request");
        }
        request.extend(&buffer[..read]);
    }
    let request = String::from_utf8(request)?;
    let header = |name: &str| {
        request.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let key = header("sec-websocket-key").context("the request has no key")?;
    let protocol = header("sec-websocket-protocol").context("the request has no subprotocol")?;
    let subprotocol = Subprotocol::from_name(protocol).context("no subprotocol of the service")?;
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )
    .into_bytes();
    write(&mut out, subprotocol, &connected(subprotocol));
    stream.write_all(&out)?;
    Ok(subprotocol)
}

fn connected(subprotocol: Subprotocol) -> ServerFrame {
    ServerFrame::Connected {
        connection_id: ByteString::from_static("c"),
        user_id: Some(ByteString::from_static("u")),
        reconnection_token: subprotocol
            .is_reliable()
            .then_some(ByteString::from_static("t")),
    }
}

/// Reads what the client sends and acknowledges it.
fn read(mut stream: TcpStream, received: &AtomicU64) -> Result<()> {
    let mut waiting = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut out = Vec::new();
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        waiting.extend(&buffer[..read]);
        let mut used = 0;
        let mut frames = 0;
        while let Some((size, opcode)) = unmask(&mut waiting[used..]) {
            let frame = &waiting[used..used + size];
            if opcode == opcode::CLOSE {
                return Ok(());
            }
            match ack_id(frame) {
                Some(id) => {
                    let ack = format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#);
                    write_server_frame(&mut out, opcode::TEXT, ack.as_bytes());
                    frames += 1;
                }
                None => frames += u64::from(memchr::memmem::find(frame, b"sendToGroup").is_some()),
            }
            used += size;
        }
        waiting.drain(..used);
        stream.write_all(&out)?;
        out.clear();
        received.fetch_add(frames, Ordering::Relaxed);
    }
}

/// Removes the mask of the frame at the start of `bytes`; returns its whole size and its kind, or nothing when more has
/// to come.
fn unmask(bytes: &mut [u8]) -> Option<(usize, u8)> {
    let opcode = bytes.first()? & 0x0f;
    let (head, length) = match bytes.get(1)? & 0x7f {
        126 => (
            4,
            usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        ),
        127 => {
            let length = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (10, usize::try_from(length).ok()?)
        }
        short => (2, usize::from(short)),
    };
    let mask: [u8; 4] = *bytes.get(head..)?.first_chunk()?;
    let payload = bytes.get_mut(head + 4..head + 4 + length)?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Some((head + 4 + length, opcode))
}

fn ack_id(frame: &[u8]) -> Option<u64> {
    const MEMBER: &[u8] = b"\"ackId\":";
    let at = memchr::memmem::find(frame, MEMBER)? + MEMBER.len();
    // Python puts a blank after the colon.
    let number = frame[at..].trim_ascii_start();
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&number[..digits.count()])
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::write_frame;

    #[test]
    fn frames_are_unmasked_once_they_are_whole() {
        for size in [5, 200, 70_000] {
            let mut frame = Vec::new();
            write_frame(&mut frame, opcode::TEXT, &vec![b'a'; size]);
            let mask_at = frame.len() - size - 4;
            frame[mask_at..mask_at + 4].copy_from_slice(&[1, 2, 3, 4]);
            assert_eq!(unmask(&mut frame.clone()[..mask_at]), None);
            assert_eq!(unmask(&mut frame), Some((frame.len(), opcode::TEXT)));
            assert_eq!(
                frame[mask_at + 4..mask_at + 8],
                [b'a' ^ 1, b'a' ^ 2, b'a' ^ 3, b'a' ^ 4]
            );
        }
    }

    #[test]
    fn ack_ids_are_found() {
        assert_eq!(
            ack_id(br#"{"type":"sendToGroup","ackId":42,"data":1}"#),
            Some(42)
        );
        assert_eq!(ack_id(br#"{"ackId": 7, "data": 1}"#), Some(7));
        assert_eq!(ack_id(br#"{"type":"sendToGroup","data":1}"#), None);
    }
}
