//! The client and the emulator over a network that fails: what the crate's documentation promises, on real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod faults;
mod invokes;
mod messages;
mod proxy;
mod streams;
mod world;
