//! Waiting until outboxes have room again: for those who fill them.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Outbox;

/// Outboxes that somebody filled more than half while their sockets still drain. Whoever did so goes on when none of
/// them is crowded any more: until then a client is not read, and a REST call is not answered.
#[derive(Debug, Default)]
pub(crate) struct Crowded {
    outboxes: Vec<Arc<Outbox>>,
    /// Where and as whom it waits for the last of them.
    place: Option<(u64, Waker)>,
}

/// Who waits until one outbox has room.
#[derive(Debug, Default)]
pub(super) struct Queuers {
    /// Counts how often all of them were woken, so that each knows whether it still waits.
    round: u64,
    wakers: Vec<Waker>,
}

impl Crowded {
    pub(crate) fn add(&mut self, outboxes: impl IntoIterator<Item = Arc<Outbox>>) {
        self.outboxes.extend(outboxes);
    }

    /// Ready once none of them is crowded.
    pub(crate) fn poll_clear(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(outbox) = self.outboxes.last() {
            if outbox.poll_room(cx, &mut self.place).is_pending() {
                return Poll::Pending;
            }
            self.place = None;
            self.outboxes.pop();
        }
        self.outboxes = Vec::new();
        Poll::Ready(())
    }
}

impl Queuers {
    /// Waits in line, unless that is so already.
    pub(super) fn wait(&mut self, cx: &Context<'_>, place: &mut Option<(u64, Waker)>) {
        if let Some((round, waker)) = place
            && *round == self.round
            && waker.will_wake(cx.waker())
        {
            return;
        }
        self.wakers.push(cx.waker().clone());
        *place = Some((self.round, cx.waker().clone()));
    }

    /// All who wait may look again.
    pub(super) fn release(&mut self) -> Vec<Waker> {
        if !self.wakers.is_empty() {
            self.round += 1;
        }
        std::mem::take(&mut self.wakers)
    }
}
