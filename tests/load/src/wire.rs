//! WebSocket frames as a load generator needs them: written with the least work, read without copies.

/// The operation codes of RFC 6455.
pub mod opcode {
    /// UTF-8 text.
    pub const TEXT: u8 = 1;
    /// Bytes.
    pub const BINARY: u8 = 2;
    /// The end of the connection.
    pub const CLOSE: u8 = 8;
    /// A question whether the peer is there.
    pub const PING: u8 = 9;
    /// Its answer.
    pub const PONG: u8 = 10;
}

/// The head of a frame from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Says what the payload is.
    pub(crate) opcode: u8,
    /// Bytes of the head.
    pub(crate) size: usize,
    /// Bytes of the payload.
    pub(crate) payload: usize,
}

/// What stands at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// A whole head.
    Head(Head),
    /// Too few bytes to tell.
    Incomplete,
    /// No frame that this service sends: fragmented, masked, with reserved bits, or too long to be meant.
    Broken,
}

/// Reads the head at the start of `bytes`.
pub(crate) fn head(bytes: &[u8]) -> Start {
    let [first, second, rest @ ..] = bytes else {
        return Start::Incomplete;
    };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Start::Broken;
    }
    let (size, payload) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Start::Incomplete,
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Start::Incomplete,
        },
        short => (2, u64::from(*short)),
    };
    match usize::try_from(payload) {
        Ok(payload) if payload < 1 << 30 => Start::Head(Head {
            opcode: first & 0x0f,
            size,
            payload,
        }),
        _ => Start::Broken,
    }
}

/// Appends a client's frame to `out`. Its masking key is zero, which leaves the payload as it is: for the server it is a
/// key like any other.
pub fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    write_head(out, opcode, 0x80, payload.len());
    out.extend([0; 4]);
    out.extend(payload);
}

/// Appends a server's frame to `out`.
pub fn write_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    write_head(out, opcode, 0, payload.len());
    out.extend(payload);
}

fn write_head(out: &mut Vec<u8>, opcode: u8, mask: u8, payload: usize) {
    out.push(0x80 | opcode);
    match (u8::try_from(payload), u16::try_from(payload)) {
        (Ok(length @ ..126), _) => out.push(mask | length),
        (_, Ok(length)) => {
            out.push(mask | 126);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend((payload as u64).to_be_bytes());
        }
    }
}

/// The request that opens a WebSocket. Its key is that of the RFC; nobody here looks at the answer to it.
#[must_use]
pub fn upgrade_request(host: &str, target: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let subprotocol = match subprotocol {
        Some(name) => format!("Sec-WebSocket-Protocol: {name}\r\n"),
        None => String::new(),
    };
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{subprotocol}\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_every_length_are_read_once_they_are_whole() {
        for payload in [0_usize, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let mut frame = Vec::new();
            write_server_frame(&mut frame, opcode::TEXT, &vec![b'x'; payload]);
            let Start::Head(head) = head(&frame) else {
                panic!("a head of {payload} bytes");
            };
            assert_eq!(
                (head.opcode, head.payload, head.size + payload),
                (opcode::TEXT, payload, frame.len())
            );
            for cut in 0..head.size {
                assert_eq!(
                    super::head(&frame[..cut]),
                    Start::Incomplete,
                    "{payload} {cut}"
                );
            }
        }
    }

    #[test]
    fn a_frame_of_a_client_is_masked_by_zeros() {
        let mut frame = Vec::new();
        write_frame(&mut frame, opcode::BINARY, b"ab");
        assert_eq!(frame, [0x82, 0x82, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(head(&frame), Start::Broken, "servers do not mask");
    }

    #[test]
    fn fragments_and_absurd_lengths_are_broken() {
        assert_eq!(head(&[0x01, 0x00]), Start::Broken);
        assert_eq!(head(&[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]), Start::Broken);
    }
}
