//! The hold that a socket's task has on its connection.

use std::future::Future;
use std::sync::Arc;

use crate::http::Watch;
use crate::hub::{Admission, Attachment, End, Gone, Hub};
use crate::service::{Service, SocketKey};
use crate::traffic::TrafficEvent;

/// A socket's hold on its connection: dropped, the connection knows that the socket is gone.
pub(super) struct SocketGuard {
    pub(super) service: Arc<Service>,
    pub(super) hub: Arc<Hub>,
    pub(super) attachment: Attachment,
    /// The connection below, where there is one.
    pub(super) line: Option<Watch>,
    key: SocketKey,
}

impl SocketGuard {
    pub(super) fn new(
        service: Arc<Service>,
        hub: Arc<Hub>,
        attachment: Attachment,
        line: Option<Watch>,
    ) -> Self {
        service.counters().connections_opened.add(1);
        if attachment.admission != Admission::Opened {
            hub.counters().recoveries.add(1);
        }
        service.traffic().note(|| TrafficEvent::Opened {
            hub: hub.name().clone(),
            connection_id: attachment.connection_id.clone(),
            user_id: attachment.user_id.as_deref().cloned(),
            subprotocol: attachment.protocol.as_ref().map(ToString::to_string),
            recovered: attachment.admission != Admission::Opened,
        });
        Self {
            key: service.sockets().add(),
            service,
            hub,
            attachment,
            line,
        }
    }

    /// Runs a task that holds this guard, until it ends or the service waits no longer.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        self,
        task: impl FnOnce(Self) -> F,
    ) {
        let (service, key) = (Arc::clone(&self.service), self.key);
        let task = tokio::spawn(task(self));
        service.sockets().started(key, task.abort_handle());
    }

    pub(super) fn end(&self, end: &End) {
        self.hub
            .socket_failed(self.attachment.key, self.attachment.epoch, end);
    }

    pub(super) fn gone(&self, gone: Gone) {
        self.hub
            .socket_gone(self.attachment.key, self.attachment.epoch, gone);
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.attachment.outbox.let_go();
        self.gone(Gone::Lost);
        self.service.counters().connections_closed.add(1);
        self.service.sockets().remove(self.key);
    }
}
