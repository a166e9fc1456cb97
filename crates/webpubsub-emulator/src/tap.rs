//! A tap on what passes: requests, frames, handler calls. Off, it costs one branch.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast;
use webpubsub_protocol::name::{ConnectionId, HubName};

/// Something that passed through the emulator. Holds no token and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tapped {
    /// An HTTP request was answered.
    Request {
        /// The method.
        method: String,
        /// The raw path, without the query: that may hold a token.
        path: String,
        /// The status of the answer; `None` when the connection was closed without one.
        status: Option<u16>,
    },
    /// A client sent a frame.
    FrameIn {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Payload bytes.
        bytes: usize,
    },
    /// A client was sent a frame.
    FrameOut {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Payload bytes.
        bytes: usize,
    },
    /// An event handler was told of an event, and answered or failed to.
    HandlerCall {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or that of a user event.
        event: String,
        /// Numbers the events of the connection.
        event_id: u64,
        /// The status of the answer, if there was one.
        status: Option<u16>,
        /// Whether the answer was a success that can be used.
        succeeded: bool,
    },
}

/// Hands what passes to whoever listens. A slow listener misses the oldest, nobody waits for it.
///
/// All sockets pass here with every frame, and asking the channel for its listeners takes its lock:
/// hence the flag, which stays set once somebody has listened.
#[derive(Debug)]
pub(crate) struct Tap {
    entries: broadcast::Sender<Tapped>,
    in_use: AtomicBool,
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self {
            entries: broadcast::Sender::new(1024),
            in_use: AtomicBool::new(false),
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Tapped> {
        let listener = self.entries.subscribe();
        self.in_use.store(true, Ordering::Release);
        listener
    }

    /// Builds and sends the entry only when somebody listens.
    pub(crate) fn emit(&self, entry: impl FnOnce() -> Tapped) {
        if self.in_use.load(Ordering::Acquire) && self.entries.receiver_count() > 0 {
            // Fails only when the last listener has just gone.
            let _ = self.entries.send(entry());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_built_only_for_listeners() {
        let entry = || Tapped::Request {
            method: "GET".into(),
            path: "/".into(),
            status: Some(200),
        };
        let tap = Tap::new();
        tap.emit(|| panic!("nobody listens"));
        let mut listener = tap.listen();
        tap.emit(entry);
        assert_eq!(listener.try_recv(), Ok(entry()));
        drop(listener);
        tap.emit(|| panic!("nobody listens any more"));
    }
}
