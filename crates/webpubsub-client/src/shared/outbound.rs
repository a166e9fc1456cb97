//! How the writers of outbound streams learn that their streams failed.

use std::collections::BTreeMap;

use tokio::sync::watch;
use webpubsub_protocol::frame::FrameError;
use webpubsub_protocol::session::RequestId;

/// The writers of open streams.
#[derive(Debug, Default)]
pub(crate) struct OutboundStreams(BTreeMap<RequestId, watch::Sender<Option<FrameError>>>);

impl OutboundStreams {
    /// Shows the failure of this stream, once there is one.
    pub(crate) fn watch(&mut self, stream: RequestId) -> watch::Receiver<Option<FrameError>> {
        let (sender, receiver) = watch::channel(None);
        self.0.insert(stream, sender);
        receiver
    }

    pub(crate) fn forget(&mut self, stream: RequestId) {
        self.0.remove(&stream);
    }

    pub(super) fn fail(&mut self, stream: RequestId, error: &FrameError) {
        if let Some(failed) = self.0.remove(&stream) {
            failed.send_replace(Some(error.clone()));
        }
    }
}
