//! What really happened in a run, so that a simulation that stopped seeing things is noticed.

use std::collections::BTreeMap;

macro_rules! happenings {
    ($($(#[doc = $doc:literal])* $variant:ident,)*) => {
        /// Something worth happening in a simulation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Happening {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Happening {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

happenings! {
    /// A connection got a new socket.
    Recovery,
    /// A recovery in the last millisecond of its window.
    RecoveryJustInTime,
    /// A recovery in the first millisecond after its window.
    RecoveryJustTooLate,
    /// A recovery was refused.
    RecoveryRefused,
    /// A recovery with another connection's token was tried.
    ForeignToken,
    /// A second socket took over while the first was alive.
    TakeOver,
    /// A frame of a socket that was taken over reached the service.
    LateFrame,
    /// The recovery window of a connection ended.
    WindowOver,
    /// A client received again what it had, after a recovery.
    ReplayedAgain,
    /// A client received what was sent while it was away.
    ReplayedNew,
    /// A message ran out of time before a socket took it.
    ExpiredWaiting,
    /// A client saw a gap where messages had run out of time.
    ExpiredReplay,
    /// A client that did not read was closed.
    QueueFull,
    /// A client that did not acknowledge was closed.
    ReplayFull,
    /// A client that did not acknowledge ended while it was away.
    ReplayFullAway,
    /// A socket was aborted since it did not take its close.
    Aborted,
    /// A request was executed.
    AckSuccess,
    /// A request was refused.
    AckForbidden,
    /// A request failed at the handler.
    AckFailed,
    /// A repeated request was recognised.
    AckDuplicate,
    /// A failed request was repeated with its id.
    AckRetried,
    /// The handler answered an event with a message.
    EventAnswered,
    /// An invocation was answered.
    InvokeAnswered,
    /// A call was cancelled.
    CallCancelled,
    /// A client was not read, since much waited for the handler.
    NotReadable,
    /// A simple client was closed since the handler failed.
    RawFailed,
    /// A stream accepted a fragment.
    StreamAck,
    /// A stream refused a fragment.
    StreamNack,
    /// A stream was idle for too long.
    StreamIdle,
    /// A stream ended since its publisher may not send any more.
    StreamForbidden,
    /// Receivers of a stream heard that its publisher is gone.
    StreamCancelled,
    /// A snapshot of group state was received.
    StateSnapshot,
    /// An update of group state was received.
    StateUpdate,
    /// A malformed frame closed a connection.
    MalformedFrame,
    /// A frame of the wrong kind closed a connection.
    WrongFrameKind,
    /// A frame above the limit closed a connection.
    TooLargeFrame,
    /// REST closed a connection.
    ClosedByRest,
    /// A client closed for good.
    ClosedByClient,
    /// The service noticed late that a socket was gone.
    HalfOpen,
    /// The service was restarted.
    Restart,
}

/// How often each thing happened.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<Happening, u64>);

impl Coverage {
    pub(crate) fn saw(&mut self, happening: Happening) {
        *self.0.entry(happening).or_default() += 1;
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        for (happening, count) in &other.0 {
            *self.0.entry(*happening).or_default() += count;
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, happening: Happening) -> u64 {
        self.0.get(&happening).copied().unwrap_or_default()
    }
}
