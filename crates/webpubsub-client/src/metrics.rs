//! Hooks for metrics.

use webpubsub_protocol::session::{Loss, State};

/// What a client reports to a metrics system. By default the methods do nothing. They are called by the task that owns the
/// socket, so they should count and return.
pub trait Metrics: Send + Sync + 'static {
    /// A frame of this size was written.
    fn frame_sent(&self, bytes: usize) {
        let _ = bytes;
    }

    /// A frame of this size arrived.
    fn frame_received(&self, bytes: usize) {
        let _ = bytes;
    }

    /// A frame of the service was skipped.
    fn frame_ignored(&self) {}

    /// The client's state changed.
    fn state_changed(&self, state: State) {
        let _ = state;
    }

    /// A socket was lost; its connection is being recovered.
    fn recovering(&self, cause: &Loss) {
        let _ = cause;
    }

    /// A connection was recovered with this many messages.
    fn recovered(&self, replayed: u64) {
        let _ = replayed;
    }

    /// A connection was lost for good.
    fn disconnected(&self, cause: &Loss) {
        let _ = cause;
    }
}

/// Reports nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoMetrics;

impl Metrics for NoMetrics {}
