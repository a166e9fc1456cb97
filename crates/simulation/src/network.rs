//! The part of the world between clients and the service: dialling, lines, and their troubles.

use std::ops::Range;
use std::time::Duration;

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use webpubsub_emulator::driven::{Frame, Line, Loss, Socket};
use webpubsub_protocol::frame::{ClientFrame, SequenceId};
use webpubsub_protocol::payload::Payload;

use crate::client::{AckPolicy, Session};
use crate::coverage::Happening;
use crate::failure::Check;
use crate::link::{Down, Link, Pace, ServiceEnd, Up};
use crate::reference::{Fate, Received};
use crate::wire::{self, Seen};
use crate::world::{Aim, Event, Phase, World};

/// Frames that a socket takes at once.
const BATCH: usize = 64;

const MILLISECOND: Duration = Duration::from_millis(1);

impl World {
    // Dialling.

    /// Dials after so many milliseconds.
    pub(crate) fn dial_in(&mut self, client: usize, range: Range<u64>) {
        if self.phase == Phase::Ending || self.clients[client].is_dialing {
            return;
        }
        self.clients[client].is_dialing = true;
        let seek = self.phase == Phase::Busy && self.rng.random_ratio(1, 3);
        let aim = if seek { Aim::Seek } else { Aim::Now };
        self.schedule_in(range, Event::Dial { client, aim });
    }

    /// A dial reaches the service, which knows the connection or makes one.
    pub(crate) fn dial(&mut self, client: usize, aim: Aim) -> Check {
        if aim == Aim::Seek
            && let Some((at, aim)) = self.telling_moment(client)
        {
            self.schedule(at, Event::Dial { client, aim });
            return Ok(());
        }
        self.clients[client].is_dialing = false;
        let session = self.clients[client].session.as_ref();
        let known = session.and_then(|session| Some((session.id.clone(), session.token.clone()?)));
        let Some((id, token)) = known else {
            return self.dial_afresh(client);
        };
        self.try_foreign_token(client)?;
        let connection = self.service.reference.connections.get(&id);
        let lost_at = connection.and_then(|connection| connection.lost_at);
        let takes_over = connection.is_some_and(|connection| connection.socket.is_some());
        let socket = self.service.recover(self.now, &id, &token, true)?;
        self.note(|| format!("client {client} recovers {id}: {socket:?}"));
        let Some(socket) = socket else {
            self.saw(Happening::RecoveryRefused);
            if aim == Aim::WindowEnd {
                self.saw(Happening::RecoveryJustTooLate);
            }
            let at = self.arrival();
            self.clients[client].is_dialing = true;
            self.schedule(at, Event::Refused(client));
            return Ok(());
        };
        self.saw(Happening::Recovery);
        if takes_over {
            self.saw(Happening::TakeOver);
        }
        let end = lost_at.map(|at| at + self.scenario.settings.recovery_window);
        if end == Some(self.now + MILLISECOND) {
            self.saw(Happening::RecoveryJustInTime);
        }
        for earlier in 0..self.links.len() {
            if self.links[earlier].client == client && !self.links[earlier].service_gone {
                self.schedule_in(0..3000, Event::ServiceNotices(earlier));
            }
        }
        self.open(client, socket);
        Ok(())
    }

    /// A moment at which right and wrong differ: an end of the window, or of a message.
    fn telling_moment(&mut self, client: usize) -> Option<(Duration, Aim)> {
        let id = &self.clients[client].session.as_ref()?.id;
        let connection = self.service.reference.connections.get(id)?;
        let end = connection.lost_at? + self.scenario.settings.recovery_window;
        let ledger = self.service.reference.ledger(id);
        let expiries = connection
            .kept
            .iter()
            .filter_map(|sequence| ledger[sequence - 1].expires);
        let mut moments = vec![(end - MILLISECOND, Aim::Now), (end, Aim::WindowEnd)];
        for expiry in expiries.take(3) {
            moments.extend([(expiry - MILLISECOND, Aim::Now), (expiry, Aim::Now)]);
        }
        moments.retain(|(at, _)| *at >= self.now);
        moments.choose(&mut self.rng).copied()
    }

    /// Somebody else's token must not do.
    fn try_foreign_token(&mut self, client: usize) -> Check {
        if self.phase != Phase::Busy || !self.rng.random_ratio(1, 10) {
            return Ok(());
        }
        let others = self
            .clients
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != client);
        let tokens: Vec<_> = others
            .filter_map(|(_, other)| other.session.as_ref()?.token.clone())
            .collect();
        let session = self.clients[client].session.as_ref();
        if let (Some(token), Some(session)) = (tokens.choose(&mut self.rng), session) {
            let id = session.id.clone();
            self.saw(Happening::ForeignToken);
            self.service.recover(self.now, &id, token, false)?;
        }
        Ok(())
    }

    fn dial_afresh(&mut self, client: usize) -> Check {
        let spec = self.clients[client].spec.clone();
        let (socket, id) = self.service.connect(self.now, &spec)?;
        self.note(|| format!("client {client} connects as {id}, {socket:?}: {spec:?}"));
        // Others learn their id from the first frame.
        let is_simple = spec.subprotocol.is_none();
        self.clients[client].session = is_simple.then(|| Session::new(id, None));
        self.open(client, socket);
        Ok(())
    }

    fn open(&mut self, client: usize, socket: Socket) {
        let link = self.links.len();
        let end = ServiceEnd {
            socket,
            pace: Pace::Full,
        };
        self.links.push(Link::new(client, end));
        self.sockets.insert(socket, link);
        self.clients[client].link = Some(link);
        self.clients[client].is_open = false;
        self.send_down(link, Down::Opened);
    }

    /// The service said that the connection cannot be recovered.
    pub(crate) fn refused(&mut self, client: usize) {
        self.clients[client].is_dialing = false;
        self.clients[client].session = None;
        self.dial_in(client, 0..500);
    }

    // From clients to the service.

    /// A client sends a frame of its subprotocol.
    pub(crate) fn say(&mut self, client: usize, frame: ClientFrame) {
        if let Some(protocol) = self.clients[client].spec.subprotocol {
            self.note(|| format!("client {client} says {frame:?}"));
            let bytes = wire::encode(protocol, &frame);
            self.send_up(client, Up::Frame(bytes, Received::Frame(frame)));
        }
    }

    /// A simple client sends a payload.
    pub(crate) fn say_raw(&mut self, client: usize, payload: Payload) {
        self.note(|| format!("client {client} says {payload:?}"));
        let payload = match payload {
            Payload::Json(text) => Payload::Text(text),
            other => other,
        };
        self.send_up(
            client,
            Up::Frame(wire::raw(&payload), Received::Raw(payload)),
        );
    }

    /// A client sends what breaks the protocol.
    pub(crate) fn say_broken(&mut self, client: usize, frame: Frame, code: u16, why: &'static str) {
        self.note(|| format!("client {client} breaks the protocol: {why}"));
        self.send_up(client, Up::Frame(frame, Received::Broken(code, why)));
    }

    pub(crate) fn send_up(&mut self, client: usize, up: Up) {
        let at = self.arrival();
        if let Some(link) = self.clients[client].link
            && let Some(at) = self.links[link].send_up(at, up)
        {
            self.schedule(at, Event::Up(link));
        }
    }

    pub(crate) fn up(&mut self, link: usize) -> Check {
        while !self.links[link].service_gone && self.links[link].has_up(self.now) {
            let socket = self.links[link].end.socket;
            if !self.service.is_readable(socket)? {
                self.saw(Happening::NotReadable);
                return Ok(());
            }
            match self.links[link].take_up(self.now) {
                Some(Up::Frame(frame, received)) => {
                    if let Received::Broken(code, _) = received {
                        self.saw(match code {
                            1003 => Happening::WrongFrameKind,
                            1009 => Happening::TooLargeFrame,
                            _ => Happening::MalformedFrame,
                        });
                    }
                    let line = self.service.reference.lines.get(&socket);
                    if line.is_some_and(|line| line.fate == Fate::Superseded) {
                        self.saw(Happening::LateFrame);
                    }
                    self.note(|| format!("{socket:?} reads {received:?}"));
                    self.service.frame(self.now, socket, frame, received)?;
                }
                Some(Up::Close(code)) => {
                    self.send_down(link, Down::Close(code));
                    let loss = if code == 1000 {
                        self.saw(Happening::ClosedByClient);
                        Loss::ClosedForGood
                    } else {
                        Loss::Lost
                    };
                    self.let_go(link, loss)?;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    // From the service to clients.

    fn send_down(&mut self, link: usize, down: Down) {
        let at = self.arrival();
        if let Some(at) = self.links[link].send_down(at, down) {
            self.schedule(at, Event::Down(link));
        }
    }

    /// Something waits for the socket.
    pub(crate) fn woken(&mut self, link: usize) -> Check {
        if self.links[link].service_gone {
            return Ok(());
        }
        let abort_at = self.service.abort_at(self.links[link].end.socket)?;
        if let Some(at) = abort_at.filter(|_| !self.links[link].abort_is_set) {
            self.links[link].abort_is_set = true;
            self.schedule(at, Event::Abort(link));
        }
        self.set_drain(link);
        Ok(())
    }

    fn set_drain(&mut self, link: usize) {
        if self.links[link].drain_is_set {
            return;
        }
        let at = match self.links[link].end.pace {
            Pace::Full => self.now,
            Pace::Slow { every, .. } => self.moment_of_expiry(link).unwrap_or(self.now + every),
            Pace::Stuck => return,
        };
        self.links[link].drain_is_set = true;
        self.schedule(at, Event::Drain(link));
    }

    /// When the first message that waits runs out of time, or just before: now and then.
    fn moment_of_expiry(&mut self, link: usize) -> Option<Duration> {
        let reference = &self.service.reference;
        let line = reference.lines.get(&self.links[link].end.socket)?;
        let mut waiting = line.queue.iter();
        let expiry =
            waiting.find_map(|queued| reference.entry(&line.connection, queued).expires)?;
        let at = if self.rng.random() {
            expiry
        } else {
            expiry - MILLISECOND
        };
        (at > self.now && self.rng.random_ratio(1, 2)).then_some(at)
    }

    pub(crate) fn drain(&mut self, link: usize) -> Check {
        self.links[link].drain_is_set = false;
        if self.links[link].service_gone {
            return Ok(());
        }
        let most = match self.links[link].end.pace {
            Pace::Full => BATCH,
            Pace::Slow { most, .. } => most,
            Pace::Stuck => return Ok(()),
        };
        let socket = self.links[link].end.socket;
        let (frames, line) = self.service.drain(self.now, socket, most)?;
        let is_full = frames.len() == most;
        for seen in frames {
            self.note(|| format!("{socket:?} writes {seen:?}"));
            self.send_down(link, Down::Frame(seen));
        }
        match line {
            Line::Open if is_full => self.set_drain(link),
            Line::Open => {}
            Line::Superseded => self.schedule_in(0..50, Event::ServiceNotices(link)),
            Line::Closed(code, reason) => {
                self.note(|| format!("{socket:?} closes with {code} {reason:?}"));
                match (code, reason.as_str()) {
                    (1000, _) => self.saw(Happening::ClosedByRest),
                    (1008, "The outbound message queue is full.") => self.saw(Happening::QueueFull),
                    (1008, "The reliable message buffer is full.") => {
                        self.saw(Happening::ReplayFull);
                    }
                    (1011, _) => self.saw(Happening::RawFailed),
                    _ => {}
                }
                self.send_down(link, Down::Close(code));
                self.let_go(link, Loss::Lost)?;
            }
        }
        Ok(())
    }

    pub(crate) fn down(&mut self, link: usize) -> Check {
        while let Some(down) = self.links[link].take_down(self.now) {
            let client = self.links[link].client;
            if self.clients[client].link != Some(link) {
                return Ok(());
            }
            match down {
                Down::Opened => self.opened(client),
                Down::Frame(seen) => {
                    let id = self.clients[client]
                        .session
                        .as_ref()
                        .map(|session| &session.id);
                    let ledger = id.map_or(&[][..], |id| self.service.reference.ledger(id));
                    let coverage = &mut self.service.coverage;
                    self.clients[client].receive(self.now, &seen, ledger, coverage)?;
                    if matches!(
                        seen,
                        Seen::Frame {
                            sequence: Some(_),
                            ..
                        }
                    ) {
                        self.owe_ack(client);
                    }
                }
                Down::Close(code) => {
                    if code == 1008 || code == 1000 {
                        self.clients[client].session = None;
                    }
                    self.client_lost(link);
                }
                Down::HungUp => self.client_lost(link),
            }
        }
        Ok(())
    }

    /// The client's socket is open: on a recovered connection it repeats what has no answer.
    fn opened(&mut self, client: usize) {
        self.clients[client].is_open = true;
        let Some(session) = &mut self.clients[client].session else {
            return;
        };
        for frame in session.recovered() {
            self.say(client, frame);
        }
        self.owe_ack(client);
    }

    fn owe_ack(&mut self, client: usize) {
        if !self.clients[client].is_reliable() || self.clients[client].ack_is_set {
            return;
        }
        let after = match self.clients[client].acks {
            AckPolicy::AtOnce => Duration::ZERO,
            AckPolicy::Late(after) | AckPolicy::Untidy(after) => after,
            AckPolicy::Never => return,
        };
        self.clients[client].ack_is_set = true;
        self.schedule(self.now + after, Event::Acknowledge(client));
    }

    pub(crate) fn acknowledge(&mut self, client: usize) {
        self.clients[client].ack_is_set = false;
        let untidy = matches!(self.clients[client].acks, AckPolicy::Untidy(_));
        let is_ready = self.clients[client].is_ready();
        let Some(session) = self.clients[client].session.as_mut().filter(|_| is_ready) else {
            return;
        };
        let last = session.last_sequence;
        self.say(
            client,
            ClientFrame::SequenceAck {
                sequence_id: SequenceId(last),
            },
        );
        if untidy && self.rng.random_ratio(1, 3) {
            let earlier = self.rng.random_range(0..=last);
            self.say(
                client,
                ClientFrame::SequenceAck {
                    sequence_id: SequenceId(earlier),
                },
            );
        }
    }

    // Ends.

    /// The service lets go of its end of a link.
    fn let_go(&mut self, link: usize, loss: Loss) -> Check {
        if self.links[link].service_gone {
            return Ok(());
        }
        self.links[link].service_gone = true;
        let socket = self.links[link].end.socket;
        self.sockets.remove(&socket);
        self.note(|| format!("{socket:?} is gone: {loss:?}"));
        self.service.socket_gone(self.now, socket, loss)
    }

    pub(crate) fn abort(&mut self, link: usize) -> Check {
        if !self.links[link].service_gone {
            self.saw(Happening::Aborted);
            self.send_down(link, Down::HungUp);
        }
        self.let_go(link, Loss::Lost)
    }

    pub(crate) fn service_notices(&mut self, link: usize) -> Check {
        self.send_down(link, Down::HungUp);
        self.let_go(link, Loss::Lost)
    }

    /// The client's link is gone, as far as it knows.
    pub(crate) fn client_lost(&mut self, link: usize) {
        let client = self.links[link].client;
        if self.clients[client].link != Some(link) {
            return;
        }
        self.clients[client].link = None;
        self.clients[client].is_open = false;
        if !self.clients[client].is_reliable() {
            self.clients[client].session = None;
        }
        let range = match self.rng.random_range(0..20) {
            _ if self.phase != Phase::Busy => 0..2000,
            0..12 => 0..3000,
            12..16 => 3000..25_000,
            _ => 25_000..36_000,
        };
        self.dial_in(client, range);
    }

    /// Trouble with a client's line, or with the client.
    pub(crate) fn trouble(&mut self, client: usize) {
        let Some(link) = self.clients[client].link else {
            return;
        };
        match self.rng.random_range(0..9) {
            0 | 1 => {
                self.note(|| format!("the link of client {client} is cut"));
                self.links[link].cut();
                self.schedule_in(0..500, Event::ServiceNotices(link));
                self.schedule_in(0..500, Event::ClientNotices(link));
            }
            2 => {
                self.note(|| format!("the link of client {client} is cut and half open"));
                self.saw(Happening::HalfOpen);
                self.links[link].cut();
                self.schedule_in(500..25_000, Event::ServiceNotices(link));
                self.schedule_in(0..5000, Event::ClientNotices(link));
            }
            3 => self.hurry(client, link),
            4 => self.send_up(client, Up::Close(1000)),
            5 => self.send_up(client, Up::Close(1001)),
            6 => {
                let every = Duration::from_millis(self.rng.random_range(50..1500));
                let most = self.rng.random_range(1..6);
                self.links[link].end.pace = Pace::Slow { every, most };
            }
            7 => self.links[link].end.pace = Pace::Stuck,
            _ => self.quicken(link),
        }
    }

    /// The client dials again although its link is fine: what it said is still under way.
    fn hurry(&mut self, client: usize, link: usize) {
        if !self.clients[client].is_reliable() || self.clients[client].session.is_none() {
            return;
        }
        self.note(|| format!("client {client} hurries"));
        self.make_requests(client, 3);
        if self.rng.random_ratio(1, 3) {
            self.break_protocol(client);
        }
        self.clients[client].link = None;
        self.clients[client].is_open = false;
        self.dial_in(client, 0..20);
        self.schedule_in(500..5000, Event::ServiceNotices(link));
    }

    /// The client reads as fast as the service writes.
    pub(crate) fn quicken(&mut self, link: usize) {
        self.links[link].end.pace = Pace::Full;
        self.set_drain(link);
    }

    pub(crate) fn leave_for_good(&mut self, client: usize) {
        let Some(link) = self.clients[client].link else {
            return;
        };
        if self.rng.random() {
            self.send_up(client, Up::Close(1000));
        } else {
            self.links[link].cut();
            self.schedule_in(0..5000, Event::ServiceNotices(link));
            self.schedule_in(0..5000, Event::ClientNotices(link));
        }
    }
}
