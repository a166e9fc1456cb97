//! What waits for the socket.

use std::collections::VecDeque;
use std::sync::Arc;

use webpubsub_protocol::frame::SequenceId;
use webpubsub_protocol::name::GroupName;

use super::OutboxLimits;
use crate::hub::kind::MessageKind;
use crate::hub::message::{Encoded, Frame};
use crate::hub::wire::WireFrame;
use crate::inspect::Fill;

/// A queue that was short keeps its room when it is empty, so that the usual message allocates nothing.
const ROOM_KEPT: usize = 8;

/// Something to go out.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// Something published, in the form of the connection.
    Message(Arc<Encoded>),
    /// A frame for this connection alone; lost with its socket.
    Control(Box<Frame>),
}

/// Something that waits, with its sequence id on reliable connections. Small, since a thousand may.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(super) item: Item,
    pub(super) id: Option<SequenceId>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Waiting {
    /// What it is, and the group that it comes from.
    pub(crate) fn label(&self) -> (MessageKind, Option<GroupName>) {
        match &self.item {
            Item::Message(message) => (message.kind(), message.group().cloned()),
            Item::Control(frame) => (frame.kind(), None),
        }
    }

    pub(super) fn new(item: Item, id: Option<SequenceId>) -> Self {
        Self { item, id }
    }

    /// What it counts for, at least as much as its frame carries.
    pub(super) fn len(&self) -> usize {
        match &self.item {
            Item::Message(message) => message.len(self.id.is_some()),
            Item::Control(frame) => frame.len(),
        }
    }
}

impl From<Waiting> for WireFrame {
    fn from(waiting: Waiting) -> Self {
        match waiting.item {
            Item::Message(message) => message.frame(waiting.id),
            Item::Control(frame) => (*frame).into(),
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn fill(&self) -> Fill {
        Fill {
            frames: self.waiting.len(),
            bytes: self.bytes,
        }
    }

    /// Whether one more would be more than `limits` allow.
    pub(super) fn is_full_for(&self, next: &Waiting, limits: OutboxLimits) -> bool {
        self.waiting.len() >= limits.frames || self.bytes + next.len() > limits.bytes
    }

    /// Whether more waits than `limits` allow.
    pub(super) fn exceeds(&self, limits: OutboxLimits) -> bool {
        self.waiting.len() > limits.frames || self.bytes > limits.bytes
    }

    pub(super) fn push(&mut self, next: Waiting) {
        self.bytes += next.len();
        self.waiting.push_back(next);
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.len();
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM_KEPT {
            self.waiting = VecDeque::new();
        }
        Some(next)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Items for which memory is held.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.waiting.capacity()
    }
}
