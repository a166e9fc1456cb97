//! What passed through, counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start; each only grows.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        /// The counts of an emulator since its start.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// HTTP requests, upgrades included, those to the admin API not.
    requests,
    /// WebSocket connections that were opened.
    connections_opened,
    /// WebSocket connections that ended.
    connections_closed,
    /// Frames that clients sent.
    frames_in,
    /// Payload bytes of the frames that clients sent.
    bytes_in,
    /// Frames that were handed to sockets.
    frames_out,
    /// Payload bytes of the frames that were handed to sockets.
    bytes_out,
    /// Events that event handlers over HTTP were told, whatever came of it. A retry is no other event.
    handler_calls,
    /// Events whose handler could not be asked, or whose answer was no success. A client that is refused with 4xx is no
    /// failure.
    handler_failures,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}
