//! The traffic log: everything that happens, for whoever follows it and whoever looks back.
//!
//! While nobody reads it, an entry costs one relaxed load. With the admin API on, all but frames are kept in a ring; frames
//! only while somebody follows (or when they are asked for), since a message to ten thousand clients is ten thousand frames.

mod event;
mod follow;
mod json;
mod kept;
mod log;
mod why;

pub use event::{Direction, Excerpt, TrafficEntry, TrafficEvent};
pub use follow::{NotSeen, Traffic};
pub(crate) use json::Payload;
pub use kept::SentEvent;
pub(crate) use log::{Log, LogSettings};
pub(crate) use why::{Conjuncts, explain, missing};
pub use why::{Denial, FilteredSend, LeftOut, LookedAt, TokenMismatch, Verdict};
