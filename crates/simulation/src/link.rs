//! What travels between the clients of the hub's world and the service, and how fast it is read.

use std::time::Duration;

use webpubsub_emulator::driven::{Frame, Socket};

use crate::line::Line;
use crate::reference::Received;
use crate::wire::Seen;

/// The line of one socket.
pub(crate) type Link = Line<ServiceEnd, Up, Down>;

/// The service's end of a link.
#[derive(Debug)]
pub(crate) struct ServiceEnd {
    pub(crate) socket: Socket,
    /// How fast it writes: as fast as the client reads.
    pub(crate) pace: Pace,
}

/// On its way to the service.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    /// A frame, and what it means.
    Frame(Frame, Received),
    /// The client closes with this code.
    Close(u16),
}

/// On its way to the client.
#[derive(Debug, Clone)]
pub(crate) enum Down {
    /// The socket is open.
    Opened,
    Frame(Seen),
    /// With this code.
    Close(u16),
    /// The socket ended without a close.
    HungUp,
}

/// How fast a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the service writes.
    Full,
    /// So many frames each time.
    Slow { every: Duration, most: usize },
    /// Never.
    Stuck,
}
