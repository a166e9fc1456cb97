//! Who goes on once the hub's lock is released.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;

use crate::clock::Clock;

/// Sockets that one thread writes to before other tasks have their turn: about a millisecond of system calls.
const AT_ONCE: usize = 256;

/// A socket that whoever filled its outbox may write to, which spares its task from being woken for each message.
pub(crate) trait Flush: Send + Sync {
    /// Writes what waits, as far as the transport takes it at once. The rest is left to the socket's task.
    fn flush(&self, now: Instant);
}

/// Sockets that have something to write, and tasks that go on. Collected under the hub's lock, which nobody holds while
/// they are [carried out](Self::carry_out).
#[derive(Default)]
#[must_use]
pub(crate) struct Wakes {
    wakers: Vec<Waker>,
    sockets: Vec<Arc<dyn Flush>>,
}

impl Wakes {
    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.sockets.is_empty()
    }

    /// How many go on.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.wakers.len() + self.sockets.len()
    }

    pub(super) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    pub(super) fn flush(&mut self, socket: Arc<dyn Flush>) {
        self.sockets.push(socket);
    }

    pub(crate) fn append(&mut self, mut more: Self) {
        self.wakers.append(&mut more.wakers);
        self.sockets.append(&mut more.sockets);
    }

    /// Wakes the tasks and writes to the sockets. With many sockets only the first are written to here, and tasks of
    /// their own write to the others, on as many threads as are idle.
    pub(crate) fn carry_out(self, clock: &Clock) {
        self.wakers.into_iter().for_each(Waker::wake);
        if self.sockets.is_empty() {
            return;
        }
        let now = clock.mono();
        let mut sockets = self.sockets.into_iter();
        let first: Vec<_> = sockets.by_ref().take(AT_ONCE).collect();
        // Without a runtime nobody waits for a turn.
        if sockets.len() > 0
            && let Ok(runtime) = Handle::try_current()
        {
            while sockets.len() > 0 {
                let some: Vec<_> = sockets.by_ref().take(AT_ONCE).collect();
                runtime.spawn(async move { flush_all(some, now) });
            }
        }
        flush_all(first, now);
        flush_all(sockets, now);
    }
}

/// The budget that tokio gives a task is for what the task does for itself.
fn flush_all(sockets: impl IntoIterator<Item = Arc<dyn Flush>>, now: Instant) {
    let mut sockets = sockets.into_iter();
    let flush = poll_fn(|_| {
        sockets.by_ref().for_each(|socket| socket.flush(now));
        Poll::Ready(())
    });
    let _ = pin!(unconstrained(flush)).poll(&mut Context::from_waker(Waker::noop()));
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakes")
            .field("wakers", &self.wakers.len())
            .field("sockets", &self.sockets.len())
            .finish()
    }
}
