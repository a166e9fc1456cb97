//! What a driver does: hands news in, takes what the session wants, and writes.

use std::time::Duration;

use webpubsub_emulator::driven::Frame;
use webpubsub_protocol::frame::{ClientFrame, ServerFrame, json, protobuf};
use webpubsub_protocol::payload::Payload;
use webpubsub_protocol::session::{
    Action, Attempt, DialFailure, Event, Input, Protocol, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::client::{Pen, Transport};
use super::conduct::Written;
use super::line::Up;
use super::mark::Mark;
use super::world::{self, World};
use crate::coverage::Happening;
use crate::failure::{Check, Finding};

/// Frames that one call of the driver may write.
const FRAMES: usize = 5000;

/// The code with which the service refuses a recovery or drops a slow client.
const POLICY_VIOLATION: u16 = 1008;

/// What came out of a session after one call.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Its connection is over, or it stopped.
    pub(super) ended: bool,
    pub(super) stopped: bool,
    /// An acknowledged request was lost.
    pub(super) lost: bool,
    /// A request was lost that had not been written.
    pub(super) lost_unwritten: bool,
}

impl World {
    /// Tells a session what its transport reports.
    pub(super) fn input(&mut self, client: usize, attempt: Attempt, input: Input) -> Check {
        if !matches!(input, Input::Frame(_)) {
            self.note(|| format!("client {client} hears of {attempt:?}: {input:?}"));
        }
        let state = &mut self.clients[client];
        let current = state.transport.filter(|t| t.attempt == attempt);
        if let Some(transport) = current {
            match &input {
                Input::Opened => {
                    let is_open = true;
                    state.transport = Some(Transport {
                        is_open,
                        ..transport
                    });
                }
                Input::Frame(frame) => {
                    let frame = frame.clone();
                    self.frame_arrives(client, transport, frame)?;
                }
                Input::Closed(closure) => {
                    state.transport = None;
                    if closure.code == Some(POLICY_VIOLATION) {
                        state.conduct.closed_with_1008();
                    }
                    self.maybe_stale(client, attempt);
                }
                _ => {
                    state.transport = None;
                    if let Input::DialFailed(DialFailure::Refused {
                        retry_after: Some(wait),
                        ..
                    }) = &input
                    {
                        state.conduct.asked_to_wait(self.now, *wait);
                    }
                    self.maybe_stale(client, attempt);
                }
            }
        }
        let now = self.now_at(client);
        self.clients[client]
            .session
            .handle_input(now, attempt, input);
        self.pump(client)
    }

    /// … once its host is awake.
    pub(super) fn input_or_later(
        &mut self,
        client: usize,
        attempt: Attempt,
        input: Input,
    ) -> Check {
        if self.clients[client].asleep {
            self.schedule_in(300..600, world::Event::Stale(client, attempt, input));
            return Ok(());
        }
        self.input(client, attempt, input)
    }

    fn frame_arrives(&mut self, client: usize, transport: Transport, frame: WireFrame) -> Check {
        let frame = self
            .subprotocol(client)
            .decode(frame)
            .map_err(|error| Finding::new("clients understand every frame", "a frame", error))?;
        self.note(|| format!("client {client} reads {frame:?}"));
        let state = &mut self.clients[client];
        let sequence = match &frame {
            ServerFrame::Message(message) => message.sequence_id,
            ServerFrame::GroupStateSnapshot { sequence_id, .. }
            | ServerFrame::GroupStateUpdate { sequence_id, .. } => *sequence_id,
            ServerFrame::Ack { ack_id, .. } => {
                state.conduct.answered(*ack_id);
                None
            }
            ServerFrame::Connected {
                reconnection_token: Some(token),
                ..
            } => {
                state.conduct.received_token(token);
                None
            }
            ServerFrame::InvokeResponse { invocation_id, .. } => {
                state.conduct.invocation_answered(invocation_id);
                None
            }
            _ => None,
        };
        let connection = transport
            .line
            .and_then(|line| self.lines[line].end.connection.as_ref());
        if let (Some(sequence), Some(connection)) = (sequence, connection) {
            state.conduct.delivered(self.now, connection, sequence.0);
        }
        Ok(())
    }

    /// A deadline of a session has come.
    pub(super) fn session_timer(&mut self, client: usize) -> Check {
        let now = self.now_at(client);
        self.note(|| format!("client {client} looks at its timers"));
        self.clients[client].session.handle_timeout(now);
        self.pump(client)
    }

    /// Takes everything that a session wants, after a call of it.
    pub(super) fn pump(&mut self, client: usize) -> Check {
        let was_stopped = self.clients[client].conduct.is_stopped;
        let mut drained = Drained::default();
        let mut frames = 0;
        loop {
            while let Some(event) = self.clients[client].session.poll_event() {
                self.event(client, event, &mut drained)?;
            }
            while let Some(action) = self.clients[client].session.poll_action() {
                if was_stopped {
                    return Err(after_stop(format!("{action:?}")));
                }
                self.carry_out(client, action)?;
            }
            if self.clients[client].pen != Pen::Quick || !self.write_next(client)? {
                break;
            }
            frames += 1;
            if frames > FRAMES {
                let seen = format!("more than {FRAMES} frames");
                return Err(Finding::new("a session comes to rest", "rest", seen));
            }
        }
        self.check_drained(client, &drained)?;
        self.set_pen(client);
        Ok(())
    }

    fn check_drained(&mut self, client: usize, drained: &Drained) -> Check {
        if drained.lost && !drained.ended {
            return Err(Finding::new(
                "requests survive a recovery",
                "`Lost` with the connection",
                "`Lost`, and it goes on",
            ));
        }
        if drained.lost_unwritten && !drained.stopped {
            return Err(Finding::new(
                "what was not written waits for the next connection",
                "`Lost` when it stops",
                "`Lost`, and it goes on",
            ));
        }
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        let rests = state.transport.is_some_and(|t| t.is_open) && state.pen == Pen::Quick;
        if rests && !state.conduct.owed_cancels.is_empty() {
            let owed = format!("{:?}", state.conduct.owed_cancels);
            return Err(Finding::new(
                "the service is told of cancelled invocations",
                owed,
                "nothing",
            ));
        }
        if !state.conduct.is_stopped {
            return Ok(());
        }
        if state.transport.is_some() {
            return Err(after_stop("a transport"));
        }
        if let Some(due) = state.session.poll_timeout() {
            return Err(after_stop(format!("a timer, {:?} away", due - now.mono)));
        }
        match state.session.poll_transmit(now) {
            Some(frame) => Err(after_stop(format!("{frame:?}"))),
            None => Ok(()),
        }
    }

    fn carry_out(&mut self, client: usize, action: Action) -> Check {
        self.note(|| format!("client {client} wants {action:?}"));
        let state = &mut self.clients[client];
        match action {
            Action::Dial { attempt, recover } => {
                if let Some(transport) = state.transport {
                    let seen = format!("{attempt:?} beside {transport:?}");
                    return Err(Finding::new("one transport at a time", "one", seen));
                }
                if state.conduct.is_stopped {
                    return Err(after_stop("a dial"));
                }
                state.conduct.dial(self.now, recover.as_ref())?;
                state.transport = Some(Transport {
                    attempt,
                    line: None,
                    is_open: false,
                });
                self.start_dial(client, attempt, recover);
            }
            Action::Hangup {
                attempt,
                close_code,
            } => {
                let transport = state.transport.take_if(|t| t.attempt == attempt);
                let Some(transport) = transport else {
                    let seen = format!("{attempt:?}");
                    return Err(Finding::new(
                        "only what is there is hung up",
                        "a transport",
                        seen,
                    ));
                };
                self.hang_up(transport, close_code);
                self.maybe_stale(client, attempt);
            }
            _ => {}
        }
        Ok(())
    }

    // Writing.

    /// Lets a slow socket take frames later.
    fn set_pen(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if let Pen::Slow { every, .. } = state.pen
            && !state.write_is_set
            && state.transport.is_some_and(|t| t.is_open)
        {
            state.write_is_set = true;
            self.schedule(self.now + every, world::Event::Write(client));
        }
    }

    pub(super) fn write_slowly(&mut self, client: usize) -> Check {
        self.clients[client].write_is_set = false;
        if self.clients[client].asleep {
            return Ok(());
        }
        if let Pen::Slow { every, most } = self.clients[client].pen {
            let mut written = 0;
            while written < most && self.write_next(client)? {
                written += 1;
            }
            if written == most {
                self.clients[client].write_is_set = true;
                self.schedule(self.now + every, world::Event::Write(client));
            } else if written == 0 {
                return Ok(());
            }
        }
        self.pump(client)
    }

    /// Whether there was a frame to write.
    fn write_next(&mut self, client: usize) -> Result<bool, Finding> {
        let now = self.now_at(client);
        let state = &mut self.clients[client];
        let Some(transport) = state.transport.filter(|t| t.is_open) else {
            return Ok(false);
        };
        let Some(wire) = state.session.poll_transmit(now) else {
            return Ok(false);
        };
        let subprotocol = state.spec.subprotocol.expect("a session has a subprotocol");
        let frame = decode_client(subprotocol, &wire)?;
        let mark = payload_of(&frame).and_then(Mark::read);
        let most = state.most_in_flight;
        let written = state.conduct.write(&frame, mark, most)?;
        if state.conduct.in_flight() == most {
            self.coverage.saw(Happening::InFlightFull);
        }
        if written == Written::Again {
            self.coverage.saw(Happening::RequestWrittenAgain);
        }
        if matches!(frame, ClientFrame::CancelInvocation { .. }) {
            self.coverage.saw(Happening::InvocationCancelled);
        }
        if let (Some(mark), Some(connection)) = (mark, state.conduct.connection.clone()) {
            self.ledger.written(mark, connection)?;
        }
        self.note(|| format!("client {client} writes {frame:?}"));
        if let Some(line) = transport.line {
            self.send_up(line, Up::Frame(to_driven(wire)));
        }
        Ok(true)
    }

    // The host.

    /// A host wakes up, and finds what arrived meanwhile.
    pub(super) fn wake(&mut self, client: usize, stood_still: Duration) -> Check {
        self.note(|| format!("the host of client {client} wakes up"));
        self.clients[client].asleep = false;
        self.clients[client].stood_still += stood_still;
        self.read_on(client);
        self.set_pen(client);
        Ok(())
    }

    /// A consumer reads again.
    pub(super) fn resume(&mut self, client: usize) -> Check {
        if self.clients[client].blocked_since.is_none() {
            return Ok(());
        }
        if self.clients[client].asleep {
            self.schedule_in(300..600, world::Event::Resume(client));
            return Ok(());
        }
        self.note(|| format!("client {client} reads again"));
        let now = self.now_at(client);
        self.clients[client].blocked_since = None;
        self.clients[client].stalled = false;
        self.clients[client].session.set_stalled(now, false);
        self.read_on(client);
        self.pump(client)
    }

    fn read_on(&mut self, client: usize) {
        if let Some(line) = self.clients[client].transport.and_then(|t| t.line) {
            self.schedule(self.now, world::Event::Down(line));
        }
    }

    fn event(&mut self, client: usize, event: Event, drained: &mut Drained) -> Check {
        self.note(|| format!("client {client} says {event:?}"));
        let line = self.clients[client].transport.and_then(|t| t.line);
        let at_service = line.and_then(|line| self.lines[line].end.connection.clone());
        let conduct = &mut self.clients[client].conduct;
        let is_unverified = matches!(event, Event::Recovering { .. }) && conduct.is_recovering();
        let is_stalled = self.clients[client].stalled;
        let conduct = &mut self.clients[client].conduct;
        if is_stalled && is_unverified {
            // The replay could not be read, so nobody knows that it was not complete.
            conduct.recovered_unseen();
        }
        conduct.event(self.now, &event, at_service.as_ref())?;
        if is_unverified {
            self.saw(Happening::RecoveryUnverified);
        }
        self.clients[client].consumers.hear(&event)?;
        let seen = std::mem::take(&mut self.clients[client].consumers.seen);
        for (happened, happening) in [
            (seen.blocked, Happening::InboxBlocked),
            (seen.dropped, Happening::InboxDropped),
            (seen.closed, Happening::InboxClosed),
        ] {
            if happened {
                self.saw(happening);
            }
        }
        self.application_hears(client, event, drained)
    }
}

pub(super) fn to_driven(frame: WireFrame) -> Frame {
    match frame {
        WireFrame::Text(text) => Frame::Text(text),
        WireFrame::Binary(bytes) => Frame::Binary(bytes),
    }
}

pub(super) fn to_wire(frame: Frame) -> WireFrame {
    match frame {
        Frame::Text(text) => WireFrame::Text(text),
        Frame::Binary(bytes) => WireFrame::Binary(bytes),
    }
}

pub(super) fn decode_client(
    subprotocol: Subprotocol,
    frame: &WireFrame,
) -> Result<ClientFrame, Finding> {
    let decoded = match (subprotocol, frame) {
        (Subprotocol::Json | Subprotocol::ReliableJson, WireFrame::Text(text)) => {
            json::decode_client(text.clone().into_bytes())
        }
        (Subprotocol::Protobuf | Subprotocol::ReliableProtobuf, WireFrame::Binary(bytes)) => {
            protobuf::decode_client(bytes.clone())
        }
        _ => {
            return Err(Finding::new(
                "frames have the kind of their subprotocol",
                subprotocol.as_str(),
                format!("{frame:?}"),
            ));
        }
    };
    decoded.map_err(|error| Finding::new("the service understands every frame", "a frame", error))
}

fn payload_of(frame: &ClientFrame) -> Option<&Payload> {
    match frame {
        ClientFrame::SendToGroup { payload, .. } | ClientFrame::Event { payload, .. } => {
            Some(payload)
        }
        ClientFrame::Invoke { call: Ok(call), .. } => call.payload.as_ref(),
        _ => None,
    }
}

fn after_stop(seen: impl std::fmt::Display) -> Finding {
    Finding::new("a session that stopped is silent", "nothing", seen)
}
