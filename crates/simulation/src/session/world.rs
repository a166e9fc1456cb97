//! One run: one thread, virtual time that jumps to whatever comes next, and everything drawn from
//! one seed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use webpubsub_emulator::driven::{CallId, EPOCH, Socket};
use webpubsub_protocol::session::{Attempt, DialFailure, Input, Now, Recovery};

use super::client::Client;
use super::ledger::Ledger;
use super::line::Line;
use super::mark::{Kind, Mark};
use super::scenario::Scenario;
use super::service::Service;
use crate::Run;
use crate::agenda::Agenda;
use crate::coverage::{Coverage, Happening};
use crate::failure::{Check, Finding};
use crate::trace::Trace;

/// Steps that may happen without time going on.
const STEPS_PER_INSTANT: u32 = 20_000;

/// How long everything is given to calm down: a silent socket is noticed, a window ends, requests
/// are tried again, streams that nobody owns time out, and some.
const CALM: Duration = Duration::from_secs(340);

/// What happens at its time.
#[derive(Debug)]
pub(super) enum Event {
    /// An application does something.
    Act(usize),
    /// An application stops its client because an event has failed.
    StopAfterFailure(usize),
    /// Something goes wrong for a client.
    Trouble(usize),
    /// A server does something.
    Serve,
    /// A dial reaches the service.
    Dial {
        client: usize,
        attempt: Attempt,
        recover: Option<Recovery>,
    },
    DialFails(usize, Attempt, DialFailure),
    /// Something reaches the service.
    Up(usize),
    /// Something reaches the client.
    Down(usize),
    /// The service writes.
    Drain(usize),
    /// The service stops waiting for a close to be taken.
    Abort(usize),
    /// The service notices that a line is dead.
    ServiceNotices(usize),
    /// The client notices that a line is dead.
    ClientNotices(usize),
    /// A line is cut.
    Cut(usize),
    /// News of an attempt that is over.
    Stale(usize, Attempt, Input),
    /// A slow socket takes frames again.
    Write(usize),
    /// A consumer has read nothing since this time.
    Patience(usize, Duration),
    /// A consumer reads again.
    Resume(usize),
    /// A host wakes up; for how long its clock stood still.
    Wake(usize, Duration),
    /// The handler answers; of which service.
    Answer(CallId, u64),
    Restart,
    /// No more trouble.
    Heal,
    /// Nothing may be missing now.
    Check,
}

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Busy,
    /// Everything works and nobody starts anything.
    Healing,
    /// Everyone has left.
    Ending,
}

/// Everything in one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) scenario: Scenario,
    pub(super) rng: SmallRng,
    pub(super) now: Duration,
    pub(super) phase: Phase,
    pub(super) service: Service,
    pub(super) generation: u64,
    pub(super) clients: Vec<Client>,
    pub(super) lines: Vec<Line>,
    pub(super) sockets: BTreeMap<Socket, usize>,
    pub(super) ledger: Ledger,
    pub(super) coverage: Coverage,
    /// Numbers what servers send to groups.
    server_number: u64,
    seed: u64,
    base: Instant,
    agenda: Agenda<Event>,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (scenario, clients) = Scenario::draw(&mut rng, seed);
        let groups = &scenario.groups;
        let service = Service::new(Duration::ZERO, &scenario.settings, seed, groups);
        let mut world = Self {
            rng,
            now: Duration::ZERO,
            phase: Phase::Busy,
            service,
            generation: 0,
            clients,
            lines: Vec::new(),
            sockets: BTreeMap::new(),
            ledger: Ledger::default(),
            coverage: Coverage::default(),
            server_number: 0,
            seed,
            base: base(),
            agenda: Agenda::new(),
            trace,
            scenario,
        };
        for client in 0..world.clients.len() {
            world.schedule_in(0..500, Event::Act(client));
            let trouble = world.scenario.trouble.clone();
            world.schedule_in(trouble, Event::Trouble(client));
        }
        world.schedule_in(0..1000, Event::Serve);
        for _ in 0..world.scenario.restarts {
            world.schedule_in(5000..20_000, Event::Restart);
        }
        world.schedule(world.scenario.busy, Event::Heal);
        world
    }

    fn run_to_end(&mut self) -> Check {
        let mut steps = 0;
        loop {
            let hub = self.service.hub.poll_timeout();
            let session = self.next_session_timer();
            let event = self.agenda.next_at();
            let timer = session.map(|(at, _)| at);
            let Some(next) = hub.into_iter().chain(timer).chain(event).min() else {
                return Ok(());
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
            if hub.is_some_and(|at| at <= self.now) {
                self.service.hub.handle_timeout(self.now);
            } else if let Some((at, client)) = session
                && at <= self.now
                && (event.is_none_or(|at| at > self.now) || self.rng.random())
            {
                self.session_timer(client)?;
            } else if let Some(event) = self.agenda.next() {
                self.happen(event)?;
            }
            self.follow_up()?;
        }
    }

    fn happen(&mut self, event: Event) -> Check {
        match event {
            Event::Act(client) => self.act(client),
            Event::StopAfterFailure(client) => self.stop_after_failure(client),
            Event::Trouble(client) => self.trouble(client),
            Event::Serve => self.serve(),
            Event::Dial {
                client,
                attempt,
                recover,
            } => self.dial_arrives(client, attempt, recover),
            Event::DialFails(client, attempt, failure) => {
                self.input_or_later(client, attempt, Input::DialFailed(failure))
            }
            Event::Up(line) => self.up(line),
            Event::Down(line) => self.down(line),
            Event::Drain(line) => self.drain(line),
            Event::Abort(line) => self.abort(line),
            Event::ServiceNotices(line) => self.service_notices(line),
            Event::ClientNotices(line) => self.client_notices(line),
            Event::Cut(line) => self.cut(line),
            Event::Stale(client, attempt, input) => self.input_or_later(client, attempt, input),
            Event::Write(client) => self.write_slowly(client),
            Event::Patience(client, since) => self.lose_patience(client, since),
            Event::Resume(client) => self.resume(client),
            Event::Wake(client, stood_still) => self.wake(client, stood_still),
            Event::Answer(call, generation) => self.answer(call, generation),
            Event::Restart => self.restart(),
            Event::Heal => self.heal(),
            Event::Check => self.check_calm(),
        }
    }

    /// Whatever the last step asked for: writing, and calling the handler.
    fn follow_up(&mut self) -> Check {
        for call in self.service.take_calls(&mut self.ledger)? {
            let slowly = self.phase == Phase::Busy && self.rng.random_ratio(1, 8);
            let range = if slowly { 3000..20_000 } else { 0..800 };
            self.schedule_in(range, Event::Answer(call, self.generation));
        }
        for socket in self.service.take_woken(self.now, &mut self.ledger)? {
            if let Some(&line) = self.sockets.get(&socket) {
                self.woken(line);
            }
        }
        Ok(())
    }

    fn answer(&mut self, call: CallId, generation: u64) -> Check {
        if generation != self.generation {
            return Ok(());
        }
        let Some(mark) = self.service.end_call(call) else {
            return Ok(());
        };
        let fails = self.phase == Phase::Busy && self.rng.random_ratio(1, 4);
        let answer = if fails {
            self.ledger.call_failed(mark);
            if mark.kind == Kind::Raise && self.rng.random_ratio(1, 16) {
                // The client has heard of it by then, and waits before it tries again.
                self.schedule_in(400..800, Event::StopAfterFailure(client_of(mark)));
            }
            Err(())
        } else {
            self.ledger.call_answered(mark);
            Ok(Some(answer_to(mark).payload()))
        };
        self.note(|| format!("the handler answers {mark:?}: {answer:?}"));
        self.service.hub.upstream_done(self.now, call, answer);
        // Clients whose frames had to wait may be read again.
        for line in 0..self.lines.len() {
            if !self.lines[line].service_gone && self.lines[line].has_up(self.now) {
                self.schedule(self.now, Event::Up(line));
            }
        }
        Ok(())
    }

    /// The service is replaced: it knows nobody and no token.
    fn restart(&mut self) -> Check {
        self.saw(Happening::ServiceRestarted);
        self.note(|| "the service restarts".to_owned());
        self.generation += 1;
        self.service.cancel_all(&mut self.ledger);
        let seed = self.seed ^ (self.generation << 32);
        let Scenario {
            settings, groups, ..
        } = &self.scenario;
        self.service = Service::new(self.now, settings, seed, groups);
        self.sockets.clear();
        for line in 0..self.lines.len() {
            self.lines[line].service_gone = true;
            if !self.lines[line].is_cut() {
                self.lines[line].cut();
                self.schedule_in(0..2000, Event::ClientNotices(line));
            }
        }
        Ok(())
    }

    fn heal(&mut self) -> Check {
        self.note(|| "no more trouble".to_owned());
        self.phase = Phase::Healing;
        for client in 0..self.clients.len() {
            self.calm_down(client)?;
        }
        self.schedule(self.now + CALM, Event::Check);
        Ok(())
    }

    // Time.

    /// The moment as a client's host sees it.
    pub(super) fn now_at(&self, client: usize) -> Now {
        Now {
            mono: self.base + (self.now - self.clients[client].stood_still),
            wall: SystemTime::UNIX_EPOCH + EPOCH + self.now,
        }
    }

    fn next_session_timer(&self) -> Option<(Duration, usize)> {
        let awake = self.clients.iter().enumerate();
        awake
            .filter(|(_, client)| !client.asleep)
            .filter_map(|(index, client)| {
                let due = client.session.poll_timeout()?;
                let at = due.saturating_duration_since(self.base) + client.stood_still;
                Some((at, index))
            })
            .min()
    }

    pub(super) fn schedule(&mut self, at: Duration, event: Event) {
        self.agenda.schedule(at, event);
    }

    /// After so many milliseconds.
    pub(super) fn schedule_in(&mut self, range: Range<u64>, event: Event) {
        let after = Duration::from_millis(self.rng.random_range(range));
        self.schedule(self.now + after, event);
    }

    pub(super) fn arrival(&mut self) -> Duration {
        self.now + Duration::from_millis(self.rng.random_range(self.scenario.latency.clone()))
    }

    // What the other files of the world use.

    pub(super) fn server_mark(&mut self, kind: Kind, group: usize) -> Mark {
        self.server_number += 1;
        Mark::new(kind, group as u64, self.server_number)
    }

    /// Once of so often, while there is trouble.
    pub(super) fn by_chance(&mut self, of: u32) -> bool {
        self.phase == Phase::Busy && self.rng.random_ratio(1, of)
    }

    pub(super) fn saw(&mut self, happening: Happening) {
        self.coverage.saw(happening);
    }

    /// Writes a line of the trace, if somebody reads it.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
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

    fn into_coverage(self) -> Coverage {
        self.coverage
    }
}

/// Whose event or invocation it is.
fn client_of(mark: Mark) -> usize {
    usize::try_from(mark.of).expect("the number of a client")
}

/// What the handler answers.
pub(super) const fn answer_to(mark: Mark) -> Mark {
    let of = mark.of * 2 + matches!(mark.kind, Kind::Invoke) as u64;
    Mark::new(Kind::Answer, of, mark.number)
}

/// An instant cannot be made up, and which one it is changes nothing.
#[expect(clippy::disallowed_methods, reason = "all times count from it")]
fn base() -> Instant {
    Instant::now()
}
