//! What waits to go out on one connection. It has its own lock, so a socket drains it without the
//! hub's; only the hub puts in, under its lock, so that all sockets see one order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::message::{Frame, SharedMessage, WireForm};

/// How long a close waits for queued frames before the socket is aborted.
pub(crate) const CLOSE_DRAIN: Duration = Duration::from_secs(5);

/// The same for a client that does not read: most likely it never will.
pub(crate) const SLOW_DRAIN: Duration = Duration::from_secs(1);

/// The most that one connection may have waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// Something to go out.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A published message, encoded in the connection's wire form when it goes out.
    Message(Arc<SharedMessage>),
    /// A frame for this connection alone.
    Control(Frame),
}

/// How the service ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
    /// When the socket is aborted if it has not drained.
    pub(crate) abort_at: Instant,
}

/// What a drain found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Frames were taken, or there were none.
    Open,
    /// Nothing is left, and nothing will come: send this close.
    Closed(Close),
}

/// The outbox is full; the connection must end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Outbox {
    form: WireForm,
    limits: OutboxLimits,
    queue: Mutex<Queue>,
    /// Signalled when there is something to drain.
    filled: Notify,
    /// Signalled when the service closes the connection.
    closed: Notify,
    /// Set while frames of this client wait for a handler and no more may be read.
    paused: AtomicBool,
    resumed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    close: Option<Close>,
}

impl Outbox {
    pub(crate) fn new(form: WireForm, limits: OutboxLimits) -> Arc<Self> {
        Arc::new(Self {
            form,
            limits,
            queue: Mutex::default(),
            filled: Notify::new(),
            closed: Notify::new(),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
        })
    }

    pub(crate) fn form(&self) -> WireForm {
        self.form
    }

    /// Puts an item at the end. The caller wakes the socket once the hub's lock is released.
    pub(super) fn push(&self, item: Item) -> Result<(), Full> {
        let size = self.size(&item);
        let mut queue = self.queue.lock();
        if queue.items.len() >= self.limits.frames || queue.bytes + size > self.limits.bytes {
            return Err(Full);
        }
        queue.bytes += size;
        queue.items.push_back(item);
        Ok(())
    }

    /// Ends the connection after what waits, plus one `last` frame that no limit holds back.
    pub(super) fn close(&self, last: Option<Frame>, close: Close) {
        let mut queue = self.queue.lock();
        if queue.close.is_none() {
            queue.items.extend(last.map(Item::Control));
            queue.close = Some(close);
        }
    }

    /// Wakes the socket; called after the hub's lock was released.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
        if self.queue.lock().close.is_some() {
            self.closed.notify_one();
        }
    }

    /// Moves at most `most` frames into `into`, skipping expired messages.
    pub(crate) fn drain(&self, now: Instant, most: usize, into: &mut Vec<Frame>) -> Drained {
        let mut queue = self.queue.lock();
        while into.len() < most {
            let Some(item) = queue.items.pop_front() else {
                break;
            };
            queue.bytes = queue.bytes.saturating_sub(self.size(&item));
            match item {
                Item::Control(frame) => into.push(frame),
                Item::Message(message) if message.is_expired(now) => {}
                Item::Message(message) => into.push(message.frame(self.form).clone()),
            }
        }
        match &queue.close {
            Some(close) if queue.items.is_empty() => Drained::Closed(close.clone()),
            _ => Drained::Open,
        }
    }

    /// Completes when there may be something to drain. For the one socket of the connection.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Completes when the service closes the connection, with the moment to abort the socket.
    pub(crate) async fn abort_at(&self) -> Instant {
        loop {
            if let Some(close) = &self.queue.lock().close {
                return close.abort_at;
            }
            self.closed.notified().await;
        }
    }

    /// Stops or goes on reading this client's frames.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        if !paused {
            self.resumed.notify_one();
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Completes when frames of this client may be read.
    pub(crate) async fn readable(&self) {
        while self.is_paused() {
            self.resumed.notified().await;
        }
    }

    fn size(&self, item: &Item) -> usize {
        match item {
            Item::Message(message) => message.frame(self.form).len(),
            Item::Control(frame) => frame.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(text: &str) -> Item {
        Item::Control(Frame::Text(text.into()))
    }

    fn outbox(frames: usize, bytes: usize) -> Arc<Outbox> {
        Outbox::new(WireForm::Json, OutboxLimits { frames, bytes })
    }

    fn close(abort_at: Instant) -> Close {
        Close {
            code: 1000,
            reason: String::new(),
            abort_at,
        }
    }

    fn now() -> Instant {
        crate::clock::Clock::manual().now().mono
    }

    #[test]
    fn limits_count_frames_and_bytes() {
        let frames = outbox(2, 100);
        assert_eq!(frames.push(control("a")), Ok(()));
        assert_eq!(frames.push(control("b")), Ok(()));
        assert_eq!(frames.push(control("c")), Err(Full));

        let bytes = outbox(100, 3);
        assert_eq!(bytes.push(control("abc")), Ok(()));
        assert_eq!(bytes.push(control("d")), Err(Full));
        let mut taken = Vec::new();
        bytes.drain(now(), 10, &mut taken);
        assert_eq!(
            bytes.push(control("d")),
            Ok(()),
            "what was drained no longer counts"
        );
    }

    #[test]
    fn a_close_comes_after_what_waits_and_only_once() {
        let outbox = outbox(1, 100);
        outbox.push(control("a")).expect("room");
        let at = now();
        outbox.close(Some(Frame::Text("bye".into())), close(at));
        outbox.close(
            Some(Frame::Text("again".into())),
            Close {
                code: 1001,
                ..close(at)
            },
        );

        let mut taken = Vec::new();
        assert_eq!(outbox.drain(at, 1, &mut taken), Drained::Open);
        assert_eq!(outbox.drain(at, 2, &mut taken), Drained::Closed(close(at)));
        assert_eq!(taken, [Frame::Text("a".into()), Frame::Text("bye".into())]);
    }

    #[tokio::test]
    async fn a_wake_is_not_lost_when_nobody_waits_yet() {
        let outbox = outbox(1, 100);
        let at = now();
        outbox.close(None, close(at));
        outbox.wake();
        outbox.filled().await;
        assert_eq!(outbox.abort_at().await, at);
    }
}
