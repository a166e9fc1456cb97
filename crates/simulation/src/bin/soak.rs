//! The program behind `cargo xtask soak`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its terminal"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;
use simulation::{Coverage, Failure, Happening, Plant, WorldName};

/// Seeds within which each plant must be found.
const SEEDS_PER_PLANT: u64 = 100;

/// Seeds that are named for each check that failed.
const SEEDS_NAMED: usize = 10;

/// Failures that are printed; the others are counted.
const PRINTED: usize = 3;

/// Runs many seeds of the simulation.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Run this world only: hub or session.
    #[arg(long, conflicts_with_all = ["plant", "planted"], value_parser = world)]
    world: Option<WorldName>,
    /// Plant each bug in turn, and fail unless all are found.
    #[arg(long, conflicts_with_all = ["plant", "seed", "seeds"])]
    planted: bool,
    /// Plant this bug.
    #[arg(long)]
    plant: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.planted {
        return find_plants(args.first);
    }
    let plant = match args.plant.as_deref().map(named).transpose() {
        Ok(plant) => plant,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (first, seeds) = match args.seed {
        Some(seed) => (seed, 1),
        None => (args.first, args.seeds),
    };
    let worlds: Vec<_> = match (plant, args.world) {
        (Some(plant), _) => vec![plant.world()],
        (None, Some(world)) => vec![world],
        (None, None) => WorldName::ALL.to_vec(),
    };
    let mut has_passed = true;
    for world in worlds {
        has_passed &= soak(world, first, seeds, plant);
    }
    if has_passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs seeds of one world on all cores; whether all passed.
fn soak(world: WorldName, first: u64, seeds: u64, plant: Option<Plant>) -> bool {
    let indexes = usize::try_from(seeds).unwrap_or(usize::MAX);
    let results = on_all_cores(indexes, |index| run(world, first + index as u64, plant));
    let mut coverage = Coverage::default();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(seen) => coverage.add(&seen),
            Err(failure) => failures.push(failure),
        }
    }
    for failure in failures.iter().take(PRINTED) {
        println!("{failure}\n");
    }
    let mut checks = BTreeMap::<_, Vec<_>>::new();
    for failure in &failures {
        checks
            .entry(failure.check())
            .or_default()
            .push(failure.seed());
    }
    for (check, seeds) in checks {
        let first = &seeds[..seeds.len().min(SEEDS_NAMED)];
        println!(
            "{:>10}  failed: {check}, with the seeds {first:?}",
            seeds.len()
        );
    }
    for happening in Happening::all_of(world) {
        println!("{:>10}  {happening:?}", coverage.count(*happening));
    }
    println!(
        "{} seeds of the {} passed, {} failed",
        seeds - failures.len() as u64,
        world.name(),
        failures.len()
    );
    failures.is_empty()
}

/// Plants one bug after the other and looks for each.
fn find_plants(first: u64) -> ExitCode {
    let plants = Plant::all();
    let found = on_all_cores(plants.len(), |index| {
        let plant = plants[index];
        let mut seeds = first..first + SEEDS_PER_PLANT;
        seeds.find_map(|seed| run(plant.world(), seed, Some(plant)).err())
    });
    println!("{:<28} {:>5}  failed check", "plant", "seed");
    let mut missed = 0;
    for (plant, failure) in plants.iter().zip(found) {
        match failure {
            Some(failure) => {
                println!(
                    "{:<28} {:>5}  {}",
                    plant.name(),
                    failure.seed(),
                    failure.check()
                );
            }
            None => {
                missed += 1;
                println!(
                    "{:<28} {:>5}  NOT FOUND in {SEEDS_PER_PLANT} seeds",
                    plant.name(),
                    "-"
                );
            }
        }
    }
    println!("{} plants found, {missed} missed", plants.len() - missed);
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(feature = "planted")]
fn run(world: WorldName, seed: u64, plant: Option<Plant>) -> Result<Coverage, Box<Failure>> {
    match plant {
        Some(plant) => simulation::run_planted(seed, plant),
        None => simulation::run(world, seed),
    }
}

#[cfg(not(feature = "planted"))]
fn run(world: WorldName, seed: u64, _: Option<Plant>) -> Result<Coverage, Box<Failure>> {
    simulation::run(world, seed)
}

fn named(name: &str) -> Result<Plant, String> {
    if !cfg!(feature = "planted") {
        return Err("this program was built without plants; use the feature `planted`".to_owned());
    }
    let plants = Plant::all();
    let plant = plants.iter().find(|plant| plant.name() == name);
    plant.copied().ok_or_else(|| {
        let names: Vec<_> = plants.iter().map(|plant| plant.name()).collect();
        format!(
            "no plant is called `{name}`; there are {}",
            names.join(", ")
        )
    })
}

fn world(name: &str) -> Result<WorldName, String> {
    let world = WorldName::ALL.iter().find(|world| world.name() == name);
    world
        .copied()
        .ok_or_else(|| "a world is `hub` or `session`".to_owned())
}

/// The results for all indexes, in their order.
fn on_all_cores<R: Send>(indexes: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= indexes {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let results = workers.into_iter().map(|worker| worker.join());
        results
            .flat_map(|done| done.expect("a worker does not panic"))
            .collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
