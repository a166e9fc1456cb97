//! The tests of the public API, in one binary: linking one is much faster than linking nine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic"
)]

mod answers;
mod common;
mod emulator;
mod entra;
mod lists;
mod requests;
mod retries;
mod secrets;
mod tracing;
mod wire;
