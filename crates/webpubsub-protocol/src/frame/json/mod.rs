//! Frames as JSON text.
//!
//! The decoder accepts any bytes, and checks size, depth, UTF-8 and syntax before it looks at the members.
//! It skips unknown members; if a member is repeated, the last one counts. Payloads without escapes are
//! slices of the frame. The encoder writes compact JSON, with the members in the order of the live service.

mod client;
mod members;
mod scan;
mod server;
mod write;

use bytestring::ByteString;

pub use client::{decode_client, encode_client};
pub use server::{
    decode_server, decode_server_text, encode_message, encode_server, number_message,
};

use super::DecodeError;

/// Checks size and UTF-8.
fn text_within(frame: bytes::Bytes, limit: usize) -> Result<ByteString, DecodeError> {
    check_size(frame.len(), limit)?;
    ByteString::try_from(frame).map_err(|error| DecodeError::Syntax {
        line: 1,
        column: error.valid_up_to() + 1,
    })
}

const fn check_size(bytes: usize, limit: usize) -> Result<(), DecodeError> {
    if bytes > limit {
        return Err(DecodeError::TooLarge(bytes));
    }
    Ok(())
}

/// How many bytes come before the first one that cannot stand for itself in a JSON string: a quote, a backslash or a control
/// character.
fn plain_len(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    // Eight bytes at once. The high bit of a byte that is less than `n` is set in `(word - n) & !word`, at least for the
    // first such byte.
    let (words, _) = text.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is_control = word.wrapping_sub(ONES * 0x20);
        let is_quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let is_backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let special = (is_control | is_quote | is_backslash) & !word & (ONES << 7);
        if special != 0 {
            return index * size_of::<u64>() + special.trailing_zeros() as usize / 8;
        }
    }
    let start = size_of_val(words);
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let rest = &text[start..];
    start + rest.iter().position(is_special).unwrap_or(rest.len())
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
    fn plain_text_ends_at_the_first_special_byte() {
        for len in 0..70 {
            let plain = "\u{7f}é!#[]^~".repeat(8);
            let plain = &plain.as_bytes()[..len];
            assert_eq!(plain_len(plain), len);
            for special in [0, 0x1f, b'"', b'\\'] {
                let text = [plain, &[special], b"\"abc", &[b'x'; 40]].concat();
                assert_eq!(plain_len(&text), len, "{special}");
            }
        }
    }

    #[test]
    fn depth_ignores_strings() {
        assert!(depth_is_within(br#"{"a":"[[[[\"[["}"#, 1));
        assert!(depth_is_within(b"[[]]", 2));
        assert!(!depth_is_within(b"[[]]", 1));
        assert!(depth_is_within(b"[][][]", 1));
    }
}
