#![doc = include_str!("../README.md")]

mod actions;
mod agenda;
mod checked;
mod client;
mod coverage;
mod failure;
mod line;
mod link;
mod network;
mod reference;
mod scenario;
mod session;
mod sockets;
mod trace;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use coverage::{Coverage, Happening};
pub use failure::Failure;

use failure::{Check, Finding};
use trace::Trace;

/// Lines that a failure shows.
const TAIL: usize = 60;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorldName {
    /// Scripted clients against the hub: is the service right?
    Hub,
    /// Sessions against the hub: is the client right?
    Session,
    /// The tasks of sockets, over lines with little room: does everyone who reads get everything?
    Sockets,
}

impl WorldName {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Hub, Self::Session, Self::Sockets];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Session => "session",
            Self::Sockets => "sockets",
        }
    }
}

/// Runs one seed of a world to its end; what happened in it.
///
/// # Errors
///
/// The first check that did not hold, with the steps before it.
pub fn run(world: WorldName, seed: u64) -> Result<Coverage, Box<Failure>> {
    match world {
        WorldName::Hub => run_world(world, seed, |trace| world::World::new(seed, trace)),
        WorldName::Session => run_world(world, seed, |trace| session::World::new(seed, trace)),
        WorldName::Sockets => run_world(world, seed, |trace| sockets::World::new(seed, trace)),
    }
}

/// Runs one seed of a world, and tells each step of it.
#[must_use]
pub fn trace(world: WorldName, seed: u64) -> Vec<String> {
    fn steps(mut world: impl Run) -> Vec<String> {
        let passed = guarded(&mut world);
        let mut lines = world.into_trace().into_lines();
        lines.push(format!("{passed:?}"));
        lines
    }
    let trace = Trace::of(usize::MAX);
    match world {
        WorldName::Hub => steps(world::World::new(seed, trace)),
        WorldName::Session => steps(session::World::new(seed, trace)),
        WorldName::Sockets => steps(sockets::World::new(seed, trace)),
    }
}

/// A world that is run.
trait Run {
    fn run(&mut self) -> Check;
    fn now(&self) -> Duration;
    fn into_trace(self) -> Trace;
    fn into_coverage(self) -> Coverage;
}

fn run_world<W: Run>(
    name: WorldName,
    seed: u64,
    new: impl Fn(Trace) -> W,
) -> Result<Coverage, Box<Failure>> {
    let mut world = new(Trace::of(0));
    if guarded(&mut world).is_ok() {
        return Ok(world.into_coverage());
    }
    // The same again, this time with a trace: runs that pass need not pay for one.
    let mut world = new(Trace::of(TAIL));
    let finding = match guarded(&mut world) {
        Err(finding) => finding,
        Ok(()) => Finding::new("a seed repeats itself", "the same failure", "none"),
    };
    Err(Box::new(Failure {
        world: name,
        seed,
        at: world.now(),
        finding,
        tail: world.into_trace().into_lines(),
    }))
}

/// A panic of what is tested is a finding like any other.
fn guarded(world: &mut impl Run) -> Check {
    catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Finding::new(
            "nothing panics",
            "no panic",
            text.unwrap_or_default(),
        ))
    })
}
