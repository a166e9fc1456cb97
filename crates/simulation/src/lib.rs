#![doc = include_str!("../README.md")]

mod actions;
mod checked;
mod client;
mod coverage;
mod failure;
mod link;
mod network;
mod reference;
mod scenario;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use coverage::{Coverage, Happening};
pub use failure::Failure;
pub use webpubsub_emulator::driven::Plant;

use failure::{Check, Finding};
use world::World;

/// Runs one seed to its end; what happened in it.
///
/// # Errors
///
/// The first check that did not hold, with the steps before it.
pub fn run(seed: u64) -> Result<Coverage, Box<Failure>> {
    run_with(seed, None)
}

/// As [`run`], with a bug planted in the hub.
///
/// # Errors
///
/// As [`run`]: here the plant was found.
#[cfg(feature = "planted")]
pub fn run_planted(seed: u64, plant: Plant) -> Result<Coverage, Box<Failure>> {
    webpubsub_emulator::driven::select_plant(Some(plant));
    let result = run_with(seed, Some(plant));
    webpubsub_emulator::driven::select_plant(None);
    result
}

fn run_with(seed: u64, plant: Option<Plant>) -> Result<Coverage, Box<Failure>> {
    let mut world = World::new(seed, false);
    if guarded(&mut world).is_ok() {
        return Ok(world.into_coverage());
    }
    // The same again, this time with a trace: runs that pass need not pay for one.
    let mut world = World::new(seed, true);
    let finding = match guarded(&mut world) {
        Err(finding) => finding,
        Ok(()) => Finding::new("a seed repeats itself", "the same failure", "none"),
    };
    Err(Box::new(Failure {
        seed,
        plant,
        at: world.now,
        finding,
        tail: world.tail(),
    }))
}

/// A panic of the hub is a finding like any other.
fn guarded(world: &mut World) -> Check {
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
