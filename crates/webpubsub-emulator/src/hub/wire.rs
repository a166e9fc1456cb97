//! Frames as bytes on the wire: a small head that is written for one socket, and bytes that all of them share.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::message::Encoded;

/// The most bytes of a WebSocket frame's head that a server writes: servers do not mask.
const HEAD_BYTES: usize = 10;

/// What a sequence id adds to the head of a JSON frame, at most: `{"sequenceId":18446744073709551615,`.
const JSON_ID_BYTES: usize = 35;

/// What a sequence id adds to a protobuf frame in its middle, at most: a key and a number.
const PROTOBUF_ID_BYTES: usize = 11;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// One frame on its way to one socket. Clones share its bytes. Small, since many are moved.
#[derive(Debug, Clone)]
pub(crate) struct WireFrame(Form);

#[derive(Debug, Clone)]
enum Form {
    /// The same for all recipients.
    Shared(Arc<Encoded>),
    /// With something that is for this recipient alone.
    Own(Box<Own>),
}

#[derive(Debug, Clone)]
struct Own {
    kind: FrameKind,
    /// Bytes after the WebSocket head.
    payload: usize,
    head: Small<{ HEAD_BYTES + JSON_ID_BYTES }>,
    body: Bytes,
    /// What stands between the two parts of a body that is numbered in its middle.
    id: Small<PROTOBUF_ID_BYTES>,
    rest: Bytes,
}

impl WireFrame {
    /// A frame whose head is written now.
    pub(crate) fn new(kind: FrameKind, payload: Bytes) -> Self {
        Self(Form::Own(Box::new(Own {
            kind,
            payload: payload.len(),
            head: head(kind, payload.len()),
            body: payload,
            id: Small::default(),
            rest: Bytes::new(),
        })))
    }

    /// A frame whose bytes, head included, exist already.
    pub(super) const fn shared(encoded: Arc<Encoded>) -> Self {
        Self(Form::Shared(encoded))
    }

    /// A frame whose payload is `first`, `body`, `id` and `rest`.
    pub(super) fn numbered(
        kind: FrameKind,
        first: &[u8],
        body: Bytes,
        id: &[u8],
        rest: Bytes,
    ) -> Self {
        let payload = first.len() + body.len() + id.len() + rest.len();
        let mut head = head(kind, payload);
        head.push(first);
        let mut small = Small::default();
        small.push(id);
        Self(Form::Own(Box::new(Own {
            kind,
            payload,
            head,
            body,
            id: small,
            rest,
        })))
    }

    pub(crate) fn kind(&self) -> FrameKind {
        match &self.0 {
            Form::Shared(encoded) => encoded.opcode(),
            Form::Own(own) => own.kind,
        }
    }

    /// Bytes of the payload.
    pub(crate) fn payload_len(&self) -> usize {
        match &self.0 {
            Form::Shared(encoded) => encoded.len(false),
            Form::Own(own) => own.payload,
        }
    }

    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// The bytes on the wire, in order; some parts are empty.
    pub(crate) fn parts(&self) -> [&[u8]; 4] {
        match &self.0 {
            Form::Shared(encoded) => [encoded.bytes(), &[], &[], &[]],
            Form::Own(own) => [own.head.as_slice(), &own.body, own.id.as_slice(), &own.rest],
        }
    }

    /// Adds what is left of the frame after its first `skip` bytes to `slices`, from index `at` on. Returns the next free
    /// index; at the end of `slices` the frame is cut short.
    pub(crate) fn fill<'a>(
        &'a self,
        mut skip: usize,
        slices: &mut [IoSlice<'a>],
        mut at: usize,
    ) -> usize {
        for part in self.parts() {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let left = &part[skipped..];
            if !left.is_empty() && at < slices.len() {
                slices[at] = IoSlice::new(left);
                at += 1;
            }
        }
        at
    }

    /// The payload, byte by byte.
    pub(crate) fn payload_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let head = self.len() - self.payload_len();
        self.parts().into_iter().flatten().copied().skip(head)
    }

    /// The payload in one piece.
    #[cfg(any(test, feature = "__simulation"))]
    pub(crate) fn payload(&self) -> Bytes {
        let bytes = self.parts().concat();
        Bytes::from(bytes).split_off(self.len() - self.payload_len())
    }
}

/// The payload of a frame with its WebSocket head before it, in one piece. Returns the bytes of the head, too.
pub(super) fn with_head(kind: FrameKind, payload: &[u8]) -> (Bytes, usize) {
    let head: Small<HEAD_BYTES> = head(kind, payload.len());
    (
        Bytes::from([head.as_slice(), payload].concat()),
        head.as_slice().len(),
    )
}

fn head<const N: usize>(kind: FrameKind, payload: usize) -> Small<N> {
    let opcode = match kind {
        FrameKind::Text => OpCode::Data(Data::Text),
        FrameKind::Binary => OpCode::Data(Data::Binary),
        FrameKind::Ping => OpCode::Control(Control::Ping),
        FrameKind::Pong => OpCode::Control(Control::Pong),
        FrameKind::Close => OpCode::Control(Control::Close),
    };
    let header = FrameHeader {
        opcode,
        is_final: true,
        mask: None,
        ..FrameHeader::default()
    };
    let mut small = Small::default();
    let mut room = small.bytes.as_mut_slice();
    header
        .format(payload as u64, &mut room)
        .expect("room for a head");
    let left = room.len();
    small.len = u8::try_from(N - left).expect("a head is small");
    small
}

/// A few bytes in place.
#[derive(Debug, Clone, Copy)]
struct Small<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Small<N> {
    const EMPTY: Self = Self {
        len: 0,
        bytes: [0; N],
    };

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn push(&mut self, more: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + more.len()].copy_from_slice(more);
        self.len = u8::try_from(at + more.len()).expect("small parts are small");
    }
}

impl<const N: usize> Default for Small<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_protocol() {
        for (payload, head) in [
            (5, vec![0x81, 5]),
            (126, vec![0x81, 126, 0, 126]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = WireFrame::new(FrameKind::Text, vec![b'x'; payload].into());
            assert_eq!(frame.parts()[0], head);
            assert_eq!(frame.len(), head.len() + payload);
        }
        let ping = WireFrame::new(FrameKind::Ping, Bytes::new());
        assert_eq!(ping.parts().concat(), [0x89, 0]);
    }

    #[test]
    fn a_frame_goes_on_wherever_it_was_cut() {
        let frame = WireFrame::numbered(
            FrameKind::Binary,
            b"ab",
            Bytes::from_static(b"cde"),
            b"f",
            Bytes::from_static(b"gh"),
        );
        let whole = b"\x82\x08abcdefgh";
        for skip in 0..whole.len() {
            let mut slices = [IoSlice::new(&[]); 8];
            let used = frame.fill(skip, &mut slices, 0);
            let left = slices[..used].iter().flat_map(|slice| slice.to_vec());
            assert_eq!(left.collect::<Vec<_>>(), whole[skip..], "{skip}");
        }
        assert_eq!(frame.payload(), "abcdefgh");
        assert!(frame.payload_bytes().eq(*b"abcdefgh"));
        let mut few = [IoSlice::new(&[]); 1];
        assert_eq!(frame.fill(0, &mut few, 0), 1);
    }

    #[test]
    fn a_frame_in_a_batch_is_small() {
        assert!(size_of::<WireFrame>() <= 16, "{}", size_of::<WireFrame>());
    }
}
