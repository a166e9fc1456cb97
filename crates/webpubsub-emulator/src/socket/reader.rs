//! The read side of a socket: bytes in, messages out.
//!
//! tungstenite reads the frames, as it does anywhere else. What it reads into stays as large as the largest message was,
//! so it lives only while a message is incomplete: a socket that waits for its next message holds no buffer.

use std::io::{self, Cursor, Read, Write};

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

/// What tungstenite takes at once.
const BUFFER_BYTES: usize = 4096;

/// The longest head of a client's frame.
const HEAD_BYTES: usize = 14;

/// Turns the bytes of one client into messages.
pub(super) struct Reader {
    /// The largest message in bytes that is read.
    most: usize,
    context: Option<Box<WebSocketContext>>,
    framing: Framing,
    /// What the transport gave and nobody has looked at, from `at` on.
    unread: Vec<u8>,
    at: usize,
}

/// Where in its frames a client is, as far as it was read.
#[derive(Debug, Default)]
struct Framing {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Bytes that are missing from the payload.
    missing: u64,
    /// Whether more fragments of a message follow.
    is_fragmented: bool,
    /// Whether the payload is that of a close.
    is_close: bool,
    state: FramingState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum FramingState {
    #[default]
    Goes,
    /// A close was read whole.
    Closed,
    /// No frame begins where one should.
    Broken,
}

/// Whether the client has sent its close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerClose {
    Awaited,
    Seen,
    /// It broke the framing, so its close frame could no longer be found.
    Unknowable,
}

impl Reader {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            context: None,
            framing: Framing::default(),
            unread: Vec::new(),
            at: 0,
        }
    }

    /// Takes what came from the transport.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.at == self.unread.len() {
            self.unread = bytes.to_vec();
            self.at = 0;
        } else {
            self.unread.extend_from_slice(bytes);
        }
    }

    /// The next message, control frames included; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// The client broke the protocol. Nothing more can be read; only [`discard`](Self::discard) goes on.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        if self.context.is_none() && self.at == self.unread.len() {
            return Ok(None);
        }
        let most = self.most;
        let context = self.context.get_or_insert_with(|| {
            let config = WebSocketConfig::default()
                .read_buffer_size(BUFFER_BYTES)
                .max_message_size(Some(most))
                .max_frame_size(Some(most));
            Box::new(WebSocketContext::new(Role::Server, Some(config)))
        });
        let mut source = Source {
            bytes: &self.unread,
            at: &mut self.at,
            framing: &mut self.framing,
        };
        match context.read(&mut source) {
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unread = Vec::new();
                self.at = 0;
                if self.framing.is_between_messages() {
                    self.context = None;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Discards what was read, and says whether a close frame was in it or came before.
    pub(super) fn discard(&mut self) -> PeerClose {
        self.context = None;
        let unread = std::mem::take(&mut self.unread);
        self.framing.follow(&unread[self.at..]);
        self.at = 0;
        match self.framing.state {
            FramingState::Goes => PeerClose::Awaited,
            FramingState::Closed => PeerClose::Seen,
            FramingState::Broken => PeerClose::Unknowable,
        }
    }

    /// Bytes that are no message yet, and those of the buffer that lives until they are. What tungstenite has of an incomplete
    /// message is not among them: its own limit bounds it.
    #[cfg(feature = "__simulation")]
    pub(super) fn held(&self) -> usize {
        let buffer = self.context.as_ref().map_or(0, |_| BUFFER_BYTES);
        buffer + self.unread.len()
    }

    /// Whether it holds no memory beside itself.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.context.is_none() && self.unread.capacity() == 0
    }
}

impl Framing {
    fn is_between_messages(&self) -> bool {
        self.head_len == 0 && self.missing == 0 && !self.is_fragmented
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while self.state == FramingState::Goes && !bytes.is_empty() {
            if self.missing == 0 {
                self.head[self.head_len] = bytes[0];
                self.head_len += 1;
                bytes = &bytes[1..];
                self.read_head();
            } else {
                let len = usize::try_from(self.missing).map_or(bytes.len(), |n| n.min(bytes.len()));
                self.missing -= len as u64;
                bytes = &bytes[len..];
                self.note_end();
            }
        }
    }

    fn read_head(&mut self) {
        let mut cursor = Cursor::new(&self.head[..self.head_len]);
        match FrameHeader::parse(&mut cursor) {
            Ok(None) if self.head_len < HEAD_BYTES => {}
            Ok(Some((header, payload))) => {
                self.head_len = 0;
                self.missing = payload;
                match header.opcode {
                    OpCode::Data(_) => self.is_fragmented = !header.is_final,
                    OpCode::Control(control) => self.is_close = control == Control::Close,
                }
                self.note_end();
            }
            Ok(None) | Err(_) => self.state = FramingState::Broken,
        }
    }

    fn note_end(&mut self) {
        if self.missing == 0 && self.is_close {
            self.state = FramingState::Closed;
        }
    }
}

/// What tungstenite reads from. What it would write is left out: its answers to pings and closes take the same way as
/// everything else that is written.
struct Source<'a> {
    bytes: &'a [u8],
    at: &'a mut usize,
    framing: &'a mut Framing,
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = &self.bytes[*self.at..];
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = left.len().min(into.len());
        into[..len].copy_from_slice(&left[..len]);
        *self.at += len;
        self.framing.follow(&left[..len]);
        Ok(len)
    }
}

impl Write for Source<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

    use super::*;

    /// A frame as clients send it, with a mask that changes nothing.
    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            opcode,
            is_final,
            mask: Some([0; 4]),
            ..FrameHeader::default()
        };
        let mut bytes = Vec::new();
        header
            .format(payload.len() as u64, &mut bytes)
            .expect("a Vec grows");
        bytes.extend_from_slice(payload);
        bytes
    }

    fn text(payload: &str) -> Vec<u8> {
        frame(OpCode::Data(Data::Text), true, payload.as_bytes())
    }

    /// All messages in `bytes` when they come in pieces of `size`.
    fn messages(reader: &mut Reader, bytes: &[u8], size: usize) -> Vec<Message> {
        let mut all = Vec::new();
        for piece in bytes.chunks(size) {
            reader.feed(piece);
            while let Some(message) = reader.next().expect("valid frames") {
                all.push(message);
            }
        }
        all
    }

    #[test]
    fn nothing_is_held_between_messages() {
        let mut reader = Reader::new(1 << 21);
        let large = "x".repeat(1 << 20);
        let all = messages(&mut reader, &text(&large), 10_000);
        assert_eq!(all, [Message::text(large)]);
        assert!(reader.is_idle());

        let first = frame(OpCode::Data(Data::Text), false, b"he");
        assert!(messages(&mut reader, &first, 3).is_empty());
        assert!(!reader.is_idle(), "the message is not complete");
        let ping = frame(OpCode::Control(Control::Ping), true, b"p");
        assert_eq!(messages(&mut reader, &ping, 3), [Message::Ping("p".into())]);
        assert!(!reader.is_idle());
        let last = frame(OpCode::Data(Data::Continue), true, b"llo");
        assert_eq!(messages(&mut reader, &last, 3), [Message::text("hello")]);
        assert!(reader.is_idle());
    }

    #[test]
    fn a_close_is_found_among_what_is_discarded() {
        let mut reader = Reader::new(10);
        reader.feed(&text("much more than ten bytes"));
        assert!(matches!(reader.next(), Err(Error::Capacity(_))));
        assert_eq!(reader.discard(), PeerClose::Awaited);
        let mut rest = text("and more");
        rest.extend(frame(OpCode::Control(Control::Close), true, b"\x03\xe8"));
        let (most, end) = rest.split_at(rest.len() - 1);
        reader.feed(most);
        assert_eq!(reader.discard(), PeerClose::Awaited);
        reader.feed(end);
        assert_eq!(reader.discard(), PeerClose::Seen);

        let mut reader = Reader::new(10);
        reader.feed(b"GET / HTTP/1.1\r\n\r\n");
        assert!(reader.next().is_err());
        assert_eq!(reader.discard(), PeerClose::Unknowable);
    }

    proptest! {
        #[test]
        fn messages_do_not_depend_on_how_the_bytes_come(
            payloads in proptest::collection::vec("[a-z]{0,300}", 1..20),
            size in 1..700_usize,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| text(payload)).collect();
            let mut reader = Reader::new(1000);
            let expected: Vec<Message> = payloads.into_iter().map(Message::text).collect();
            prop_assert_eq!(messages(&mut reader, &bytes, size), expected);
            prop_assert!(reader.is_idle());
        }
    }
}
