//! Deliberate bugs, to see that the simulation finds them.
//!
//! The feature `__planted` makes [`planted`] answer for the one plant that its thread selected.
//! Without the feature it is `false` at compile time, and nothing of a plant is left in the code.

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
    /// A replay leaves out its first message.
    ReplaySkipsFirst = "replay-skips-first",
    /// A replay begins with its last message.
    ReplayOutOfOrder = "replay-out-of-order",
    /// After a recovery the last sequence id is given out again.
    SequenceIdReused = "sequence-id-reused",
    /// A sequence ack also drops the message after it.
    AckDropsOneMore = "ack-drops-one-more",
    /// A sequence ack below an earlier one drops everything.
    LowerAckDropsAll = "lower-ack-drops-all",
    /// The recovery window is a second longer.
    WindowLong = "window-long",
    /// The recovery window is a second shorter.
    WindowShort = "window-short",
    /// The end of an earlier absence ends a later one.
    WindowOfEarlierLoss = "window-of-earlier-loss",
    /// A socket that was taken over still gets what is sent.
    OldSocketDrains = "old-socket-drains",
    /// What a socket says that was taken over still counts.
    OldSocketSpeaks = "old-socket-speaks",
    /// Reliable clients get messages whose time is over.
    TtlIgnoredInReplay = "ttl-ignored-in-replay",
    /// Messages live a second longer.
    TtlLong = "ttl-long",
    /// A message is still sent at the very moment when its time is over.
    TtlInclusive = "ttl-inclusive",
    /// The replay queue takes one message more.
    BufferLarge = "buffer-large",
    /// The replay queue takes one message less.
    BufferSmall = "buffer-small",
    /// A full outbound queue drops the message and keeps the client.
    SlowClientKept = "slow-client-kept",
    /// The outbound queue grows without a limit.
    QueueUnbounded = "queue-unbounded",
    /// `noEcho` is ignored.
    NoEchoIgnored = "no-echo-ignored",
    /// A message for a user goes twice to a user with two connections.
    UserHearsTwice = "user-hears-twice",
    /// Exclusions of a send are ignored.
    ExcludedHears = "excluded-hears",
    /// A repeated ack id is executed again.
    DuplicateRunsAgain = "duplicate-runs-again",
    /// A failed request uses up its ack id.
    FailureUsesAckId = "failure-uses-ack-id",
    /// An ended connection stays a member of its groups.
    EndKeepsMembership = "end-keeps-membership",
    /// A member that left still gets what is sent to the group.
    LeaveKeepsMembership = "leave-keeps-membership",
    /// A recovered connection is in no group.
    RecoveryLosesGroups = "recovery-loses-groups",
    /// Deadlines of what is gone are kept.
    TimerLeft = "timer-left",
    /// A close carries no reason.
    CloseWithoutReason = "close-without-reason",
    /// A server's close does not say goodbye.
    NoFarewell = "no-farewell",
    /// A fragment after a gap is published.
    StreamGapAccepted = "stream-gap-accepted",
    /// A fragment that was published already is published again.
    StreamDuplicatePublished = "stream-duplicate-published",
    /// A keep-alive does not keep a stream alive.
    StreamKeepAliveIgnored = "stream-keep-alive-ignored",
    /// The receivers of a stream are not told that its publisher is gone.
    StreamEndSilent = "stream-end-silent",
    /// Leaving a group does not clear the state there.
    StateKeptOnLeave = "state-kept-on-leave",
    /// Leaving a group does not end the subscription to its states.
    SubscriptionKeptOnLeave = "subscription-kept-on-leave",
    /// Frames behind a handler's call do not wait for it.
    CallDoesNotBlock = "call-does-not-block",
    /// The ack of an event comes before the handler's answer.
    AckBeforeAnswer = "ack-before-answer",
    /// A lost socket does not cancel the handler's call.
    CallSurvivesLoss = "call-survives-loss",
    /// A delivery wakes nobody.
    WakeLost = "wake-lost",
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

    /// Plants one bug, or none, for the hubs that this thread drives.
    #[cfg(feature = "__simulation")]
    pub fn select(plant: Option<Plant>) {
        SELECTED.set(plant);
    }

    pub(crate) fn planted(plant: Plant) -> bool {
        SELECTED.get() == Some(plant)
    }
}
