//! Deliberate bugs, to see that the simulation finds them.
//!
//! The feature `__planted` makes [`planted`] answer for the one plant that its thread selected.
//! Without the feature it is `false` at compile time, and nothing of a plant is left in the code.

use super::protocol::WireFrame;

macro_rules! plants {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A bug that can be planted where the code asks for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(
            not(feature = "__simulation"),
            allow(unreachable_pub, reason = "public for simulations only")
        )]
        pub enum Plant {
            $($(#[doc = $doc])* $variant,)*
        }

        #[cfg(feature = "__simulation")]
        impl Plant {
            /// Every plant.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

plants! {
    /// What goes out again after a recovery gets another ack id.
    ResentUnderNewId = "resent-under-new-id",
    /// Nothing goes out again after a recovery.
    NothingResent = "nothing-resent",
    /// What was lost with a connection is written on the next one.
    LostIsWritten = "lost-is-written",
    /// A repeated request that the service recognised counts as lost.
    DuplicateIsLost = "duplicate-is-lost",
    /// An automatic ack id is given out again.
    AckIdReused = "ack-id-reused",
    /// The number of requests in flight has no limit.
    InFlightUnlimited = "in-flight-unlimited",
    /// A request that was withdrawn is written.
    CancelledIsWritten = "cancelled-is-written",
    /// Requests go on to wait although nobody reads.
    StallUntold = "stall-untold",
    /// A cancelled invocation is not cancelled at the service.
    CancelUntold = "cancel-untold",
    /// Invocations go out again after a recovery.
    InvocationResent = "invocation-resent",
    /// Sequence acks name one message that has not arrived.
    SequenceAckAhead = "sequence-ack-ahead",
    /// Sequence acks leave the last message out.
    SequenceAckBehind = "sequence-ack-behind",
    /// A recovery forgets what had arrived.
    SequenceForgotten = "sequence-forgotten",
    /// Messages of a replay that had arrived are told again.
    ReplayTold = "replay-told",
    /// A connection that ended with 1008 is recovered.
    RecoveredAfter1008 = "recovered-after-1008",
    /// A lost connection is recovered for three seconds more than the service keeps it.
    WindowLong = "recovery-window-long",
    /// A recovery goes on when each of its sockets dies before the replay is complete.
    WindowBeginsAnew = "window-begins-anew",
    /// The token of a recovered connection is not taken.
    TokenKept = "token-kept",
    /// The time that the service asks to wait is ignored.
    RetryAfterIgnored = "retry-after-ignored",
    /// The end of a connection is not told.
    EndUntold = "end-untold",
    /// A new connection does not join the groups of the old one.
    RejoinForgotten = "rejoin-forgotten",
    /// A new connection does not get the states of the old one.
    OwnStateForgotten = "own-state-forgotten",
    /// A new connection does not get the subscriptions of the old one.
    SubscriptionForgotten = "subscription-forgotten",
    /// A silent socket is kept for ever.
    SilenceKept = "silence-kept",
    /// News of an earlier transport count.
    StaleAttemptCounts = "stale-attempt-counts",
    /// A stop leaves timers behind.
    TimerLeft = "session-timer-left",
    /// A stream goes on behind a fragment that the service refused.
    StreamNotRewound = "stream-not-rewound",
    /// A stream goes on after a recovery where it was, although fragments were lost.
    StreamNotResumed = "stream-not-resumed",
    /// A stream whose opening got lost with a socket waits for ever.
    StreamOpeningWaits = "stream-opening-waits",
}

/// The frame under another ack id, where it is JSON.
pub(crate) fn renumbered(frame: &WireFrame) -> WireFrame {
    match frame {
        WireFrame::Text(text) => WireFrame::Text(text.replace("\"ackId\":", "\"ackId\":9").into()),
        WireFrame::Binary(_) => frame.clone(),
    }
}

/// Whether this bug is planted.
#[cfg(not(feature = "__planted"))]
pub(crate) const fn planted(_: Plant) -> bool {
    false
}

#[cfg(feature = "__planted")]
pub(crate) use selected::planted;
#[cfg(all(feature = "__planted", feature = "__simulation"))]
pub use selected::select;

#[cfg(feature = "__planted")]
mod selected {
    use std::cell::Cell;

    use super::Plant;

    thread_local! {
        static SELECTED: Cell<Option<Plant>> = const { Cell::new(None) };
    }

    /// Plants one bug, or none, for the sessions that this thread drives.
    #[cfg(feature = "__simulation")]
    pub fn select(plant: Option<Plant>) {
        SELECTED.set(plant);
    }

    pub(crate) fn planted(plant: Plant) -> bool {
        SELECTED.get() == Some(plant)
    }
}
