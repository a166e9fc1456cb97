//! Time, and what clients and servers do in it.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use webpubsub_emulator::driven::{ConnectSpec, DrivenSockets, Task, To};
use webpubsub_protocol::name::GroupName;

use super::checks::PATIENCE;
use super::peer::{Ended, Pace, Peer, Socket, mark};
use super::pipe::pipe;
use super::scenario::{self, Scenario};
use super::trouble::{Trouble, duration};
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

/// One of so many seconds the handler stops to answer for a while.
const HANDLER_PAUSES: u32 = 20;

/// Until which time after the trouble everybody is back and all that was held back is sent, although some sockets are still
/// open whose clients are silent; then publishers speak once more.
const BACK: Duration = Duration::from_secs(45);

/// … and until which all of it has arrived and sockets whose clients are silent are gone.
const CALM: Duration = Duration::from_secs(110);

/// Until which time after everybody left nothing may be left.
const GONE: Duration = Duration::from_secs(20);

/// The numbers of REST callers among senders.
pub(super) const CALLERS: u64 = 1 << 32;

/// A server that sends the next message when the last one is answered.
#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) call: Option<Task>,
    pub(super) sent: u64,
    pub(super) wishes: u64,
}

/// The service, its clients, and time.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) scenario: Scenario,
    pub(super) service: DrivenSockets,
    rng: SmallRng,
    pub(super) now: Duration,
    group: GroupName,
    pub(super) peers: Vec<Peer>,
    pub(super) callers: Vec<Caller>,
    /// Sockets whose clients are silent for ever, and whether these are reliable.
    pub(super) silent: Vec<(Socket, bool)>,
    /// From when on the handler of events answers.
    pub(super) handler_answers_at: Duration,
    /// What happens when, in place of what the seed draws.
    script: Option<VecDeque<(Duration, Trouble)>>,
    numbers: u64,
    is_troubled: bool,
    pub(super) coverage: Coverage,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let scenario = Scenario::draw(seed, &mut rng);
        Self::of(scenario, None, seed, rng, trace)
    }

    /// A world in which only what the script says happens, in its order.
    #[cfg(test)]
    pub(super) fn scripted(
        scenario: Scenario,
        script: impl IntoIterator<Item = (Duration, Trouble)>,
        seed: u64,
        trace: Trace,
    ) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        let script = script.into_iter().collect();
        Self::of(scenario, Some(script), seed, rng, trace)
    }

    fn of(
        scenario: Scenario,
        script: Option<VecDeque<(Duration, Trouble)>>,
        seed: u64,
        rng: SmallRng,
        trace: Trace,
    ) -> Self {
        let mut world = Self {
            service: DrivenSockets::new(&scenario.settings, seed),
            rng,
            now: Duration::ZERO,
            group: GroupName::new("g").expect("a name"),
            peers: Vec::new(),
            callers: Vec::new(),
            silent: Vec::new(),
            handler_answers_at: Duration::ZERO,
            script,
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
        self.handler_answers_at = self.now;
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
        let answers = self.handler_answers_at <= self.now;
        self.service.let_handler_answer(answers);
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
            if !has_passed {
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
        let shape = Scenario::line(&mut self.rng);
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
        self.note(|| format!("client {index} is without {:?}: {ended:?}", socket.task));
        let reads = socket.longest_pause <= PATIENCE && !socket.is_ending;
        match ended {
            Ended::Closed(1008, reason) if reads => Err(Finding::new(
                "a client that reads is never closed",
                format_args!("client {index} stays: {:?}", socket.longest_pause),
                reason,
            )),
            Ended::HungUp if reads => Err(Finding::new(
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
        if self.script.is_none() {
            return self.draw_trouble();
        }
        while let Some(script) = &mut self.script
            && script.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, trouble)) = script.pop_front()
        {
            self.inflict(trouble);
        }
    }

    fn draw_trouble(&mut self) {
        let a_second =
            |often: u32, step: Duration| (step.as_secs_f64() / f64::from(often)).min(1.0);
        let trouble = a_second(self.scenario.trouble, self.scenario.step);
        let bursts = a_second(self.scenario.bursts, self.scenario.step);
        for peer in 0..self.peers.len() {
            if self.peers[peer].socket.is_some() && self.rng.random_bool(trouble) {
                let trouble = Trouble::draw(&mut self.rng, peer);
                self.inflict(trouble);
            }
        }
        let burst = self.scenario.burst;
        for peer in 0..self.scenario.publishers.min(self.peers.len()) {
            if self.rng.random_bool(bursts) {
                let messages = self.rng.random_range(1..=burst);
                self.inflict(Trouble::Burst { peer, messages });
            }
            if self.rng.random_bool(bursts / 2.0) {
                let events = self.rng.random_range(1..=burst);
                self.inflict(Trouble::Events { peer, events });
            }
        }
        for caller in 0..self.callers.len() {
            if self.rng.random_bool(bursts) {
                let messages = self.rng.random_range(1..=burst.min(50));
                self.inflict(Trouble::Calls { caller, messages });
            }
        }
        if self
            .rng
            .random_bool(a_second(HANDLER_PAUSES, self.scenario.step))
        {
            let lasts = duration(&mut self.rng, 500..8000);
            self.inflict(Trouble::HandlerPauses { lasts });
        }
    }

    // The end of the trouble.

    fn speak_once_more(&mut self) {
        for index in 0..self.scenario.publishers.min(self.peers.len()) {
            self.peers[index].wishes += 1;
        }
        for caller in &mut self.callers {
            caller.wishes += 1;
        }
    }

    fn leave(&mut self) {
        for peer in &mut self.peers {
            peer.dials_at = Duration::MAX;
            if let Some(socket) = &mut peer.socket {
                socket.is_ending = true;
                socket.say(OpCode::Control(Control::Close), &1000_u16.to_be_bytes());
            }
        }
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
        self.now + duration(&mut self.rng, range.start..most)
    }

    /// The client at this place.
    pub(super) fn peer(&mut self, index: usize) -> &mut Peer {
        let peers = self.peers.len();
        &mut self.peers[index % peers]
    }

    pub(super) fn saw(&mut self, happening: Happening) {
        self.coverage.saw(happening);
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
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
