//! What tests of the running emulator share: a world with an emulator in it, HTTP by the byte, and
//! WebSocket clients.

pub(crate) mod clients;
pub(crate) mod http;
#[rustfmt::skip]
pub(crate) mod operations;
pub(crate) mod tokens;
pub(crate) mod world;

pub(crate) use self::clients::Client;
pub(crate) use self::http::Reply;
pub(crate) use self::world::World;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Percent-encodes everything but ASCII letters and digits.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
