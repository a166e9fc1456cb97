//! Frames as JSON text.
//!
//! The decoder accepts any bytes, and checks size, depth, UTF-8 and syntax before it looks at the members.
//! It skips unknown members; if a member is repeated, the last one counts. Payloads without escapes are
//! slices of the frame. The encoder writes compact JSON, with the members in the order of the live service.

mod client;
mod members;
mod server;
mod write;

use bytestring::ByteString;

pub use client::{decode_client, encode_client};
pub use server::{
    decode_server, decode_server_text, encode_message, encode_server, number_message,
};

use super::DecodeError;
use crate::limits;

/// Checks what holds for every frame, before anything is parsed.
fn checked_text(frame: bytes::Bytes, limit: usize) -> Result<ByteString, DecodeError> {
    check(&frame, limit)?;
    text_within(frame, limit)
}

/// Checks size and depth.
fn check(frame: &[u8], limit: usize) -> Result<(), DecodeError> {
    if frame.len() > limit {
        return Err(DecodeError::TooLarge(frame.len()));
    }
    if !depth_is_within(frame, limits::JSON_DEPTH) {
        return Err(DecodeError::TooDeep);
    }
    Ok(())
}

/// Checks size and UTF-8.
fn text_within(frame: bytes::Bytes, limit: usize) -> Result<ByteString, DecodeError> {
    if frame.len() > limit {
        return Err(DecodeError::TooLarge(frame.len()));
    }
    ByteString::try_from(frame).map_err(|error| DecodeError::Syntax {
        line: 1,
        column: error.valid_up_to() + 1,
    })
}

/// Whether no array or object in the JSON text nests deeper than `limit`. Linear, no recursion.
///
/// Says nothing about whether the text is JSON. Parsers that skip values without building them
/// (`RawValue`) have no limit of their own, hence this one.
#[must_use]
pub fn depth_is_within(text: &[u8], limit: usize) -> bool {
    // Most text has fewer brackets than that, and counting bytes is many times faster than following strings.
    let opens = |byte: &&u8| matches!(byte, b'[' | b'{');
    if text.iter().filter(opens).count() <= limit {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_ignores_strings() {
        assert!(depth_is_within(br#"{"a":"[[[[\"[["}"#, 1));
        assert!(depth_is_within(b"[[]]", 2));
        assert!(!depth_is_within(b"[[]]", 1));
        assert!(depth_is_within(b"[][][]", 1));
    }
}
