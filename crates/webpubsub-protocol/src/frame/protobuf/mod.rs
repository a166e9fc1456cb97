//! Frames as protobuf bytes: the subprotocols `protobuf.webpubsub.azure.v1` and
//! `protobuf.reliable.webpubsub.azure.v1`, defined by `spec/webpubsub.proto`.
//!
//! The decoder accepts any bytes, and checks size and syntax before it looks at the members. It skips
//! unknown members next to a known one and accepts encodings that are not canonical. Binary and protobuf
//! payloads are slices of the frame. The encoder writes the canonical form: members in the order of their
//! numbers, without defaults.
//!
//! # What protobuf cannot express
//!
//! Some differences between frames are lost in this encoding:
//!
//! - A message does not name the user of its publisher: `from_user_id` is not written, and is read as
//!   `None`.
//! - The user of `connected`, and the texts of errors of the service, cannot be empty: an empty one is read
//!   as `None`.
//! - An invocation has no target, and an empty invocation id counts as missing.
//! - The entries of a group state are ordered by key; if a key is repeated, the last value counts.
//! - The idle time-out of a stream is a whole number of milliseconds, at most `u32::MAX` (49 days).
//!
//! # JSON payloads
//!
//! The service does not check `json_data`. This crate requires well-formed JSON that nests one level less
//! than [`JSON_DEPTH`](crate::limits::JSON_DEPTH), because JSON frames contain it verbatim; anything else is
//! malformed. Unlike in a JSON frame, `null` is an ordinary payload.

mod client;
mod server;
mod value;

use bytes::Bytes;

pub use client::{decode_client, encode_client};
pub use server::{MessageNumber, decode_server, encode_message, encode_server, number_message};

use super::DecodeError;

/// Checks what holds for every frame and reads the members.
fn parse<M: prost::Message + Default>(frame: Bytes, limit: usize) -> Result<M, DecodeError> {
    if frame.len() > limit {
        return Err(DecodeError::TooLarge(frame.len()));
    }
    M::decode(frame).map_err(|_| DecodeError::Malformed)
}
