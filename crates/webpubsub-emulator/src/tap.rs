//! A tap on what passes: requests, frames, events and ends. A log of traffic needs nothing else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use webpubsub_protocol::name::{ConnectionId, GroupName, HubName};

use crate::hub::MessageKind;

/// Entries that a listener may be behind before it misses the oldest.
const ENTRIES: usize = 1024;

/// Something that passed through the emulator. Holds no token and no key. `Display` and `Debug` show no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tapped {
    /// An HTTP request was answered.
    #[non_exhaustive]
    Request {
        /// The method.
        method: String,
        /// The raw path, without the query: that may hold a token.
        path: String,
        /// The REST operation, as the service's description names it; `None` for anything else, and for a call that does
        /// not get so far.
        operation: Option<&'static str>,
        /// The status of the answer; `None` when the connection was closed without one.
        status: Option<u16>,
        /// From the request's head to the answer's, by the emulator's clock.
        took: Duration,
    },
    /// A connection was opened, or got another socket.
    #[non_exhaustive]
    Opened {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Whether an earlier socket was lost or taken over.
        recovered: bool,
    },
    /// A connection ended.
    #[non_exhaustive]
    Ended {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Why, in the words of the `disconnected` event.
        reason: String,
    },
    /// A client sent a frame, or was sent one.
    #[non_exhaustive]
    Frame {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// Which way it went.
        direction: Direction,
        /// What it is.
        kind: MessageKind,
        /// The group that it names or comes from.
        group: Option<GroupName>,
        /// Payload bytes.
        bytes: usize,
        /// How it begins; `None` where it may hold a token.
        excerpt: Option<Excerpt>,
    },
    /// An event handler was sent an event, and answered or failed to.
    #[non_exhaustive]
    HandlerCall {
        /// The hub.
        hub: HubName,
        /// The connection.
        connection_id: ConnectionId,
        /// The name of the event: `connect`, `connected`, `disconnected`, `joined`, `left`, or that of a user event.
        event: String,
        /// Numbers the events of the connection.
        event_id: u64,
        /// How the body of the request begins; `None` for `connect`, which repeats what the client sent to authenticate
        /// itself.
        request: Option<Excerpt>,
        /// The status of the answer; `None` when there was no answer, and for a closure, which has none.
        status: Option<u16>,
        /// How the body of the answer begins, if there was one.
        answer: Option<Excerpt>,
        /// Whether the answer was a success that can be used.
        succeeded: bool,
        /// With all tries and pauses, by the emulator's clock.
        took: Duration,
    },
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// The beginning of a payload, at most [`Excerpt::MAX_BYTES`]. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt {
    beginning: Bytes,
    of: usize,
}

impl Excerpt {
    /// The most bytes that an excerpt holds.
    pub const MAX_BYTES: usize = 256;

    /// A copy, so that it keeps nothing of the payload in memory.
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self {
            beginning: Bytes::copy_from_slice(&payload[..payload.len().min(Self::MAX_BYTES)]),
            of: payload.len(),
        }
    }

    /// The beginning of a payload of so many bytes that is not in one piece.
    pub(crate) fn of_parts(payload: impl Iterator<Item = u8>, of: usize) -> Self {
        let beginning = payload.take(Self::MAX_BYTES).collect();
        Self { beginning, of }
    }

    /// The bytes; of text, the last character may be cut.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.beginning
    }

    /// Whether nothing was left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.beginning.len() == self.of
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} of {} bytes)", self.beginning.len(), self.of)
    }
}

impl fmt::Display for Tapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                method,
                path,
                operation,
                status,
                took,
            } => {
                let operation = operation.unwrap_or("no operation");
                write!(
                    f,
                    "{method} {path} ({operation}): {}, {} ms",
                    Status(*status),
                    took.as_millis()
                )
            }
            Self::Opened {
                hub,
                connection_id,
                recovered,
            } => {
                let what = if *recovered { "recovered" } else { "opened" };
                write!(f, "{hub}/{connection_id} {what}")
            }
            Self::Ended {
                hub,
                connection_id,
                reason,
            } => write!(f, "{hub}/{connection_id} ended: {reason}"),
            Self::Frame {
                hub,
                connection_id,
                direction,
                kind,
                group,
                bytes,
                ..
            } => {
                let arrow = match direction {
                    Direction::In => "->",
                    Direction::Out => "<-",
                };
                write!(f, "{hub}/{connection_id} {arrow} {kind}, {bytes} bytes")?;
                group
                    .iter()
                    .try_for_each(|group| write!(f, ", group {group}"))
            }
            Self::HandlerCall {
                hub,
                connection_id,
                event,
                event_id,
                status,
                took,
                ..
            } => write!(
                f,
                "{hub}/{connection_id} event {event_id} `{event}`: {}, {} ms",
                Status(*status),
                took.as_millis()
            ),
        }
    }
}

struct Status(Option<u16>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("no answer"),
        }
    }
}

/// Hands what passes to the log and to whoever listens. A slow listener misses the oldest, nobody waits for it.
#[derive(Debug)]
pub(crate) struct Tap {
    entries: broadcast::Sender<Tapped>,
    /// Who wants to know. All sockets look here with every frame, and asking the channel would take its lock.
    listeners: AtomicUsize,
}

impl Tap {
    /// Whether what passes is logged is decided now.
    pub(crate) fn new() -> Arc<Self> {
        let is_logged = tracing::enabled!(tracing::Level::DEBUG);
        Arc::new(Self {
            entries: broadcast::Sender::new(ENTRIES),
            listeners: AtomicUsize::new(is_logged.into()),
        })
    }

    pub(crate) fn listen(self: &Arc<Self>) -> TapReceiver {
        let entries = self.entries.subscribe();
        self.listeners.fetch_add(1, Ordering::Relaxed);
        TapReceiver {
            entries,
            tap: Arc::clone(self),
        }
    }

    /// Whether anybody wants to know what passes.
    pub(crate) fn is_open(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Builds the entry only when somebody wants it.
    pub(crate) fn emit(&self, entry: impl FnOnce() -> Tapped) {
        if self.is_open() {
            self.pass_on(entry());
        }
    }

    #[cold]
    fn pass_on(&self, entry: Tapped) {
        match entry {
            Tapped::Frame { .. } => tracing::trace!("{entry}"),
            _ => tracing::debug!("{entry}"),
        }
        // Fails when only the log listens.
        let _ = self.entries.send(entry);
    }
}

/// Receives what passes from the moment it was made. See [`Emulator::tap`](crate::Emulator::tap).
#[derive(Debug)]
pub struct TapReceiver {
    entries: broadcast::Receiver<Tapped>,
    tap: Arc<Tap>,
}

impl TapReceiver {
    /// The next entry. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] with the number of entries that were missed, since they were not read in time: the oldest
    /// that is left comes next. [`RecvError::Closed`] is never returned.
    pub async fn recv(&mut self) -> Result<Tapped, RecvError> {
        self.entries.recv().await
    }

    /// The next entry, if there is one already.
    ///
    /// # Errors
    ///
    /// There is none, or some were missed, as with [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Tapped, TryRecvError> {
        self.entries.try_recv()
    }
}

impl Drop for TapReceiver {
    fn drop(&mut self) {
        self.tap.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(excerpt: Excerpt) -> Tapped {
        Tapped::Frame {
            hub: HubName::new("chat").expect("a name"),
            connection_id: ConnectionId::new("c").expect("an id"),
            direction: Direction::Out,
            kind: MessageKind::Message,
            group: Some(GroupName::new("g").expect("a name")),
            bytes: 300,
            excerpt: Some(excerpt),
        }
    }

    #[test]
    fn entries_are_built_only_for_listeners() {
        let entry = || frame(Excerpt::of(b"x"));
        let tap = Tap::new();
        tap.emit(|| panic!("nobody listens"));
        let mut listener = tap.listen();
        tap.emit(entry);
        assert_eq!(listener.try_recv(), Ok(entry()));
        drop(listener);
        tap.emit(|| panic!("nobody listens any more"));
    }

    #[test]
    fn an_excerpt_is_bounded_and_never_printed() {
        let short = Excerpt::of(b"private");
        assert!(short.is_whole() && short.as_bytes() == b"private");
        let long = Excerpt::of(&[b'x'; 300]);
        assert!(!long.is_whole());
        assert_eq!(long.as_bytes(), [b'x'; Excerpt::MAX_BYTES]);
        let shown = format!("{0} {0:?}", frame(short));
        assert!(!shown.contains("private"), "{shown}");
        assert!(
            shown.starts_with("chat/c <- message, 300 bytes, group g "),
            "{shown}"
        );
    }
}
