//! Frames as protobuf bytes: the subprotocols `protobuf.webpubsub.azure.v1` and
//! `protobuf.reliable.webpubsub.azure.v1`, defined by `spec/webpubsub.proto`.
//!
//! Decoding takes any bytes and checks size and syntax before it looks at members. Unknown members
//! beside a known one are skipped, encodings that are not canonical are accepted, and binary and
//! protobuf payloads are slices of the frame. Encoding writes the canonical form: members in the
//! order of their numbers, defaults left out.
//!
//! # What protobuf cannot say
//!
//! These differences between frames do not survive this form:
//!
//! - A message does not name its publisher's user: `from_user_id` is not written and read as `None`.
//! - Empty and absent are the same for the user of `connected`, and for the texts of an error that
//!   the service sends. They are read as `None`.
//! - An invocation has no target, and an empty invocation id is a missing one.
//! - A group state is ordered by key, and of a repeated key the last value counts.
//! - The idle timeout of a stream is whole milliseconds, at most `u32::MAX` of them (49 days).
//!
//! # JSON payloads
//!
//! The service does not look into `json_data`. Here it must be well-formed JSON that nests one level
//! less than [`JSON_DEPTH`](crate::limits::JSON_DEPTH), because JSON frames carry it verbatim;
//! anything else is malformed. Unlike in a JSON frame, `null` is a payload like any other.

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
