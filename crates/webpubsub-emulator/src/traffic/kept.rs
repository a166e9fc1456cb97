//! Events as they can be sent again.

use std::fmt;

use bytes::Bytes;

use crate::handlers::Event;

/// The largest body that is kept.
const BODY_BYTES: usize = 256 * 1024;

/// An event that was sent to a handler, complete. `Debug` does not show its body.
#[derive(Clone, PartialEq, Eq)]
pub struct SentEvent(Event);

impl SentEvent {
    /// A copy, which keeps no frame in memory; `None` when its body is larger than 256 KiB.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        (event.body.len() <= BODY_BYTES).then(|| {
            Self(Event {
                body: Bytes::copy_from_slice(&event.body),
                ..event.clone()
            })
        })
    }

    /// The type of its body.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.0.content_type
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    pub(crate) const fn event(&self) -> &Event {
        &self.0
    }
}

impl fmt::Debug for SentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentEvent({} bytes)", self.0.body.len())
    }
}
