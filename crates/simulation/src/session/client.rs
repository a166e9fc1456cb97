//! A client: its session, its transport, its host's clock, and what its application remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use webpubsub_emulator::driven::ConnectSpec;
use webpubsub_protocol::session::{Attempt, Request, RequestId, Session, State};

use super::conduct::Conduct;
use super::consumers::Consumers;
use super::mark::Mark;

/// How fast its socket takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pen {
    Quick,
    /// So many frames each time.
    Slow {
        every: Duration,
        most: usize,
    },
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) spec: ConnectSpec,
    pub(super) session: Session,
    pub(super) pen: Pen,
    /// The dial, or the socket, that the session has not been rid of.
    pub(super) transport: Option<Transport>,
    /// For how long its monotonic clock stood still.
    pub(super) stood_still: Duration,
    pub(super) asleep: bool,
    /// Since when its application does not take what arrives.
    pub(super) blocked_since: Option<Duration>,
    /// … and the session was told of it.
    pub(super) stalled: bool,
    pub(super) consumers: Consumers,
    /// No dial reaches the service before this time.
    pub(super) offline_until: Duration,
    /// Its application wants it to run.
    pub(super) wanted: bool,
    pub(super) conduct: Conduct,
    pub(super) requests: BTreeMap<RequestId, Asked>,
    pub(super) streams: Vec<Script>,
    /// The state that it set in each group, as far as it can know.
    pub(super) own_states: BTreeMap<usize, (RequestId, OwnState)>,
    /// Numbers what it sends.
    pub(super) number: u64,
    /// Own ack ids.
    pub(super) own_id: u64,
    /// A message under an own ack id, which may be tried again.
    pub(super) repeatable: Option<(Mark, Request)>,
    /// How often room had been freed when its outbox was full.
    pub(super) full_since: Option<u64>,
    pub(super) write_is_set: bool,
    /// Requests that may wait for their answer.
    pub(super) most_in_flight: usize,
    /// What it received.
    pub(super) heard: BTreeSet<Mark>,
    /// … lastly of each source on this connection.
    pub(super) last_heard: BTreeMap<Source, u64>,
}

/// Where numbered messages come from.
pub(super) type Source = (super::mark::Kind, u64);

/// What there is of a transport.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transport {
    pub(super) attempt: Attempt,
    /// Once the dial arrived.
    pub(super) line: Option<usize>,
    /// The session was told that it is open.
    pub(super) is_open: bool,
}

/// A request that was submitted.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) what: What,
    /// For what carries one.
    pub(super) mark: Option<Mark>,
    pub(super) is_settled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Publish,
    Raise,
    Invoke,
    Join,
    Leave(usize),
    SetState(usize, Option<u64>),
    Subscribe,
    Open(u64),
    /// The fragment of this number.
    Write(u64, u64),
    End(u64),
    KeepAlive,
}

/// A stream as its publisher sees it.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) serial: u64,
    /// The request that stands for it.
    pub(super) opened_by: Option<RequestId>,
    /// It asked for a short idle time-out.
    pub(super) is_idle: bool,
    /// Fragments that were submitted.
    pub(super) submitted: u64,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Opening,
    Open,
    Ending,
}

/// A state that a client set itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnState {
    Is(u64),
    Cleared,
    /// A change of it was given up.
    Unknown,
}

impl Client {
    pub(super) fn new(
        spec: ConnectSpec,
        session: Session,
        pen: Pen,
        most_in_flight: usize,
        consumers: Consumers,
    ) -> Self {
        Self {
            spec,
            session,
            pen,
            transport: None,
            stood_still: Duration::ZERO,
            asleep: false,
            blocked_since: None,
            stalled: false,
            consumers,
            offline_until: Duration::ZERO,
            wanted: true,
            conduct: Conduct::new(),
            requests: BTreeMap::new(),
            streams: Vec::new(),
            own_states: BTreeMap::new(),
            number: 0,
            own_id: 1_000_000,
            repeatable: None,
            write_is_set: false,
            most_in_flight,
            heard: BTreeSet::new(),
            full_since: None,
            last_heard: BTreeMap::new(),
        }
    }

    pub(super) fn is_reliable(&self) -> bool {
        self.spec
            .subprotocol
            .is_some_and(|subprotocol| subprotocol.is_reliable())
    }

    /// Whether the socket is read: by a driver that must stop to read, until a connection stands.
    pub(super) fn reads(&self) -> bool {
        let is_blocked = self.blocked_since.is_some() && self.session.state() == State::Connected;
        !self.asleep && !is_blocked
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A request decided about its state in a group. One that was given up may be done later than
    /// it was told, but never after a request that came later.
    pub(super) fn take_note(&mut self, group: usize, request: RequestId, own: OwnState) {
        let noted = self.own_states.get(&group);
        if noted.is_none_or(|(earlier, _)| *earlier < request) {
            self.own_states.insert(group, (request, own));
        }
    }

    pub(super) fn stream_mut(&mut self, serial: u64) -> Option<&mut Script> {
        self.streams.iter_mut().find(|s| s.serial == serial)
    }

    pub(super) fn forget_stream(&mut self, serial: u64) {
        self.streams.retain(|stream| stream.serial != serial);
    }
}
