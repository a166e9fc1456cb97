//! What every test run simulates.

use std::collections::BTreeSet;
use std::thread;

use simulation::{Coverage, Happening, run};

const SEEDS: u64 = 1000;

/// Runs all seeds of the normal test run; the first failure ends it.
fn run_all() -> Coverage {
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    thread::scope(|scope| {
        let runs: Vec<_> = (0..cores)
            .map(|core| {
                scope.spawn(move || {
                    let mut coverage = Coverage::default();
                    for seed in (core..SEEDS).step_by(cores as usize) {
                        match run(seed) {
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
fn a_thousand_seeds_pass_and_see_everything() {
    // req: S-6-3, S-7.1-1, S-7.1-2, S-7.2-1, S-7.2-5
    let coverage = run_all();
    let unseen: BTreeSet<_> = Happening::ALL
        .iter()
        .filter(|happening| coverage.count(**happening) < 20)
        .collect();
    assert!(
        unseen.is_empty(),
        "the simulation has gone blind for {unseen:?}"
    );
}

#[test]
fn a_seed_repeats_itself() {
    let (first, second) = (run(7), run(7));
    let (first, second) = (first.expect("passes"), second.expect("passes"));
    for happening in Happening::ALL {
        assert_eq!(
            first.count(*happening),
            second.count(*happening),
            "{happening:?}"
        );
    }
}
