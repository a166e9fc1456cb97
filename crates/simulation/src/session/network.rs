//! Dials and lines between sessions and the service.

use std::time::Duration;

use bytestring::ByteString;
use rand::Rng as _;
use webpubsub_emulator::driven::{self, Loss};
use webpubsub_protocol::frame::{ClientFrame, FrameError, ServerFrame, json, protobuf};
use webpubsub_protocol::session::{
    Attempt, Closure, DialFailure, Input, Protocol as _, Recovery, WireFrame,
};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::client::Transport;
use super::drive::{decode_client, to_wire};
use super::line::{Line, ServiceEnd, Up};
use super::world::{Event, Phase, World};
use crate::coverage::Happening;
use crate::failure::Check;

/// Frames that a socket takes at once.
const BATCH: usize = 64;

/// Frames that fit into a line whose client does not read.
const IN_LINE: usize = 16;

impl World {
    // Dialling.

    pub(super) fn start_dial(
        &mut self,
        client: usize,
        attempt: Attempt,
        recover: Option<Recovery>,
    ) {
        let offline = self.phase == Phase::Busy && self.now < self.clients[client].offline_until;
        let kind = if offline {
            self.rng.random_range(5..8)
        } else if self.by_chance(self.scenario.bad_dials) {
            self.rng.random_range(0..10)
        } else {
            let event = Event::Dial {
                client,
                attempt,
                recover,
            };
            let at = self.arrival();
            return self.schedule(at, event);
        };
        let (happening, failure) = match kind {
            0 => (Happening::Dial401, refused(401, None)),
            1 if self.rng.random() => (Happening::Dial403, refused(403, None)),
            1 => (Happening::Dial403, refused(404, None)),
            2 | 3 => {
                let after = Duration::from_secs(self.rng.random_range(0..8));
                (Happening::Dial429, refused(429, Some(after)))
            }
            4 => (Happening::Dial503, refused(503, None)),
            5 | 6 => {
                let failure = DialFailure::Network("unreachable".to_owned());
                (Happening::DialUnreachable, failure)
            }
            7 => return self.saw(Happening::DialHung),
            _ => {
                self.saw(Happening::DialSilent);
                let line = self.new_line(client, attempt);
                return self.send_down(line, Input::Opened);
            }
        };
        self.saw(happening);
        self.schedule_in(0..1500, Event::DialFails(client, attempt, failure));
    }

    pub(super) fn dial_arrives(
        &mut self,
        client: usize,
        attempt: Attempt,
        recover: Option<Recovery>,
    ) -> Check {
        let transport = self.clients[client].transport;
        let is_awaited = transport.is_some_and(|t| t.attempt == attempt);
        if !is_awaited && self.rng.random() {
            return Ok(());
        }
        let is_recovery = recover.is_some();
        let stripped = is_recovery && self.by_chance(8);
        if stripped {
            self.saw(Happening::RecoveryStripped);
        }
        let line = self.new_line(client, attempt);
        let attached = match recover.filter(|_| !stripped) {
            Some(Recovery {
                connection_id: id,
                reconnection_token: token,
                ..
            }) => match self.service.hub.recover(self.now, &id, &token) {
                Ok(socket) => Some((socket, id)),
                Err(_) => None,
            },
            None => {
                let spec = self.clients[client].spec.clone();
                let (socket, id) = self.service.hub.connect(self.now, spec);
                Some((socket, ByteString::from(id.as_str())))
            }
        };
        self.send_down(line, Input::Opened);
        let Some((socket, id)) = attached else {
            self.note(|| format!("the service refuses client {client}"));
            self.saw(Happening::RecoveryRefusedWith1008);
            self.send_down(line, closed(Some(1008), "not recoverable"));
            return Ok(());
        };
        self.note(|| format!("client {client} is attached to {id} by {socket:?}"));
        self.lines[line].end.socket = Some(socket);
        self.lines[line].end.connection = Some(id);
        self.sockets.insert(socket, line);
        if !is_awaited {
            self.schedule_in(0..2000, Event::ServiceNotices(line));
        } else if is_recovery
            && self.phase == Phase::Busy
            && (self.scenario.is_cursed || self.rng.random_ratio(1, 5))
        {
            self.schedule_in(0..800, Event::Cut(line));
        }
        Ok(())
    }

    fn new_line(&mut self, client: usize, attempt: Attempt) -> usize {
        let line = self.lines.len();
        let end = ServiceEnd::unanswered(attempt);
        self.lines.push(Line::new(client, end));
        if let Some(transport) = &mut self.clients[client].transport
            && transport.attempt == attempt
        {
            transport.line = Some(line);
        }
        line
    }

    /// The session does not want its transport any more.
    pub(super) fn hang_up(&mut self, transport: Transport, code: Option<u16>) {
        let Some(line) = transport.line else { return };
        match code {
            Some(code) => self.send_up(line, Up::Close(code)),
            // What was written still arrives, or is lost with the news.
            None if self.rng.random() => self.send_up(line, Up::Gone),
            None => {
                self.lines[line].cut();
                self.schedule_in(0..40_000, Event::ServiceNotices(line));
            }
        }
    }

    // From the client to the service.

    pub(super) fn send_up(&mut self, line: usize, up: Up) {
        let at = self.arrival();
        if let Some(at) = self.lines[line].send_up(at, up) {
            self.schedule(at, Event::Up(line));
        }
    }

    pub(super) fn up(&mut self, line: usize) -> Check {
        while !self.lines[line].service_gone && self.lines[line].has_up(self.now) {
            let Some(socket) = self.lines[line].end.socket else {
                return Ok(());
            };
            if !self.service.hub.is_readable(socket) {
                return Ok(());
            }
            match self.lines[line].take_up(self.now) {
                Some(Up::Frame(frame)) => {
                    if !self.refuse_fragment(line, &frame)? {
                        self.service.hub.frame(self.now, socket, frame);
                    }
                }
                Some(Up::Close(1000)) => self.let_go(line, Loss::ClosedForGood),
                Some(Up::Close(_) | Up::Gone) => self.let_go(line, Loss::Lost),
                None => return Ok(()),
            }
            // The next frame may depend on what the observer saw of this one.
            for woken in self.service.take_woken(self.now, &mut self.ledger)? {
                if let Some(&line) = self.sockets.get(&woken) {
                    self.woken(line);
                }
            }
        }
        Ok(())
    }

    /// The service is in trouble and does not take a fragment now: whether it was so.
    fn refuse_fragment(
        &mut self,
        line: usize,
        frame: &driven::Frame,
    ) -> Result<bool, crate::failure::Finding> {
        if !self.by_chance(12) {
            return Ok(false);
        }
        let client = self.lines[line].client;
        let subprotocol = self.subprotocol(client);
        let frame = decode_client(subprotocol, &to_wire(frame.clone()))?;
        let ClientFrame::StreamData {
            stream_id,
            fragment: Ok(Some((number, _))),
        } = frame
        else {
            return Ok(false);
        };
        if number != self.ledger.expected_fragment(&stream_id) {
            return Ok(false);
        }
        self.saw(Happening::FragmentRefused);
        let nack = ServerFrame::StreamNack {
            stream_id,
            error: FrameError::new("ServiceUnavailable", "not now"),
            expected_sequence_id: number,
        };
        let nack = encode_server(subprotocol, &nack);
        self.send_down(line, Input::Frame(nack));
        Ok(true)
    }

    pub(super) fn subprotocol(&self, client: usize) -> Subprotocol {
        let subprotocol = self.clients[client].spec.subprotocol;
        subprotocol.expect("a session has a subprotocol")
    }

    // From the service to the client.

    pub(super) fn send_down(&mut self, line: usize, down: Input) {
        let at = self.arrival();
        if let Some(at) = self.lines[line].send_down(at, down) {
            self.schedule(at, Event::Down(line));
        }
    }

    /// Something waits for the socket.
    pub(super) fn woken(&mut self, line: usize) {
        if self.lines[line].service_gone {
            return;
        }
        let socket = self.lines[line].end.socket;
        let abort_at = socket.and_then(|socket| self.service.hub.abort_at(socket));
        if let Some(at) = abort_at
            && !self.lines[line].abort_is_set
        {
            self.lines[line].abort_is_set = true;
            self.schedule(at, Event::Abort(line));
        }
        self.set_drain(line);
    }

    fn set_drain(&mut self, line: usize) {
        if !self.lines[line].drain_is_set && !self.lines[line].service_gone {
            self.lines[line].drain_is_set = true;
            self.schedule(self.now, Event::Drain(line));
        }
    }

    pub(super) fn drain(&mut self, line: usize) -> Check {
        self.lines[line].drain_is_set = false;
        let client = self.lines[line].client;
        let reads = self.clients[client].reads();
        let is_full = !reads && self.lines[line].waiting() >= IN_LINE;
        let Some(socket) = self.lines[line].end.socket else {
            return Ok(());
        };
        if self.lines[line].service_gone || is_full {
            return Ok(());
        }
        let most = if reads { BATCH } else { IN_LINE };
        let (frames, end) = self.service.hub.drain(self.now, socket, most);
        let may_have_more = frames.len() == most;
        for frame in frames {
            let frame = to_wire(frame);
            let again = self.by_chance(12).then(|| frame.clone());
            self.send_down(line, Input::Frame(frame));
            if let Some(frame) = again
                && let Ok(ServerFrame::Ack { error, .. }) =
                    self.subprotocol(client).decode(frame.clone())
                // It is the answer to one try, and could not be told from that to the next one.
                && error.is_none_or(|error| error.name != "InternalServerError")
            {
                self.saw(Happening::AckRepeated);
                self.send_down(line, Input::Frame(frame));
            }
        }
        match end {
            driven::Line::Open if may_have_more => self.set_drain(line),
            driven::Line::Open => {}
            driven::Line::Superseded => self.schedule_in(0..50, Event::ServiceNotices(line)),
            driven::Line::Closed(code, reason) => {
                self.note(|| format!("{socket:?} closes with {code} {reason:?}"));
                if code == 1008 {
                    self.saw(Happening::ClosedWith1008);
                }
                self.send_down(line, closed(Some(code), &reason));
                self.let_go(line, Loss::Lost);
            }
        }
        Ok(())
    }

    pub(super) fn down(&mut self, line: usize) -> Check {
        let (client, attempt) = (self.lines[line].client, self.lines[line].end.attempt);
        loop {
            let state = &self.clients[client];
            let is_current = state.transport.is_some_and(|t| t.attempt == attempt);
            if state.asleep || (is_current && !state.reads()) {
                return Ok(());
            }
            let Some(input) = self.lines[line].take_down(self.now) else {
                break;
            };
            if is_current {
                self.input(client, attempt, input)?;
            } else if self.by_chance(2) {
                self.saw(Happening::StaleInput);
                self.input(client, attempt, input)?;
            }
        }
        self.set_drain(line);
        Ok(())
    }

    // Ends.

    pub(super) fn abort(&mut self, line: usize) -> Check {
        self.service_notices(line)
    }

    /// The service finds that a line is dead, or has no use for it any more.
    pub(super) fn service_notices(&mut self, line: usize) -> Check {
        if !self.lines[line].service_gone {
            self.send_down(line, closed(None, ""));
            self.let_go(line, Loss::Lost);
        }
        Ok(())
    }

    /// The client finds that a line is dead.
    pub(super) fn client_notices(&mut self, line: usize) -> Check {
        let (client, attempt) = (self.lines[line].client, self.lines[line].end.attempt);
        let state = &self.clients[client];
        if !state.reads() {
            self.schedule_in(300..600, Event::ClientNotices(line));
            return Ok(());
        }
        if state.transport.is_some_and(|t| t.line == Some(line)) {
            return self.input(client, attempt, closed(None, ""));
        }
        Ok(())
    }

    pub(super) fn let_go(&mut self, line: usize, loss: Loss) {
        if std::mem::replace(&mut self.lines[line].service_gone, true) {
            return;
        }
        if let Some(socket) = self.lines[line].end.socket {
            self.note(|| format!("{socket:?} is gone: {loss:?}"));
            self.sockets.remove(&socket);
            self.service.hub.socket_gone(self.now, socket, loss);
        }
    }
}

fn refused(status: u16, retry_after: Option<Duration>) -> DialFailure {
    DialFailure::Refused {
        status,
        retry_after,
        body: String::new(),
    }
}

pub(super) fn closed(code: Option<u16>, reason: &str) -> Input {
    Input::Closed(Closure {
        code,
        reason: reason.to_owned(),
        ..Closure::default()
    })
}

fn encode_server(subprotocol: Subprotocol, frame: &ServerFrame) -> WireFrame {
    match subprotocol {
        Subprotocol::Json | Subprotocol::ReliableJson => {
            WireFrame::Text(json::encode_server(frame).into())
        }
        Subprotocol::Protobuf | Subprotocol::ReliableProtobuf => {
            WireFrame::Binary(protobuf::encode_server(frame))
        }
    }
}
