//! What a reliable client has not acknowledged yet, sent or not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use webpubsub_protocol::frame::SequenceId;

use super::OutboxLimits;
use super::acknowledging::Acknowledged;
use super::queue::{Item, Waiting};
use crate::hub::message::Encoded;
use crate::inspect::Fill;

#[derive(Debug)]
pub(super) struct Replay {
    kept: VecDeque<(SequenceId, Arc<Encoded>)>,
    bytes: usize,
    last_id: u64,
    /// The last message that was forgotten though the client may not have it.
    forgotten: u64,
    /// When it was last empty, or the client last acknowledged something.
    pub(super) acknowledged_at: Instant,
}

impl Replay {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            last_id: 0,
            forgotten: 0,
            acknowledged_at: now,
        }
    }

    /// Whether one more would be more than `limits` allow. What has expired needs no room; its ids stay skipped.
    pub(super) fn is_full_for(
        &mut self,
        now: Instant,
        next: &Encoded,
        limits: OutboxLimits,
    ) -> bool {
        if self.has_room_for(next, limits) {
            return false;
        }
        self.forget_expired(now);
        !self.has_room_for(next, limits)
    }

    fn forget_expired(&mut self, now: Instant) {
        let mut bytes = 0;
        self.kept.retain(|(_, message)| {
            let lives = !message.is_expired(now);
            bytes += if lives { message.len(true) } else { 0 };
            lives
        });
        self.bytes = bytes;
    }

    fn has_room_for(&self, next: &Encoded, limits: OutboxLimits) -> bool {
        self.kept.len() < limits.frames && self.bytes + next.len(true) <= limits.bytes
    }

    /// Whether more is kept than `limits` allow.
    pub(super) fn exceeds(&self, limits: OutboxLimits) -> bool {
        self.kept.len() > limits.frames || self.bytes > limits.bytes
    }

    /// Numbers a message and keeps it.
    pub(super) fn keep(&mut self, now: Instant, message: &Arc<Encoded>) -> SequenceId {
        if self.kept.is_empty() {
            self.acknowledged_at = now;
        }
        self.last_id += 1;
        let id = SequenceId(self.last_id);
        self.bytes += message.len(true);
        self.kept.push_back((id, Arc::clone(message)));
        id
    }

    /// Makes room for a message where there is none: the oldest ones go. Until the client has acknowledged what went, its
    /// connection cannot be recovered.
    pub(super) fn make_room_for(&mut self, next: &Encoded, limits: OutboxLimits) {
        while !self.has_room_for(next, limits)
            && let Some((id, message)) = self.kept.pop_front()
        {
            self.bytes -= message.len(true);
            self.forgotten = id.0;
        }
    }

    /// Whether everything that the client may not have is kept.
    pub(super) const fn is_complete(&self) -> bool {
        self.forgotten == 0
    }

    /// Forgets what the client has.
    pub(super) fn acknowledge(&mut self, now: Instant, acknowledged: Acknowledged) {
        let Acknowledged::UpTo(id) = acknowledged;
        while let Some((first, message)) = self.kept.front()
            && *first <= id
        {
            self.bytes -= message.len(true);
            self.kept.pop_front();
            self.acknowledged_at = now;
        }
        if id.0 >= self.forgotten {
            self.forgotten = 0;
        }
        if self.kept.is_empty() {
            // Its room was for a client that did not acknowledge for a while.
            self.kept = VecDeque::new();
        }
    }

    /// Everything that is still to be delivered, in order, for the next socket.
    pub(super) fn again(&mut self, now: Instant) -> impl Iterator<Item = Waiting> {
        self.acknowledged_at = now;
        self.forget_expired(now);
        self.kept
            .iter()
            .map(|(id, message)| Waiting::new(Item::Message(Arc::clone(message)), Some(*id)))
    }

    pub(super) fn fill(&self) -> Fill {
        Fill {
            frames: self.kept.len(),
            bytes: self.bytes,
        }
    }

    /// Messages for which memory is held.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.kept.capacity()
    }
}
