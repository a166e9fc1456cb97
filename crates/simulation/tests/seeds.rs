//! What every test run simulates.

use std::collections::BTreeSet;
use std::thread;

use simulation::{Coverage, Happening, WorldName, run, trace};

/// Seeds of the normal test run.
const fn seeds(world: WorldName) -> u64 {
    match world {
        WorldName::Hub | WorldName::Session => 1000,
        // Every byte passes through tasks and lines. The fiftieth seed has a crowd.
        WorldName::Sockets => 60,
    }
}

/// Runs all seeds of the normal test run; the first failure ends it.
fn run_all(world: WorldName) -> Coverage {
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    thread::scope(|scope| {
        let runs: Vec<_> = (0..cores)
            .map(|core| {
                scope.spawn(move || {
                    let mut coverage = Coverage::default();
                    for seed in (core..seeds(world)).step_by(cores as usize) {
                        match run(world, seed) {
                            Ok(seen) => coverage.add(&seen),
                            Err(failure) => panic!("{failure}"),
                        }
                    }
                    coverage
                })
            })
            .collect();
        let mut all = Coverage::default();
        for run in runs {
            all.add(&run.join().expect("every seed passes"));
        }
        all
    })
}

#[test]
fn a_thousand_seeds_of_the_hub_pass_and_see_everything() {
    // req: S-6-3, S-7.1-1, S-7.1-2, S-7.2-1, S-7.2-5
    pass_and_see_everything(WorldName::Hub);
}

#[test]
fn a_thousand_seeds_of_the_session_pass_and_see_everything() {
    pass_and_see_everything(WorldName::Session);
}

#[test]
fn sixty_seeds_of_the_sockets_pass_and_see_everything() {
    pass_and_see_everything(WorldName::Sockets);
}

fn pass_and_see_everything(world: WorldName) {
    let coverage = run_all(world);
    let unseen: BTreeSet<_> = Happening::all_of(world)
        .iter()
        .filter(|happening| coverage.count(**happening) < seeds(world) / 50)
        .collect();
    assert!(
        unseen.is_empty(),
        "the simulation has gone blind for {unseen:?}"
    );
}

#[test]
fn a_seed_repeats_itself() {
    for world in WorldName::ALL {
        let (first, second) = (trace(*world, 7), trace(*world, 7));
        assert!(first.len() > 100, "{} steps", first.len());
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first, second);
        }
        assert_eq!(first.len(), second.len());
        assert_ne!(first, trace(*world, 8));
    }
}
