//! What a socket and its connection hold, for those who hold them to their limits.

use std::sync::{Arc, Weak};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Shared, SocketTask};
use crate::hub::driven::{Amount, Held};

/// A socket that can say what it holds.
pub(in crate::socket) trait Holds: Send + Sync {
    fn held(&self) -> Held;
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> SocketTask<T> {
    /// A look at the socket that does not keep it.
    pub(in crate::socket) fn holds(&self) -> Weak<dyn Holds> {
        let socket: Arc<dyn Holds> = Arc::<Shared<T>>::clone(&self.0);
        Arc::downgrade(&socket)
    }
}

impl<T: Send> Holds for Shared<T> {
    fn held(&self) -> Held {
        let socket = self.socket.lock();
        let writing = socket.writer.frames();
        Held {
            writing: writing.fold(Amount::default(), |so_far, frame| Amount {
                frames: so_far.frames + 1,
                bytes: so_far.bytes + frame.len(),
            }),
            behind_handler: socket.guard.hub.backlog(socket.guard.attachment.key),
            ahead: socket.ahead.held(),
            unread: socket.reader.held(),
            ..self.outbox.held().into()
        }
    }
}
