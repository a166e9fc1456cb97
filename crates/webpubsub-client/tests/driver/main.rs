//! The driver with a connector of the test: no network, and a clock that stands still until everything waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod credentials;
mod events;
#[allow(dead_code, reason = "the stress test uses the rest")]
mod fake;
mod group_state;
mod handles;
mod life;
mod logs;
mod metrics;
mod options;
mod protocols;
mod requests;
mod router;
mod secrets;
mod streams;
