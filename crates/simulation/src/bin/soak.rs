//! The program behind `cargo xtask soak`.

#![allow(clippy::print_stdout, reason = "a program talks to its terminal")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use clap::Parser;
use simulation::{Coverage, Happening, WorldName, run};

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
    /// Run this world only: hub, session or sockets.
    #[arg(long, value_parser = world)]
    world: Option<WorldName>,
    /// Look for a seed that fails this check, and stop there.
    #[arg(long, value_name = "CHECK")]
    until: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (first, seeds) = match args.seed {
        Some(seed) => (seed, 1),
        None => (args.first, args.seeds),
    };
    let worlds = args
        .world
        .map_or_else(|| WorldName::ALL.to_vec(), |world| vec![world]);
    if let Some(check) = &args.until {
        let found = worlds
            .iter()
            .any(|world| fails(*world, first, seeds, check));
        return if found {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let mut has_passed = true;
    for world in worlds {
        has_passed &= soak(world, first, seeds);
    }
    if has_passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs seeds of one world on all cores until one fails a check; whether one does.
fn fails(world: WorldName, first: u64, seeds: u64, check: &str) -> bool {
    let is_found = AtomicBool::new(false);
    let mut others = BTreeMap::<_, u64>::new();
    let results = on_all_cores(seeds, |index| {
        if is_found.load(Ordering::Relaxed) {
            return None;
        }
        let failure = run(world, first + index).err()?;
        if failure.check() == check {
            is_found.store(true, Ordering::Relaxed);
        }
        Some(failure)
    });
    for failure in results.into_iter().flatten() {
        if failure.check() == check {
            println!("{failure}");
            return true;
        }
        *others.entry(failure.check()).or_default() += 1;
    }
    for (check, seeds) in others {
        println!("{seeds:>10}  failed: {check}");
    }
    false
}

/// Runs seeds of one world on all cores; whether all passed.
fn soak(world: WorldName, first: u64, seeds: u64) -> bool {
    let results = on_all_cores(seeds, |index| run(world, first + index));
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

fn world(name: &str) -> Result<WorldName, String> {
    let world = WorldName::ALL.iter().find(|world| world.name() == name);
    world
        .copied()
        .ok_or_else(|| "a world is `hub`, `session` or `sockets`".to_owned())
}

/// The results for all indexes, in their order.
fn on_all_cores<R: Send>(indexes: u64, work: impl Fn(u64) -> R + Sync) -> Vec<R> {
    let next = AtomicU64::new(0);
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
