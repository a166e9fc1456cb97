//! The client's side of a connection, without IO: what a real-time client must do, as a plain value.
//!
//! # The contract
//!
//! A [`Session`] opens no socket, reads no clock and starts no task. You report what happened, with
//! the time, and ask what to do next. It is deterministic: the same calls give the same answers, random
//! delays and ids follow from a seed.
//!
//! **Mutate once, then drain.** After every call that takes `&mut self` and the time:
//!
//! 1. [`poll_action`](Session::poll_action) until `None`: dial, hang up.
//! 2. [`poll_event`](Session::poll_event) until `None`: what the application should know.
//! 3. [`poll_transmit`](Session::poll_transmit) while the socket takes frames, until `None`. A frame
//!    stays in the session until it is taken: ask only when the socket is ready, or a drop loses it.
//! 4. Sleep until [`poll_timeout`](Session::poll_timeout), a report of the transport, or a request
//!    of the application, whichever comes first; then call
//!    [`handle_timeout`](Session::handle_timeout), [`handle_input`](Session::handle_input) or
//!    [`submit`](Session::submit). Calling `handle_timeout` too early does nothing.
//!
//! **Attempts.** Each dial has a number. Report everything about its socket with that number, and keep
//! reporting as long as you like: reports about an abandoned attempt change nothing.
//!
//! **Requests settle exactly once**, by [`Event::Settled`]. What was not yet written waits for the next
//! connection; what was written but not answered is written again under the same ack id after a
//! recovery, and is [`Outcome::Lost`] when there is none.
//!
//! # States
//!
//! ```text
//!             start                 connected
//!  Stopped ──────────► Connecting ─────────────► Connected ◄───────┐
//!     ▲                  ▲    ▲                    │   │           │ first frame
//!     │ stop, refused    │    └── lost, not ───────┘   │ lost      │
//!     └──────────────────┘        recoverable          ▼           │
//!                        ▲                         Recovering ─────┘
//!                        └── 1008, 30 s ───────────────┘
//! ```
//!
//! # By hand
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Instant, SystemTime};
//! use webpubsub_protocol::name::GroupName;
//! use webpubsub_protocol::session::*;
//! use webpubsub_protocol::subprotocol::Subprotocol;
//!
//! // A driver reads the clocks before each call; in this moment everything happens at once.
//! let now = Now { mono: Instant::now(), wall: SystemTime::now() };
//! let protocol = Arc::new(Subprotocol::ReliableJson);
//! let mut session = Session::new(SessionConfig::default(), protocol, 42);
//!
//! // It wants a socket …
//! session.start(now)?;
//! let Some(Action::Dial { attempt, recover: None }) = session.poll_action() else { panic!() };
//! assert_eq!(session.poll_event(), Some(Event::Connecting { attempt: 1 }));
//!
//! // … which opens, and the service says the first word.
//! let text = |text: &str| Input::Frame(WireFrame::Text(text.into()));
//! session.handle_input(now, attempt, Input::Opened);
//! let connected = r#"{"type":"system","event":"connected","connectionId":"c1"}"#;
//! session.handle_input(now, attempt, text(connected));
//! assert!(matches!(session.poll_event(), Some(Event::Connected { .. })));
//!
//! // A request becomes a frame when the socket can take one …
//! let join = Request::join_group(GroupName::new("room")?);
//! let request = session.submit(now, join)?;
//! let Some(WireFrame::Text(frame)) = session.poll_transmit(now) else { panic!() };
//! assert_eq!(frame, r#"{"type":"joinGroup","group":"room","ackId":1}"#);
//!
//! // … and is settled when the service has answered.
//! session.handle_input(now, attempt, text(r#"{"type":"ack","ackId":1,"success":true}"#));
//! let Some(Event::Settled { request: settled, outcome }) = session.poll_event() else { panic!() };
//! assert_eq!(settled, request);
//! assert!(matches!(outcome, Outcome::Accepted { .. }));
//!
//! // Until something happens, there is the next ping to wait for.
//! assert!(session.poll_timeout() > Some(now.mono));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Bounds
//!
//! Memory is bounded by the settings and by what the application does, never by a peer: requests,
//! whether they wait to be written or to be answered, by [`SessionConfig::outbox_frames`],
//! [`SessionConfig::max_in_flight`] and [`SessionConfig::outbox_bytes`], the fragments of a stream
//! by [`SessionConfig::stream_window`] and [`SessionConfig::stream_window_bytes`], inbound streams at 10,000 per subscription. Events and actions
//! do not pile up in a session that is drained after each call. Durations without an end
//! (`Duration::MAX`) are never reached.
//!
//! Implements the client's part of the protocol as numbered in `spec/requirements.toml`.

mod ack_ids;
mod backoff;
mod config;
mod event;
mod frames;
mod group_state;
mod growing_map;
mod inbound_stream;
mod life;
mod outbound_stream;
mod protocol;
mod request;
mod requests;
mod sequence;
mod submit;
#[cfg(test)]
#[expect(
    clippy::field_reassign_with_default,
    reason = "settings are made as applications must make them: the struct is non-exhaustive"
)]
mod tests;
mod timer;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;

pub use backoff::Backoff;
pub use config::SessionConfig;
pub use event::{
    Action, Attempt, Closure, DialFailure, Event, Ignored, Input, Loss, Now, Recovery, StopReason,
};
pub use group_state::{MemberState, StateChange};
pub use inbound_stream::{Fragment, StreamEnd, StreamKey, StreamOptions, SubscriptionId};
pub use protocol::{Protocol, WireFrame};
pub use request::{Acknowledge, Outcome, Request, RequestId, SubmitError};

use backoff::Random;
use group_state::Groups;
use inbound_stream::InboundStreams;
use life::{Link, Phase};
use outbound_stream::OutboundStreams;
use requests::Requests;
use timer::{Timer, Timers};

use crate::frame::ClientFrame;
use crate::name::GroupName;

/// A difference between the clocks that means that the machine slept.
const SLEPT: Duration = Duration::from_secs(5);

/// The client's side of a connection; see the [module's documentation](self) for how to drive it.
pub struct Session {
    config: SessionConfig,
    protocol: Arc<dyn Protocol>,
    random: Random,
    phase: Phase,
    /// The latest dial.
    attempt: Attempt,
    /// There has been no connection since the start.
    initial: bool,
    /// A new URL was asked for because the service refused the last one.
    renewed: bool,
    /// Dials that failed in a row.
    failures: u32,
    /// Sockets in a row that were lost soon after they worked.
    short_lived: u32,
    /// When the socket began to work.
    connected_at: Option<Instant>,
    /// The service refused a dial and asked to wait so long.
    not_before: Option<Instant>,
    /// The connection at the service, which outlives its sockets.
    link: Option<Link>,
    timers: Timers,
    last_received: Option<Instant>,
    last_seen: Option<Now>,
    stalled: bool,
    /// The time for acknowledging what arrived has come.
    sequence_ack_is_due: bool,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    /// Frames that pass all others.
    urgent: VecDeque<WireFrame>,
    /// So does a ping, of which one is enough.
    ping_waits: bool,
    /// It is the streams' turn to write.
    streams_next: bool,
    requests: Requests,
    outbound: OutboundStreams,
    inbound: InboundStreams,
    groups: Groups,
}

/// Which part of its life a session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not started, or stopped.
    Stopped,
    /// Opening a new connection.
    Connecting,
    /// Open.
    Connected,
    /// Its socket was lost; the connection is being recovered.
    Recovering,
}

/// The session runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client is started already")]
pub struct AlreadyStarted;

impl Session {
    /// A session that is stopped. `seed` decides its random delays and ids: give a random one.
    #[must_use]
    pub fn new(config: SessionConfig, protocol: Arc<dyn Protocol>, seed: u64) -> Self {
        Self {
            config,
            protocol,
            random: Random::new(seed),
            phase: Phase::Stopped,
            attempt: Attempt::default(),
            initial: true,
            renewed: false,
            failures: 0,
            short_lived: 0,
            connected_at: None,
            not_before: None,
            link: None,
            timers: Timers::default(),
            last_received: None,
            last_seen: None,
            stalled: false,
            sequence_ack_is_due: false,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            urgent: VecDeque::new(),
            ping_waits: false,
            streams_next: false,
            requests: Requests::default(),
            outbound: OutboundStreams::default(),
            inbound: InboundStreams::default(),
            groups: Groups::default(),
        }
    }

    // Inputs.

    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// When it runs already. A stopped session can be started again.
    pub fn start(&mut self, now: Now) -> Result<(), AlreadyStarted> {
        if self.phase != Phase::Stopped {
            return Err(AlreadyStarted);
        }
        self.observe(now);
        self.begin(now);
        Ok(())
    }

    /// Stops for good: closes the connection with 1000, so that the service forgets it at once, and
    /// settles what waits as [`Loss::Stopped`]. Does nothing when it is stopped.
    pub fn stop(&mut self, now: Now) {
        self.observe(now);
        self.shut_down(StopReason::Requested);
    }

    /// Takes a report of a transport. Those about an abandoned attempt change nothing.
    pub fn handle_input(&mut self, now: Now, attempt: Attempt, input: Input) {
        self.observe(now);
        if attempt != self.attempt || !self.phase.has_transport() {
            return;
        }
        match input {
            Input::Opened => self.opened(now),
            Input::DialFailed(failure) => self.dial_failed(now, failure),
            Input::Frame(frame) => self.frame(now, frame),
            Input::Closed(closure) => self.closed(now, closure),
        }
    }

    /// Acts on the deadlines that have passed; harmless when none has.
    pub fn handle_timeout(&mut self, now: Now) {
        self.observe(now);
        // Settings of zero could make a timer due again at once; then it is due the next time.
        for _ in Timer::ALL {
            let Some((timer, due)) = self.timers.pop_due(now.mono) else {
                break;
            };
            self.fire(now, timer, due);
        }
        self.inbound.handle_timeout(now.mono, &mut self.events);
        let overdue = self.outbound.handle_timeout(now.mono, &mut self.events);
        for stream_id in overdue {
            let frame = self.stream_end(stream_id, "The start was not answered in time.", None);
            self.urgent.push_back(frame);
        }
    }

    /// Reports whether the application has stopped taking events, so that nothing is read from the
    /// socket.
    ///
    /// While it has, answers cannot arrive: what waits for one is settled as [`Outcome::Stalled`], and
    /// requests that need one, or room that only an answer makes, are refused. So an application goes on that waits for a request of its
    /// own in the task that should take the events. Until the session is
    /// [connected](State::Connected), keep reading all the same: it takes a frame or two, and a slow
    /// application must not cost a recovery. Does nothing while the session is stopped.
    pub fn set_stalled(&mut self, now: Now, stalled: bool) {
        self.observe(now);
        if self.phase == Phase::Stopped {
            // A start begins anew.
            return;
        }
        if stalled && !self.stalled {
            self.requests.stall(&mut self.events);
            for stream in self.outbound.stall(&mut self.events) {
                self.abandon_stream(stream);
            }
        }
        self.stalled = stalled;
        // Nothing is read, so silence says nothing.
        self.last_received = Some(now.mono);
        self.timers.clear(Timer::Probe);
    }

    /// Starts to report streams that come in.
    pub fn subscribe_streams(&mut self, options: StreamOptions) -> SubscriptionId {
        self.inbound.subscribe(options)
    }

    /// Ends such a subscription, and with it what it shows; nothing more is reported.
    pub fn unsubscribe_streams(&mut self, subscription: SubscriptionId) {
        self.inbound.unsubscribe(subscription);
    }

    // Outputs.

    /// The next thing to do with transports. Ask after every call that takes the time.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that the application should know. Ask after every call that takes the time.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next frame to write. Ask only when the socket of the latest attempt can take it, and write
    /// what you got. Settles requests, so ask for events after it.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Now) -> Option<WireFrame> {
        if !self.phase.is_open() {
            return None;
        }
        if std::mem::take(&mut self.ping_waits) {
            return Some(self.protocol.encode(&ClientFrame::Ping));
        }
        if let Some(frame) = self.urgent.pop_front() {
            return Some(frame);
        }
        if self.phase != Phase::Connected {
            return None;
        }
        if let Some(frame) = self.sequence_ack(now) {
            return Some(frame);
        }
        // Both take turns, so that neither starves the other.
        let streams_first = std::mem::take(&mut self.streams_next);
        if streams_first && let Some(frame) = self.next_stream_frame(now) {
            return Some(frame);
        }
        let most = self.config.max_in_flight;
        if let Some(frame) = self.requests.next_frame(most, &mut self.events) {
            self.streams_next = true;
            return Some(frame);
        }
        self.next_stream_frame(now)
    }

    /// Returns the memory that events, actions and requests needed. For drivers that are about to wait: a session
    /// that waits for its next event or ping then holds little more than its own state. Does nothing to
    /// what waits to be polled.
    pub fn shrink_to_fit(&mut self) {
        self.actions.shrink_to_fit();
        self.events.shrink_to_fit();
        self.urgent.shrink_to_fit();
        self.requests.shrink();
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. `None` once it is stopped.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.timers.earliest(),
            self.inbound.poll_timeout(),
            self.outbound.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // What it knows.

    /// Which part of its life it is in.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stopped => State::Stopped,
            Phase::Connected => State::Connected,
            _ if self.link.is_some() => State::Recovering,
            _ => State::Connecting,
        }
    }

    /// The id of the connection, while there is one.
    #[must_use]
    pub fn connection_id(&self) -> Option<&ByteString> {
        self.link.as_ref().map(|link| &link.connection_id)
    }

    /// The user of the connection, while there is one and it has one.
    #[must_use]
    pub fn user_id(&self) -> Option<&ByteString> {
        self.link.as_ref().and_then(|link| link.user_id.as_ref())
    }

    /// The id of the stream that this request opened, while the stream exists.
    #[must_use]
    pub fn stream_id(&self, stream: RequestId) -> Option<&ByteString> {
        self.outbound.id_of(stream)
    }

    /// Whether another fragment can be written to the stream that this request opened.
    #[must_use]
    pub fn stream_has_room(&self, stream: RequestId) -> bool {
        self.outbound.has_room(stream, &self.config)
    }

    /// Whether the outbox takes another request: fewer than
    /// [`outbox_frames`](SessionConfig::outbox_frames) wait to be written, and all that are held,
    /// the unanswered ones included, have fewer than [`outbox_bytes`](SessionConfig::outbox_bytes).
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting = self.requests.waiting() + self.outbound.unwritten();
        waiting < self.config.outbox_frames.max(1)
            && self.requests.held_bytes() < self.config.outbox_bytes.max(1)
    }

    /// Counts how often room was freed, in the outbox or in a stream. Only when it has changed can a
    /// request that was refused as [`SubmitError::Full`] fit: then let the callers that wait try
    /// again, in their order, as long as [`check`](Self::check) finds room.
    #[must_use]
    pub fn room_freed(&self) -> u64 {
        self.requests.freed() + self.outbound.freed()
    }

    /// Whether requests wait for an answer.
    #[must_use]
    pub fn has_pending_requests(&self) -> bool {
        self.requests.any_awaited() || self.outbound.any_awaited()
    }

    /// The states of a group's members, ordered by connection id; `None` without a subscription.
    #[must_use]
    pub fn group_states(&self, group: &GroupName) -> Option<Vec<MemberState>> {
        self.groups.states(group)
    }

    /// The groups that are joined, and will be joined again.
    pub fn joined_groups(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.joined()
    }

    fn next_stream_frame(&mut self, now: Now) -> Option<WireFrame> {
        let timeout = self.config.stream_start_timeout;
        self.outbound
            .next_frame(now.mono, timeout, &mut self.events)
    }

    fn sequence_ack(&mut self, now: Now) -> Option<WireFrame> {
        let link = self.link.as_mut()?;
        let at = self.timers.at(Timer::SequenceAck);
        let is_due = self.sequence_ack_is_due
            || at.is_some_and(|at| at <= now.mono)
            || link.sequence.lag() >= self.config.sequence_ack_lag;
        if !is_due {
            return None;
        }
        self.sequence_ack_is_due = false;
        self.timers.clear(Timer::SequenceAck);
        let sequence_id = link.sequence.acknowledge()?;
        Some(
            self.protocol
                .encode(&ClientFrame::SequenceAck { sequence_id }),
        )
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("attempt", &self.attempt)
            .field("connection_id", &self.connection_id())
            .finish_non_exhaustive()
    }
}
