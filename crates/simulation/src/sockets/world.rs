//! Time, troubles, and what must hold.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use webpubsub_emulator::driven::{ConnectSpec, DrivenSockets, Held, Task, To};
use webpubsub_protocol::name::GroupName;

use super::peer::{Ended, Pace, Peer, Socket, mark};
use super::pipe::pipe;
use super::scenario::{self, Scenario};
use crate::Run;
use crate::coverage::{Coverage, Happening};
use crate::failure::{Check, Finding};
use crate::trace::Trace;

/// Polls of all that was woken that an instant may take.
const POLLS: usize = 20_000;

/// How often in a row a client that reads everything has its turn before others have theirs.
const TURNS: usize = 256;

/// How often in a row a server calls, if it is answered at once.
const CALLS: usize = 8;

/// Who always takes something within this time reads: the service gives up after 5 s.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Until which time after the trouble everybody is back and all that was held back is sent, although some sockets are still
/// open whose clients are silent; then publishers speak once more.
const BACK: Duration = Duration::from_secs(45);

/// … and until which all of it has arrived and sockets whose clients are silent are gone.
const CALM: Duration = Duration::from_secs(110);

/// Until which time after everybody left nothing may be left.
const GONE: Duration = Duration::from_secs(20);

/// What a frame counts for beside its payload, at most.
const AROUND_PAYLOAD: usize = 300;

/// The numbers of REST callers among senders.
const CALLERS: u64 = 1 << 32;

/// A server that sends the next message when the last one is answered.
#[derive(Debug, Default)]
struct Caller {
    call: Option<Task>,
    sent: u64,
    wishes: u64,
}

/// The service, its clients, and time.
#[derive(Debug)]
pub(crate) struct World {
    scenario: Scenario,
    service: DrivenSockets,
    rng: SmallRng,
    now: Duration,
    group: GroupName,
    peers: Vec<Peer>,
    callers: Vec<Caller>,
    /// Sockets whose clients are silent for ever, and whether these are reliable.
    silent: Vec<(Socket, bool)>,
    numbers: u64,
    is_troubled: bool,
    coverage: Coverage,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let scenario = Scenario::draw(seed, &mut rng);
        let mut world = Self {
            service: DrivenSockets::new(&scenario.settings, seed),
            rng,
            now: Duration::ZERO,
            group: GroupName::new("g").expect("a name"),
            peers: Vec::new(),
            callers: Vec::new(),
            silent: Vec::new(),
            numbers: 0,
            is_troubled: true,
            coverage: Coverage::default(),
            trace,
            scenario,
        };
        for _ in 0..world.scenario.peers {
            let number = world.next_number();
            let subprotocol = scenario::subprotocol(&mut world.rng);
            let dials_at = world.moment(0..2000);
            world.peers.push(Peer::new(number, subprotocol, dials_at));
        }
        let callers = world.scenario.callers;
        world.callers.resize_with(callers, Caller::default);
        world
    }

    fn run_to_end(&mut self) -> Check {
        let busy = self.scenario.busy;
        while self.now < busy {
            self.step(self.scenario.step)?;
            self.make_trouble();
        }
        self.note(|| "no more trouble".to_owned());
        self.is_troubled = false;
        for peer in &mut self.peers {
            peer.pace = Pace::Full;
        }
        // What time does is the same in larger steps.
        let step = self.scenario.step.max(Duration::from_millis(250));
        while self.now < busy + BACK {
            self.step(step)?;
        }
        self.check_sent()?;
        self.speak_once_more();
        while self.now < busy + CALM {
            self.step(step)?;
        }
        self.check_calm()?;
        self.leave();
        while self.now < busy + CALM + GONE {
            self.step(step)?;
        }
        self.check_empty()
    }

    /// Time moves on, then everybody has a turn.
    fn step(&mut self, by: Duration) -> Check {
        if (self.now + by).as_secs() != self.now.as_secs() {
            let received = self.peers.iter().map(|peer| peer.received).sum::<u64>();
            self.note(|| format!("{received} messages have been received"));
        }
        self.now += by;
        self.service.advance(by);
        self.run()?;
        let mut order: Vec<_> = (0..self.peers.len()).collect();
        order.shuffle(&mut self.rng);
        for peer in order {
            self.turn(peer)?;
        }
        for caller in 0..self.callers.len() {
            for _ in 0..CALLS {
                self.call(caller);
                self.run()?;
            }
        }
        self.check_held()
    }

    fn run(&mut self) -> Check {
        match self.service.run(POLLS) {
            true => Ok(()),
            false => Err(Finding::new(
                "time goes on",
                POLLS,
                "more polls in an instant",
            )),
        }
    }

    // Clients.

    fn turn(&mut self, index: usize) -> Check {
        if self.peers[index].socket.is_none() {
            if self.peers[index].dials_at <= self.now {
                self.dial(index);
            }
            return Ok(());
        }
        let len = self.rng.random_range(0..=self.scenario.message);
        for _ in 0..TURNS {
            let peer = &mut self.peers[index];
            let has_passed = peer.turn(self.now, &self.group, len)?;
            if !has_passed || peer.pace != Pace::Full {
                break;
            }
            // What it read made room, and what it wrote makes some.
            self.run()?;
        }
        if self.rng.random() {
            self.run()?;
        }
        let socket = self.peers[index].socket.as_ref();
        let (is_full, waits) = socket.map_or((false, false), |socket| {
            (socket.far.has_been_full(), !socket.outgoing.is_empty())
        });
        if is_full {
            self.saw(Happening::LineFull);
        }
        if waits {
            self.saw(Happening::ClientHeldBack);
        }
        if let Some(ended) = socket_end(&self.peers[index]) {
            self.ended(index, ended)?;
        }
        Ok(())
    }

    fn dial(&mut self, index: usize) {
        let is_reliable = self.peers[index].is_reliable();
        let shape = self.scenario.line(&mut self.rng, is_reliable);
        let (near, far) = pipe(shape, self.rng.random());
        if self.peers[index].can_recover() {
            let (id, token) = (&self.peers[index].id, &self.peers[index].token);
            let token = token.as_deref().unwrap_or_default();
            if let Ok(task) = self.service.recover(id, token, near) {
                self.note(|| format!("client {index} recovers as {task:?} over {shape:?}"));
                self.saw(Happening::SocketRecovered);
                self.peers[index].attach(Socket::new(task, far, self.now));
                return;
            }
            self.note(|| format!("client {index} cannot recover"));
            self.peers[index].token = None;
            self.peers[index].dials_at = self.moment(0..500);
            return;
        }
        let number = self.next_number();
        let peer = &mut self.peers[index];
        peer.begin_anew(number);
        let spec = ConnectSpec {
            roles: vec!["webpubsub.sendToGroup".to_owned()],
            groups: vec![self.group.clone()],
            subprotocol: peer.subprotocol,
            raw_group: Some((self.group.clone(), false)),
            ..ConnectSpec::default()
        };
        let (task, id) = self.service.connect(spec, near);
        id.as_str().clone_into(&mut peer.id);
        peer.attach(Socket::new(task, far, self.now));
        self.note(|| format!("client {index} connects as {number} by {task:?} over {shape:?}"));
    }

    fn ended(&mut self, index: usize, ended: Ended) -> Check {
        if !self.has_left(index) {
            self.peers[index].dials_at = self.moment(0..3000);
        }
        let peer = &mut self.peers[index];
        let Some(socket) = peer.socket.take() else {
            return Ok(());
        };
        // While a client is held back, what it acknowledges waits unread behind what it sends.
        let acknowledges = !peer.is_reliable() || index >= self.scenario.publishers;
        let reads = socket.longest_pause <= PATIENCE;
        self.note(|| format!("client {index} is without {:?}: {ended:?}", socket.task));
        match ended {
            Ended::Closed(1008, reason) if reads && acknowledges => Err(Finding::new(
                "a client that reads is never closed",
                format_args!("client {index} stays: {:?}", socket.longest_pause),
                reason,
            )),
            Ended::HungUp if reads && acknowledges => Err(Finding::new(
                "a client that reads is never cut off",
                format_args!("client {index} stays"),
                "its line ended",
            )),
            Ended::Closed(1008, _) => {
                self.peers[index].token = None;
                self.saw(Happening::StalledClosed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn has_left(&self, index: usize) -> bool {
        self.peers[index].dials_at == Duration::MAX
    }

    // Servers.

    fn call(&mut self, index: usize) {
        let caller = &mut self.callers[index];
        if caller
            .call
            .is_some_and(|call| self.service.is_running(call))
        {
            self.coverage.saw(Happening::CallHeldBack);
            return;
        }
        if caller.wishes > 0 {
            caller.wishes -= 1;
            caller.sent += 1;
            let payload = mark(CALLERS + index as u64, caller.sent, self.scenario.message);
            let call = self.service.send(To::Group(self.group.clone()), payload);
            caller.call = Some(call);
            let sent = caller.sent;
            self.note(|| format!("server {index} sends {sent} by {call:?}"));
        }
    }

    // Trouble.

    fn make_trouble(&mut self) {
        let a_second =
            |often: u32, step: Duration| (step.as_secs_f64() / f64::from(often)).min(1.0);
        let trouble = a_second(self.scenario.trouble, self.scenario.step);
        let bursts = a_second(self.scenario.bursts, self.scenario.step);
        for index in 0..self.peers.len() {
            if self.peers[index].socket.is_some() && self.rng.random_bool(trouble) {
                self.trouble(index);
            }
        }
        let burst = self.scenario.burst;
        for index in 0..self.scenario.publishers.min(self.peers.len()) {
            if self.rng.random_bool(bursts) {
                self.peers[index].wishes += self.rng.random_range(1..=burst);
            }
        }
        for index in 0..self.callers.len() {
            if self.rng.random_bool(bursts) {
                self.callers[index].wishes += self.rng.random_range(1..=burst.min(50));
            }
        }
    }

    fn trouble(&mut self, index: usize) {
        let now = self.now;
        let after = |ms: u64| now + Duration::from_millis(ms);
        match self.rng.random_range(0..8) {
            0 | 1 => {
                let until = after(self.rng.random_range(500..3500));
                self.note(|| format!("client {index} pauses until {until:?}"));
                self.saw(Happening::ShortPause);
                self.peers[index].pace = Pace::Stalled { until };
            }
            2 | 3 => {
                let until = after(self.rng.random_range(6000..30_000));
                self.note(|| format!("client {index} stalls until {until:?}"));
                self.saw(Happening::LongPause);
                self.peers[index].pace = Pace::Stalled { until };
            }
            // A reliable client that reads slowly acknowledges slowly, which is a case of its own.
            4 if !self.peers[index].is_reliable() => {
                let every = Duration::from_millis(self.rng.random_range(100..3000));
                let most = self.rng.random_range(20..3000);
                self.note(|| format!("client {index} reads {most} bytes every {every:?}"));
                self.saw(Happening::SlowReader);
                self.peers[index].pace = Pace::Slow {
                    every,
                    most,
                    next: now + every,
                };
            }
            5 | 6 => {
                self.note(|| format!("the line of client {index} is cut"));
                self.saw(Happening::SocketCut);
                if let Some(socket) = self.peers[index].socket.take() {
                    socket.far.cut();
                }
                self.peers[index].dials_at = self.moment(0..20_000);
            }
            7 => {
                self.note(|| format!("the line of client {index} goes silent"));
                self.saw(Happening::SocketSilence);
                let is_reliable = self.peers[index].is_reliable();
                if let Some(socket) = self.peers[index].socket.take() {
                    self.silent.push((socket, is_reliable));
                }
                self.peers[index].dials_at = self.moment(0..20_000);
            }
            _ => self.peers[index].pace = Pace::Full,
        }
    }

    // What must hold.

    /// No connection holds more than the documentation says.
    fn check_held(&mut self) -> Check {
        let settings = &self.scenario.settings;
        let (frames, bytes) = (settings.outbox_frames, settings.outbox_bytes);
        // Whoever publishes may have begun one message, and whoever publishes is answered.
        let begun = self.scenario.publishers + self.callers.len() + 2;
        let begun_bytes = begun * (self.scenario.message + AROUND_PAYLOAD);
        let of_peers = self.peers.iter().filter_map(|peer| {
            let socket = peer.socket.as_ref()?;
            Some((socket, peer.is_reliable()))
        });
        let silent = self.silent.iter();
        let silent = silent.map(|(socket, is_reliable)| (socket, *is_reliable));
        for (socket, is_reliable) in of_peers.chain(silent) {
            let held = self.service.held(socket.task);
            // What is unacknowledged waits again after a recovery; control frames have room beside it.
            let most = match is_reliable {
                true => Held {
                    frames: 2 * frames + 32 + begun,
                    bytes: 2 * bytes + 64 * 1024 + begun_bytes,
                    unacknowledged: 2 * frames,
                    unacknowledged_bytes: 2 * bytes,
                },
                false => Held {
                    frames: frames + begun,
                    bytes: bytes + begun_bytes,
                    ..Held::default()
                },
            };
            if held.frames > frames / 2 || held.bytes > bytes / 2 {
                self.coverage.saw(Happening::HalfFull);
            }
            let fits = held.frames <= most.frames
                && held.bytes <= most.bytes
                && held.unacknowledged <= most.unacknowledged
                && held.unacknowledged_bytes <= most.unacknowledged_bytes;
            if !fits {
                return Err(Finding::new(
                    "no connection holds more than it may",
                    format_args!("{most:?}"),
                    format_args!("{held:?} for {:?}", socket.task),
                ));
            }
        }
        Ok(())
    }

    fn speak_once_more(&mut self) {
        for index in 0..self.scenario.publishers.min(self.peers.len()) {
            self.peers[index].wishes += 1;
        }
        for caller in &mut self.callers {
            caller.wishes += 1;
        }
    }

    /// Everybody is there, and everything that somebody wanted to send is sent and answered.
    fn check_sent(&self) -> Check {
        for caller in &self.callers {
            let under_way = caller
                .call
                .is_some_and(|call| self.service.is_running(call));
            self.check_none_waits(caller.wishes + u64::from(under_way))?;
        }
        for peer in &self.peers {
            let is_there = peer.socket.is_some();
            Finding::unless_same("everyone is connected after the trouble", &true, &is_there)?;
            let unsent = peer.socket.as_ref().map_or(0, |it| it.outgoing.len());
            self.check_none_waits(peer.wishes + (peer.unanswered.len() + unsent) as u64)?;
        }
        Ok(())
    }

    fn check_none_waits(&self, waits: u64) -> Check {
        if waits == 0 {
            return Ok(());
        }
        let sockets = self.peers.iter().filter_map(|peer| peer.socket.as_ref());
        let sockets = sockets.chain(self.silent.iter().map(|(socket, _)| socket));
        let held: Vec<_> = sockets
            .map(|socket| (socket.task, self.service.held(socket.task)))
            .filter(|(_, held)| *held != Held::default())
            .collect();
        Err(Finding::new(
            "nobody is held back for ever",
            "all is sent and answered",
            format_args!("{waits} things wait, while the service holds {held:?}"),
        ))
    }

    /// Everything that was sent has arrived everywhere.
    fn check_calm(&mut self) -> Check {
        self.check_sent()?;
        let publishers = self.peers.iter().take(self.scenario.publishers);
        let mut senders: Vec<_> = publishers.map(|peer| (peer.number, peer.sent)).collect();
        for (index, caller) in self.callers.iter().enumerate() {
            senders.push((CALLERS + index as u64, caller.sent));
        }
        for peer in &self.peers {
            for (sender, sent) in &senders {
                let seen = peer.seen.get(sender).copied();
                if seen != Some(*sent) {
                    return Err(Finding::new(
                        "who reads gets everything, once and in order",
                        format_args!("{sender}.{sent} at client {}", peer.number),
                        format_args!("{seen:?} was the last one"),
                    ));
                }
            }
        }
        for (socket, _) in &self.silent {
            let is_there = self.service.is_running(socket.task);
            Finding::unless_same("silent sockets are given up", &false, &is_there)?;
        }
        for _ in 0..self.silent.len() {
            self.coverage.saw(Happening::SilenceNoticed);
        }
        Ok(())
    }

    fn leave(&mut self) {
        for peer in &mut self.peers {
            peer.dials_at = Duration::MAX;
            if let Some(socket) = &mut peer.socket {
                socket.say(OpCode::Control(Control::Close), &1000_u16.to_be_bytes());
            }
        }
    }

    fn check_empty(&self) -> Check {
        Finding::unless_same("nobody is left", &0, &self.service.running())?;
        let still = |peer: &&Peer| self.service.connection_exists(&peer.id);
        let left = self.peers.iter().filter(still).count();
        Finding::unless_same("nobody is left", &0, &left)
    }

    // Helpers.

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// After so many milliseconds.
    fn moment(&mut self, range: std::ops::Range<u64>) -> Duration {
        let most = if self.is_troubled {
            range.end
        } else {
            500.max(range.start + 1)
        };
        self.now + Duration::from_millis(self.rng.random_range(range.start..most))
    }

    fn saw(&mut self, happening: Happening) {
        self.coverage.saw(happening);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.note(self.now, line);
    }
}

/// How the socket of a client ended, once the client has read it.
fn socket_end(peer: &Peer) -> Option<Ended> {
    let socket = peer.socket.as_ref()?;
    // The answer to a close still goes out.
    socket
        .ended
        .clone()
        .filter(|_| socket.outgoing.is_empty() || socket.far.has_ended())
}

impl Run for World {
    fn run(&mut self) -> Check {
        self.run_to_end()
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn into_trace(self) -> Trace {
        self.trace
    }

    fn into_coverage(self) -> Coverage {
        self.coverage
    }
}
