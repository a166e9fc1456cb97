//! WebSocket messages to bytes, and back.
//!
//! The heads of frames are read and written by tungstenite. The buffers are ours, because its read buffer never shrinks
//! and lends its memory to the messages cut from it: one short message that an application keeps would keep all of the
//! buffer. Here a socket holds memory only for what is under way, and a message holds its own bytes only.

use std::io::Cursor;

use bytes::{Buf as _, Bytes, BytesMut};
use bytestring::ByteString;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use webpubsub_protocol::session::WireFrame;

/// The most that is read at once.
const READ_MOST: usize = 64 * 1024;

/// What is read at first: most sockets receive a short message now and then.
const READ_FIRST: usize = 4 * 1024;

/// The longest payload of a control frame.
const CONTROL_BYTES: usize = 125;

/// A message that takes up at least this part of its read buffer is cut out of it; a smaller one is copied.
const CUT_PART: usize = 4;

/// The close code for a peer that closed with a code that is not allowed.
const PROTOCOL_ERROR: u16 = 1002;

/// What the peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Message(WireFrame),
    Ping(Bytes),
    Pong,
    Close(Option<CloseFrame>),
}

/// A close frame that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloseFrame {
    pub(super) code: u16,
    pub(super) reason: ByteString,
}

/// Cuts the bytes of a service into messages.
#[derive(Debug)]
pub(super) struct Decoder {
    max_message_bytes: usize,
    /// What was read and has not been used.
    buffer: BytesMut,
    read_size: usize,
    /// The head of the frame at the start of the buffer.
    head: Option<Head>,
    /// The fragments of a message that is not complete.
    fragments: Option<(Kind, BytesMut)>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    opcode: OpCode,
    is_final: bool,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl Decoder {
    /// Begins with what was read together with the answer to the upgrade request.
    pub(super) fn new(max_message_bytes: usize, already_read: &[u8]) -> Self {
        Self {
            max_message_bytes,
            buffer: BytesMut::from(already_read),
            read_size: READ_FIRST,
            head: None,
            fragments: None,
        }
    }

    /// Where to append what is read next. It has room.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        let missing = self.head.map_or(0, |head| head.len - self.buffer.len());
        self.buffer.reserve(self.read_size.max(missing));
        &mut self.buffer
    }

    /// So many bytes were appended.
    pub(super) fn has_read(&mut self, bytes: usize) {
        if bytes >= self.read_size {
            self.read_size = READ_MOST;
        }
    }

    /// Nothing more can be read for now.
    pub(super) fn rest(&mut self) {
        self.read_size = READ_FIRST;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// The next message or control frame; `None` when more has to be read for it.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Error> {
        loop {
            let Some(head) = self.next_head()? else {
                return Ok(None);
            };
            if self.buffer.len() < head.len {
                self.head = Some(head);
                return Ok(None);
            }
            self.head = None;
            let incoming = match head.opcode {
                OpCode::Control(control) => Some(self.control(control, head)?),
                OpCode::Data(data) => self.data(data, head)?,
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
    }

    fn next_head(&mut self) -> Result<Option<Head>, Error> {
        if let Some(head) = self.head {
            return Ok(Some(head));
        }
        let mut cursor = Cursor::new(&self.buffer);
        let Some((header, len)) = FrameHeader::parse(&mut cursor)? else {
            return Ok(None);
        };
        let used = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolError::NonZeroReservedBits.into());
        }
        if header.mask.is_some() {
            return Err(ProtocolError::MaskedFrameFromServer.into());
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let before = self.fragments.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let size = before.saturating_add(len);
        match header.opcode {
            OpCode::Control(_) if !header.is_final => {
                return Err(ProtocolError::FragmentedControlFrame.into());
            }
            OpCode::Control(_) if len > CONTROL_BYTES => {
                return Err(ProtocolError::ControlFrameTooBig.into());
            }
            OpCode::Data(_) if size > self.max_message_bytes => {
                let max_size = self.max_message_bytes;
                return Err(CapacityError::MessageTooLong { size, max_size }.into());
            }
            _ => {}
        }
        self.buffer.advance(used);
        Ok(Some(Head {
            opcode: header.opcode,
            is_final: header.is_final,
            len,
        }))
    }

    fn control(&mut self, control: Control, head: Head) -> Result<Incoming, Error> {
        let payload = self.take(head.len);
        match control {
            Control::Ping => Ok(Incoming::Ping(payload)),
            Control::Pong => Ok(Incoming::Pong),
            Control::Close => close_frame(&payload).map(Incoming::Close),
            Control::Reserved(opcode) => Err(ProtocolError::UnknownControlFrameType(opcode).into()),
        }
    }

    fn data(&mut self, data: Data, head: Head) -> Result<Option<Incoming>, Error> {
        let kind = match (data, &mut self.fragments) {
            (Data::Continue, Some((kind, bytes))) => {
                bytes.extend_from_slice(&self.buffer[..head.len]);
                self.buffer.advance(head.len);
                if !head.is_final {
                    return Ok(None);
                }
                let (kind, bytes) = (*kind, std::mem::take(bytes).freeze());
                self.fragments = None;
                return message(kind, bytes).map(Some);
            }
            (Data::Continue, None) => return Err(ProtocolError::UnexpectedContinueFrame.into()),
            (Data::Reserved(opcode), _) => {
                return Err(ProtocolError::UnknownDataFrameType(opcode).into());
            }
            (_, Some(_)) => return Err(ProtocolError::ExpectedFragment(data).into()),
            (Data::Text, None) => Kind::Text,
            (Data::Binary, None) => Kind::Binary,
        };
        if head.is_final {
            let payload = self.take(head.len);
            return message(kind, payload).map(Some);
        }
        let first = self.buffer.split_to(head.len);
        self.fragments = Some((kind, BytesMut::from(&first[..])));
        Ok(None)
    }

    fn take(&mut self, len: usize) -> Bytes {
        if len.saturating_mul(CUT_PART) >= self.buffer.capacity() {
            return self.buffer.split_to(len).freeze();
        }
        let payload = Bytes::copy_from_slice(&self.buffer[..len]);
        self.buffer.advance(len);
        payload
    }

    /// Whether it holds no memory beside itself.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.buffer.capacity() == 0 && self.fragments.is_none()
    }
}

fn message(kind: Kind, payload: Bytes) -> Result<Incoming, Error> {
    let frame = match kind {
        Kind::Binary => WireFrame::Binary(payload),
        Kind::Text => {
            let text = ByteString::try_from(payload);
            WireFrame::Text(text.map_err(|error| Error::Utf8(error.to_string()))?)
        }
    };
    Ok(Incoming::Message(frame))
}

fn close_frame(payload: &[u8]) -> Result<Option<CloseFrame>, Error> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(ProtocolError::InvalidCloseSequence.into()),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Ok(Some(CloseFrame {
            code: PROTOCOL_ERROR,
            reason: "Protocol violation".into(),
        }));
    }
    let reason = std::str::from_utf8(reason).map_err(|error| Error::Utf8(error.to_string()))?;
    let reason = reason.into();
    Ok(Some(CloseFrame { code, reason }))
}

/// Appends a message as a client sends it.
pub(super) fn write_message(out: &mut Vec<u8>, frame: &WireFrame) {
    match frame {
        WireFrame::Text(text) => write(out, OpCode::Data(Data::Text), text.as_bytes()),
        WireFrame::Binary(bytes) => write(out, OpCode::Data(Data::Binary), bytes),
    }
}

/// Appends the answer to a ping.
pub(super) fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write(out, OpCode::Control(Control::Pong), payload);
}

/// Appends a close frame.
pub(super) fn write_close(out: &mut Vec<u8>, frame: Option<&CloseFrame>) {
    let mut payload = Vec::new();
    if let Some(CloseFrame { code, reason }) = frame {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
    }
    write(out, OpCode::Control(Control::Close), &payload);
}

fn write(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let key: [u8; 4] = rand::random();
    let header = FrameHeader {
        opcode,
        mask: Some(key),
        ..FrameHeader::default()
    };
    let len = payload.len() as u64;
    out.reserve(header.len(len) + payload.len());
    header.format(len, out).expect("a vector takes all bytes");
    let start = out.len();
    out.extend_from_slice(payload);
    let mut words = out[start..].chunks_exact_mut(key.len());
    let mask = u32::from_ne_bytes(key);
    for word in &mut words {
        if let Ok(bytes) = <[u8; 4]>::try_from(&*word) {
            word.copy_from_slice(&(u32::from_ne_bytes(bytes) ^ mask).to_ne_bytes());
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

    use super::*;

    /// A frame as services send it.
    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            opcode,
            is_final,
            ..FrameHeader::default()
        };
        let mut bytes = Vec::new();
        header.format(payload.len() as u64, &mut bytes).unwrap();
        bytes.extend_from_slice(payload);
        bytes
    }

    fn text(payload: &str) -> Vec<u8> {
        frame(OpCode::Data(Data::Text), true, payload.as_bytes())
    }

    fn text_message(payload: &str) -> Incoming {
        Incoming::Message(WireFrame::Text(payload.into()))
    }

    /// Everything in `bytes`, when it is read in pieces of `size`.
    fn read(decoder: &mut Decoder, bytes: &[u8], size: usize) -> Result<Vec<Incoming>, Error> {
        let mut all = Vec::new();
        for piece in bytes.chunks(size) {
            decoder.space().extend_from_slice(piece);
            decoder.has_read(piece.len());
            while let Some(incoming) = decoder.next()? {
                all.push(incoming);
            }
            decoder.rest();
        }
        Ok(all)
    }

    #[test]
    fn messages_do_not_depend_on_how_their_bytes_come() {
        let large = "x".repeat(300_000);
        let bytes = [
            text("one"),
            frame(OpCode::Data(Data::Text), false, "h\u{e4}".as_bytes()),
            frame(OpCode::Control(Control::Ping), true, b"?"),
            frame(OpCode::Data(Data::Continue), false, b"l"),
            frame(OpCode::Data(Data::Continue), true, b"lo"),
            frame(OpCode::Data(Data::Binary), true, b"\xff"),
            text(&large),
            frame(OpCode::Control(Control::Pong), true, b""),
            frame(OpCode::Control(Control::Close), true, b"\x03\xf0bye"),
        ]
        .concat();
        for size in [1, 2, 7, 1_000, 70_000, bytes.len()] {
            let mut decoder = Decoder::new(1 << 20, b"");
            let close = CloseFrame {
                code: 1008,
                reason: "bye".into(),
            };
            let expected = [
                text_message("one"),
                Incoming::Ping("?".into()),
                text_message("h\u{e4}llo"),
                Incoming::Message(WireFrame::Binary(Bytes::from_static(b"\xff"))),
                text_message(&large),
                Incoming::Pong,
                Incoming::Close(Some(close)),
            ];
            assert_eq!(read(&mut decoder, &bytes, size).unwrap(), expected);
            assert!(decoder.is_idle(), "in pieces of {size}");
        }
    }

    #[test]
    fn what_came_with_the_handshake_comes_first() {
        let bytes = text("one");
        let (first, rest) = bytes.split_at(2);
        let mut decoder = Decoder::new(100, first);
        assert_eq!(decoder.next().unwrap(), None);
        let all = read(&mut decoder, rest, 10).unwrap();
        assert_eq!(all, [text_message("one")]);
    }

    #[test]
    fn a_short_message_does_not_keep_the_buffer_of_its_neighbours() {
        let mut decoder = Decoder::new(1 << 20, b"");
        let bytes = [text("a"), text(&"x".repeat(50_000))].concat();
        decoder.space().extend_from_slice(&bytes);
        let Some(Incoming::Message(WireFrame::Text(short))) = decoder.next().unwrap() else {
            panic!("not a text");
        };
        let short = BytesMut::from(short.into_bytes());
        assert!(short.capacity() < 100, "{}", short.capacity());
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let data = |data| OpCode::Data(data);
        let control = |control| OpCode::Control(control);
        let mut reserved = text("a");
        reserved[0] |= 0x40;
        let mut masked = Vec::new();
        write_message(&mut masked, &WireFrame::Text("a".into()));
        for bytes in [
            frame(data(Data::Continue), true, b"a"),
            [
                frame(data(Data::Text), false, b"a"),
                frame(data(Data::Text), true, b"a"),
            ]
            .concat(),
            frame(data(Data::Text), true, b"\xff"),
            frame(data(Data::Text), true, &[b'x'; 101]),
            [
                frame(data(Data::Text), false, &[b'x'; 60]),
                frame(data(Data::Continue), true, &[b'x'; 60]),
            ]
            .concat(),
            frame(control(Control::Ping), false, b""),
            frame(control(Control::Ping), true, &[0; 126]),
            frame(control(Control::Close), true, b"\x03"),
            frame(control(Control::Close), true, b"\x03\xe8\xff"),
            frame(data(Data::Reserved(5)), true, b""),
            frame(control(Control::Reserved(13)), true, b""),
            reserved,
            masked,
        ] {
            let mut decoder = Decoder::new(100, b"");
            assert!(read(&mut decoder, &bytes, 1_000).is_err(), "{bytes:x?}");
        }
        let mut decoder = Decoder::new(100, b"");
        let close = frame(control(Control::Close), true, &999_u16.to_be_bytes());
        let all = read(&mut decoder, &close, 10).unwrap();
        let [Incoming::Close(Some(frame))] = &all[..] else {
            panic!("{all:?}");
        };
        assert_eq!(frame.code, PROTOCOL_ERROR);
    }

    #[test]
    fn a_server_understands_what_is_written() {
        let large = "y".repeat(100_001);
        let mut out = Vec::new();
        for message in ["", "h\u{e4}llo", &large] {
            write_message(&mut out, &WireFrame::Text(message.into()));
        }
        write_message(
            &mut out,
            &WireFrame::Binary(Bytes::from_static(b"\xff\x00")),
        );
        write_pong(&mut out, b"?");
        let close = CloseFrame {
            code: 1000,
            reason: "done".into(),
        };
        write_close(&mut out, Some(&close));
        let mut server = WebSocket::from_raw_socket(Cursor::new(out), Role::Server, None);
        let mut next = || server.read().unwrap();
        for message in ["", "h\u{e4}llo", &large] {
            assert_eq!(next(), Message::text(message));
        }
        assert_eq!(next(), Message::binary(&b"\xff\x00"[..]));
        assert_eq!(next(), Message::Pong("?".into()));
        let Message::Close(Some(frame)) = next() else {
            panic!("not a close frame");
        };
        assert_eq!((u16::from(frame.code), &*frame.reason), (1000, "done"));
        let mut out = Vec::new();
        write_close(&mut out, None);
        let mut server = WebSocket::from_raw_socket(Cursor::new(out), Role::Server, None);
        assert!(matches!(server.read(), Ok(Message::Close(None))));
    }
}
