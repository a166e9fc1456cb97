//! Every operation against the emulator, with what it does to connected clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

mod connections;
mod entra;
mod errors;
mod groups;
mod sends;
mod world;
