//! What travels between a session's transport and the service.

use bytestring::ByteString;
use webpubsub_emulator::driven::{Frame, Socket};
use webpubsub_protocol::session::{Attempt, Input};

use crate::line;

/// The line of one dial.
pub(super) type Line = line::Line<ServiceEnd, Up, Input>;

/// The service's end of a line.
#[derive(Debug)]
pub(super) struct ServiceEnd {
    /// Whose news it brings.
    pub(super) attempt: Attempt,
    /// `None` where nobody answers.
    pub(super) socket: Option<Socket>,
    /// The connection that the service has for it.
    pub(super) connection: Option<ByteString>,
}

/// On its way to the service.
#[derive(Debug)]
pub(super) enum Up {
    Frame(Frame),
    /// The client closes with this code.
    Close(u16),
    /// The client's end is gone.
    Gone,
}

impl ServiceEnd {
    pub(super) const fn unanswered(attempt: Attempt) -> Self {
        Self {
            attempt,
            socket: None,
            connection: None,
        }
    }
}
