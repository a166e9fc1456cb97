//! What is counted as it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::counters::Counter;

/// Counts of a hub since it was made; each only grows.
#[derive(Debug, Default)]
pub(crate) struct HubCounters {
    pub(crate) frames_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) acks: Counter,
    pub(crate) recoveries: Counter,
    pub(crate) slow_closes: Counter,
}

/// REST calls by operation and status.
#[derive(Debug, Default)]
pub(crate) struct RestCounters(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl RestCounters {
    pub(crate) fn add(&self, operation: &'static str, status: u16) {
        *self.0.lock().entry((operation, status)).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.0.lock().clone()
    }
}

/// The upper bounds of the buckets, in seconds. The last bucket has none.
pub(super) const BOUNDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0,
];

/// How long something took, in buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Latency {
    /// Not cumulative.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) seconds: f64,
}

impl Latency {
    pub(crate) fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS.len())] += 1;
        self.seconds += seconds;
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.seconds += other.seconds;
    }
}
