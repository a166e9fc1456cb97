//! A tap on what passes: requests, frames, handler calls. Off, it costs one branch.

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
        /// The status of the answer.
        status: u16,
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
}

/// Hands what passes to whoever listens. A slow listener misses the oldest, nobody waits for it.
#[derive(Debug)]
pub(crate) struct Tap(broadcast::Sender<Tapped>);

impl Tap {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(1024))
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Tapped> {
        self.0.subscribe()
    }

    /// Builds and sends the entry only when somebody listens.
    pub(crate) fn emit(&self, entry: impl FnOnce() -> Tapped) {
        if self.0.receiver_count() > 0 {
            // Fails only when the last listener has just gone.
            let _ = self.0.send(entry());
        }
    }
}
