//! One run: one thread, virtual time that jumps to whatever comes next, and everything drawn from
//! one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use webpubsub_emulator::driven::{CallId, Socket};
use webpubsub_protocol::payload::Payload;

use crate::Run;
use crate::agenda::Agenda;
use crate::checked::Checked;
use crate::client::Client;
use crate::coverage::{Coverage, Happening};
use crate::failure::{Check, Finding};
use crate::link::Link;
use crate::scenario::Scenario;
use crate::trace::Trace;

/// Steps that may happen without time going on.
const STEPS_PER_INSTANT: u32 = 50_000;

/// How long everything is given to calm down: a window, the longest answer, and some.
const CALM: Duration = Duration::from_secs(80);

/// What happens at its time.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client does something.
    Act(usize),
    /// A server does something.
    Serve,
    /// More of a burst of messages.
    Burst {
        target: u8,
        index: usize,
        left: u32,
    },
    /// A client's dial reaches the service.
    Dial {
        client: usize,
        aim: Aim,
    },
    /// A client hears that its recovery was refused.
    Refused(usize),
    /// Something reaches the service.
    Up(usize),
    /// Something reaches the client.
    Down(usize),
    /// The service writes.
    Drain(usize),
    /// The service stops waiting for a close to be taken.
    Abort(usize),
    /// The service notices that a link is cut, or that another one replaced it.
    ServiceNotices(usize),
    /// The client notices that its link is cut.
    ClientNotices(usize),
    /// The handler answers; of which service.
    Answer(CallId, u64),
    /// A client acknowledges what it received.
    Acknowledge(usize),
    Restart,
    /// No more trouble.
    Heal,
    /// Nothing may be missing now.
    Check,
}

/// When a dial should reach the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Now,
    /// At a moment that tells right from wrong.
    Seek,
    /// It was aimed at the end of the recovery window.
    WindowEnd,
}

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Busy,
    /// Everyone comes back and nobody starts anything.
    Healing,
    /// Everyone leaves for good.
    Ending,
}

/// Everything in one run.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: SmallRng,
    pub(crate) now: Duration,
    pub(crate) phase: Phase,
    pub(crate) service: Checked,
    /// Counts the services, for a restart makes a new one.
    pub(crate) generation: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) links: Vec<Link>,
    pub(crate) sockets: BTreeMap<Socket, usize>,
    /// Numbers messages, so that no two are the same.
    pub(crate) messages: u64,
    seed: u64,
    agenda: Agenda<Event>,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut scenario = Scenario::draw(&mut rng);
        let clients = std::mem::take(&mut scenario.clients);
        let service = Checked::new(&scenario.settings, seed, &scenario.groups, &scenario.users);
        let mut world = Self {
            rng,
            now: Duration::ZERO,
            phase: Phase::Busy,
            service,
            generation: 0,
            clients,
            links: Vec::new(),
            sockets: BTreeMap::new(),
            messages: 0,
            seed,
            agenda: Agenda::new(),
            trace,
            scenario,
        };
        for client in 0..world.clients.len() {
            world.dial_in(client, 0..500);
            world.schedule_in(0..2000, Event::Act(client));
        }
        world.schedule_in(0..1000, Event::Serve);
        let busy = world.scenario.busy;
        world.schedule(busy, Event::Heal);
        if world.scenario.restarts {
            let at = world.rng.random_range(5..20);
            world.schedule(Duration::from_secs(at), Event::Restart);
        }
        world
    }

    /// Runs to the end of everything.
    fn run_to_end(&mut self) -> Check {
        let mut steps = 0;
        loop {
            let timer = self.service.poll_timeout();
            let event = self.agenda.next_at();
            let Some(next) = timer.into_iter().chain(event).min() else {
                return self.check_empty();
            };
            steps = if next > self.now { 0 } else { steps + 1 };
            if steps > STEPS_PER_INSTANT {
                return Err(Finding::new(
                    "time goes on",
                    STEPS_PER_INSTANT,
                    "more steps in an instant",
                ));
            }
            self.now = self.now.max(next);
            if timer.is_some_and(|at| at <= self.now) {
                self.note(|| "timers".to_owned());
                self.service.handle_timeout(self.now)?;
            } else if let Some(event) = self.agenda.next() {
                self.happen(event)?;
            }
            self.follow_up()?;
        }
    }

    fn happen(&mut self, event: Event) -> Check {
        match event {
            Event::Act(client) => self.act(client),
            Event::Serve => self.serve(),
            Event::Burst {
                target,
                index,
                left,
            } => self.burst(target, index, left),
            Event::Dial { client, aim } => self.dial(client, aim),
            Event::Refused(client) => {
                self.refused(client);
                Ok(())
            }
            Event::Up(link) => self.up(link),
            Event::Down(link) => self.down(link),
            Event::Drain(link) => self.drain(link),
            Event::Abort(link) => self.abort(link),
            Event::ServiceNotices(link) => self.service_notices(link),
            Event::ClientNotices(link) => {
                self.client_lost(link);
                Ok(())
            }
            Event::Answer(call, generation) => self.answer(call, generation),
            Event::Acknowledge(client) => {
                self.acknowledge(client);
                Ok(())
            }
            Event::Restart => self.restart(),
            Event::Heal => self.heal(),
            Event::Check => self.check_calm(),
        }
    }

    /// Whatever the last step asked for: writing, and calling the handler.
    fn follow_up(&mut self) -> Check {
        for socket in self.service.take_woken() {
            if let Some(&link) = self.sockets.get(&socket) {
                self.woken(link)?;
            }
        }
        for call in self.service.take_calls() {
            let generation = self.generation;
            let slowly = self.phase == Phase::Busy && self.rng.random_ratio(1, 8);
            let range = if slowly { 3000..20_000 } else { 0..800 };
            self.schedule_in(range, Event::Answer(call, generation));
        }
        Ok(())
    }

    fn answer(&mut self, call: CallId, generation: u64) -> Check {
        if generation != self.generation {
            return Ok(());
        }
        let answer = match self.rng.random_range(0..6) {
            0 => Err(()),
            1 | 2 => Ok(None),
            _ => {
                self.saw(Happening::EventAnswered);
                Ok(Some(self.payload()))
            }
        };
        self.note(|| format!("the handler answers {call:?}: {answer:?}"));
        self.service.answer(self.now, call, answer)?;
        // Clients whose frames had to wait may be read again.
        for link in 0..self.links.len() {
            if self.links[link].has_up(self.now) && !self.links[link].service_gone {
                self.schedule(self.now, Event::Up(link));
            }
        }
        Ok(())
    }

    /// The service is replaced: it knows nobody and no token.
    fn restart(&mut self) -> Check {
        self.saw(Happening::Restart);
        self.note(|| "the service restarts".to_owned());
        self.generation += 1;
        let seed = self.seed ^ (self.generation << 32);
        let Scenario {
            settings,
            groups,
            users,
            ..
        } = &self.scenario;
        let next = Checked::new(settings, seed, groups, users);
        let last = std::mem::replace(&mut self.service, next);
        self.service.coverage = last.coverage;
        self.sockets.clear();
        for link in 0..self.links.len() {
            self.links[link].service_gone = true;
            self.links[link].cut();
            self.schedule_in(0..2000, Event::ClientNotices(link));
        }
        Ok(())
    }

    fn heal(&mut self) -> Check {
        self.note(|| "no more trouble".to_owned());
        self.phase = Phase::Healing;
        for link in 0..self.links.len() {
            self.quicken(link);
        }
        self.schedule(self.now + CALM, Event::Check);
        Ok(())
    }

    /// Everything has calmed down. Then everyone leaves.
    fn check_calm(&mut self) -> Check {
        self.service.audit()?;
        for client in 0..self.clients.len() {
            let state = &self.clients[client];
            let is_there = state.is_ready();
            Finding::unless_same("everyone is connected after the trouble", &true, &is_there)?;
            let Some(session) = &state.session else {
                continue;
            };
            if state.spec.subprotocol.is_some() {
                let ledger = self.service.reference.ledger(&session.id);
                session.check_complete(self.now, ledger)?;
            }
        }
        self.phase = Phase::Ending;
        for client in 0..self.clients.len() {
            self.leave_for_good(client);
        }
        Ok(())
    }

    fn check_empty(&self) -> Check {
        let left = self.service.reference.connections.len();
        Finding::unless_same("nobody is left", &0, &left)?;
        self.service.audit()
    }

    // What the other files of the world use.

    pub(crate) fn schedule(&mut self, at: Duration, event: Event) {
        self.agenda.schedule(at, event);
    }

    /// After so many milliseconds.
    pub(crate) fn schedule_in(&mut self, range: std::ops::Range<u64>, event: Event) {
        let after = Duration::from_millis(self.rng.random_range(range));
        self.schedule(self.now + after, event);
    }

    pub(crate) fn arrival(&mut self) -> Duration {
        self.now + Duration::from_millis(self.rng.random_range(self.scenario.latency.clone()))
    }

    pub(crate) fn payload(&mut self) -> Payload {
        self.messages += 1;
        let number = self.messages;
        match self.rng.random_range(0..4) {
            0 => Payload::Json(format!("{{\"n\":{number}}}").into()),
            1 => Payload::binary(number.to_be_bytes().to_vec()),
            _ => Payload::text(format!("m{number}")),
        }
    }

    pub(crate) fn saw(&mut self, happening: Happening) {
        self.service.coverage.saw(happening);
    }

    /// Writes a line of the trace, if somebody reads it.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.note(self.now, line);
    }
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

    fn into_coverage(mut self) -> Coverage {
        for _ in 0..self.service.reference.overflows_away {
            self.saw(Happening::ReplayFullAway);
        }
        self.service.coverage
    }
}
