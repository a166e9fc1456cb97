//! Thousands of starts, stops, drops and cancellations on several threads: nobody may wait for ever.
//!
//! Each test runs for a few seconds; `WEBPUBSUB_STRESS_SECONDS` makes each run for that long instead.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "../driver/fake.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod fake;
mod handles;
#[path = "../stack/proxy.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod proxy;
mod storm;
#[path = "../stack/world.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod world;

use std::time::{Duration, Instant};

/// Longer than anything here takes, on whatever machine.
const FOR_EVER: Duration = Duration::from_secs(20);

/// How long a test goes on.
struct Rounds {
    until: Instant,
}

impl Rounds {
    fn begin() -> Self {
        let seconds = std::env::var("WEBPUBSUB_STRESS_SECONDS")
            .ok()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(2);
        Self {
            until: Instant::now() + Duration::from_secs(seconds),
        }
    }

    fn go_on(&self) -> bool {
        Instant::now() < self.until
    }
}

/// Fails a test that hangs, and says where.
async fn soon<F: IntoFuture>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(FOR_EVER, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("hangs: {what}"),
    }
}
