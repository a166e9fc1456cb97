//! What really happened in a run, so that a simulation that stopped seeing things is noticed.

use std::collections::BTreeMap;

use crate::WorldName;

macro_rules! happenings {
    ($($world:ident { $($(#[doc = $doc:literal])* $variant:ident,)* })*) => {
        /// Something worth happening in a simulation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Happening {
            $($($(#[doc = $doc])* $variant,)*)*
        }

        impl Happening {
            /// What can happen in a world.
            #[must_use]
            pub const fn all_of(world: WorldName) -> &'static [Self] {
                match world {
                    $(WorldName::$world => &[$(Self::$variant,)*],)*
                }
            }
        }
    };
}

happenings! {
    Hub {
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

    Session {
        /// A dial was refused with 401.
        Dial401,
        /// A dial was refused with 403 or 404.
        Dial403,
        /// A dial was refused with 429 and a time to wait.
        Dial429,
        /// A dial was refused with 503.
        Dial503,
        /// The network failed a dial.
        DialUnreachable,
        /// A dial was not answered.
        DialHung,
        /// A socket opened and said nothing.
        DialSilent,
        /// A recovery led to another connection.
        RecoveryStripped,
        /// A recovery was refused with 1008.
        RecoveryRefusedWith1008,
        /// A recovery ran out of time.
        RecoveryTooLate,
        /// A recovered socket died before its replay was complete.
        RecoveryUnverified,
        /// A session was recovered.
        SessionRecovered,
        /// … after which messages arrived that it had.
        ReplayedDuplicate,
        /// A line was cut.
        LineCut,
        /// A line went silent.
        LineHalfOpen,
        /// A client was away for longer than its connection lives.
        LongOutage,
        /// The service closed with 1008.
        ClosedWith1008,
        /// A REST call closed the connection.
        ClosedByCall,
        /// News of an old attempt came late.
        StaleInput,
        /// A consumer stopped to read.
        ConsumerBlocked,
        /// … for so long that its session was told.
        ConsumerStalled,
        /// An inbox had more than it may, and wanted nothing to be read.
        InboxBlocked,
        /// … and dropped the oldest.
        InboxDropped,
        /// … and was closed.
        InboxClosed,
        /// A host slept and its clock stood still.
        HostSlept,
        /// A host slept and its clock went on.
        HostSuspended,
        /// The service was replaced.
        ServiceRestarted,
        /// An acknowledgement arrived twice.
        AckRepeated,
        /// The service refused a fragment.
        FragmentRefused,
        /// A session was stopped by its application.
        SessionStopped,
        /// A session stopped since a dial was refused for good.
        SessionRefused,
        /// A session was started again.
        SessionRestarted,
        /// A silent socket was given up.
        SocketSilent,
        /// A request was accepted.
        OutcomeAccepted,
        /// A request was recognised as done.
        OutcomeDuplicate,
        /// A request was refused.
        OutcomeRejected,
        /// A request was lost after it was written.
        OutcomeLost,
        /// A request was lost with its session before it was written.
        OutcomeLostUnwritten,
        /// A request was withdrawn.
        OutcomeCancelled,
        /// A written request was given up.
        OutcomeCancelledLate,
        /// A request could not be answered, since nobody read.
        OutcomeStalled,
        /// An invocation was answered.
        InvocationAnswered,
        /// An invocation was cancelled at the service.
        InvocationCancelled,
        /// The handler was asked again after it failed.
        EventRetried,
        /// A stream was ended.
        StreamEndAccepted,
        /// A stream failed.
        StreamBroken,
        /// A window was full.
        InFlightFull,
        /// The states of a group were seen to change.
        StatesChanged,
        /// A request was written again after a recovery.
        RequestWrittenAgain,
    }

    Sockets {
        /// A socket could not write, since its line was full.
        LineFull,
        /// A client could not send, since the service did not read it.
        ClientHeldBack,
        /// A REST call was not answered, since receivers had no room.
        CallHeldBack,
        /// More than half of what may wait for a client waited.
        HalfFull,
        /// A client did not read for a moment.
        ShortPause,
        /// A client did not read for longer than the service waits.
        LongPause,
        /// A client began to read slowly.
        SlowReader,
        /// A client that did not read was closed.
        StalledClosed,
        /// A line was cut.
        SocketCut,
        /// A line went silent, and neither end heard of it.
        SocketSilence,
        /// … and the service gave it up.
        SilenceNoticed,
        /// A reliable connection got another socket.
        SocketRecovered,
        /// A client closed its connection.
        ClientLeft,
        /// A server closed the connection of a client.
        ServerClosed,
        /// The event handler stopped to answer for a while.
        HandlerPaused,
        /// As much of a client waited for the event handler as may.
        HandlerBehind,
        /// A client was read ahead while it was held back.
        ReadAhead,
    }
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
