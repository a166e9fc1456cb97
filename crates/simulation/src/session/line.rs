//! The line between one socket of the service and a session's transport.

use std::time::Duration;

use bytestring::ByteString;
use webpubsub_emulator::driven::{Frame, Socket};
use webpubsub_protocol::session::{Attempt, Input};

use crate::link::OneWay;

/// On its way to the service.
#[derive(Debug)]
pub(super) enum Up {
    Frame(Frame),
    /// The client closes with this code.
    Close(u16),
    /// The client's end is gone.
    Gone,
}

/// One socket, from both ends.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: usize,
    /// Whose news it brings.
    pub(super) attempt: Attempt,
    /// `None` where nobody answers.
    pub(super) socket: Option<Socket>,
    /// The connection that the service has for it.
    pub(super) connection: Option<ByteString>,
    pub(super) drain_is_set: bool,
    pub(super) abort_is_set: bool,
    /// The service has let go of its end.
    pub(super) service_gone: bool,
    /// Nothing passes any more.
    is_dead: bool,
    up: OneWay<Up>,
    down: OneWay<Input>,
}

impl Line {
    pub(super) fn new(client: usize, attempt: Attempt) -> Self {
        Self {
            client,
            attempt,
            socket: None,
            connection: None,
            drain_is_set: false,
            abort_is_set: false,
            service_gone: false,
            is_dead: false,
            up: OneWay::new(),
            down: OneWay::new(),
        }
    }

    /// When it will arrive; never on a dead line.
    pub(super) fn send_up(&mut self, at: Duration, up: Up) -> Option<Duration> {
        (!self.is_dead).then(|| self.up.send(at, up))
    }

    /// When it will arrive; never on a dead line.
    pub(super) fn send_down(&mut self, at: Duration, down: Input) -> Option<Duration> {
        (!self.is_dead).then(|| self.down.send(at, down))
    }

    pub(super) fn take_up(&mut self, now: Duration) -> Option<Up> {
        self.up.take(now)
    }

    pub(super) fn take_down(&mut self, now: Duration) -> Option<Input> {
        self.down.take(now)
    }

    pub(super) fn has_up(&self, now: Duration) -> bool {
        self.up.has_arrived(now)
    }

    /// Frames that the client has not taken.
    pub(super) fn waiting(&self) -> usize {
        self.down.len()
    }

    /// Loses what is under way in both directions, and everything after it.
    pub(super) fn kill(&mut self) {
        self.is_dead = true;
        self.up.lose();
        self.down.lose();
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.is_dead
    }
}
