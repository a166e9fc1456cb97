//! Publishers that never wait. Who reads gets everything, in the order of each publisher, and is never closed.

use std::ops::Range;
use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::kind::{Kind, marked};
use crate::report::{Findings, mebibytes};
use crate::rest::Rest;
use crate::world::{GROUP, LIMIT, PATIENCE, Settings, World, burst};

/// Memory that a burst may take: the queues of those who read are short.
const GROWTH: u64 = 200 << 20;

pub(super) fn one_publisher(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let shapes: &[(usize, u64)] = settings.pick(
        &[(10, 3_000), (100, 1_500)],
        &[(10, 20_000), (200, 5_000), (1_000, 3_000), (2_000, 1_500)],
    );
    let mut world = World::start(settings, &[])?;
    let mut publisher = 0;
    for kind in Kind::ALL {
        for &(count, messages) in shapes {
            let before = world.resident()?;
            let readers = world.members(kind, count)?;
            let sender = world.outsiders(Kind::JSON, 1)?.start;
            let began = Deliveries::begin(&world);
            world
                .swarm
                .feed(sender, burst(Kind::JSON, publisher, messages, 100)?);
            let resident = began.run(&mut world, findings, count as u64 * messages)?;
            let who = format!("{count} readers of kind {kind}");
            world.check_readers(findings, &who, readers.clone(), messages);
            let acks = world.swarm.log(sender).acks;
            findings.hold(
                "the publisher hears that its last send is done",
                acks == 1,
                acks,
            );
            check_growth(findings, before, resident);
            leave(&mut world, readers);
            world.swarm.cut(sender);
            publisher += 1;
        }
    }
    world.end(findings);
    Ok(())
}

pub(super) fn many_publishers(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let (each, publishers, messages) = settings.pick((20, 20, 100), (200, 20, 500));
    let mut world = World::start(settings, &[])?;
    let before = world.resident()?;
    let readers = mixed(&mut world, each)?;
    let mut senders = Vec::new();
    for number in 0..publishers {
        let kind = Kind::PUBSUB[number % Kind::PUBSUB.len()];
        senders.push((kind, world.outsiders(kind, 1)?.start));
    }
    let began = Deliveries::begin(&world);
    for (number, &(kind, sender)) in senders.iter().enumerate() {
        world
            .swarm
            .feed(sender, burst(kind, number, messages, 100)?);
    }
    let expected = publishers as u64 * messages;
    let resident = began.run(&mut world, findings, readers.len() as u64 * expected)?;
    world.check_readers(findings, "readers of all kinds", readers, expected);
    let acks = senders
        .iter()
        .map(|&(_, sender)| world.swarm.log(sender).acks);
    let acks: u64 = acks.sum();
    findings.hold(
        "every publisher hears that it is done",
        acks == publishers as u64,
        acks,
    );
    check_growth(findings, before, resident);
    world.end(findings);
    Ok(())
}

pub(super) fn rest_callers(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let (each, callers, messages) = settings.pick((20, 4, 200), (200, 8, 1_000));
    let mut world = World::start(settings, &[])?;
    let before = world.resident()?;
    let readers = mixed(&mut world, each)?;
    let began = Deliveries::begin(&world);
    let mut threads = Vec::new();
    for caller in 0..callers {
        let mut rest = Rest::connect(&world.server)?;
        // Half of them to the group, half to all.
        let group = (caller % 2 == 0).then_some(GROUP);
        threads.push(thread::spawn(move || {
            (0..messages).try_for_each(|number| rest.send(group, &marked(caller, number, 100)))
        }));
    }
    let expected = callers as u64 * messages;
    let resident = began.run(&mut world, findings, readers.len() as u64 * expected)?;
    world.check_readers(findings, "readers of all kinds", readers, expected);
    let accepted = threads
        .into_iter()
        .filter_map(|thread| thread.join().ok()?.ok())
        .count();
    findings.hold(
        "every call is accepted",
        accepted == callers,
        format!("{accepted} callers"),
    );
    check_growth(findings, before, resident);
    world.end(findings);
    Ok(())
}

/// Those who talk are not reliable: the acknowledgements of a reliable client wait behind what it sends, so that one that
/// sends without pause cannot acknowledge in time, on any service. Reliable members listen.
pub(super) fn conversation(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let (each, messages) = settings.pick((12, 120), (30, 500));
    let mut world = World::start(settings, &[])?;
    let before = world.resident()?;
    let mut talkers = Vec::new();
    for kind in Kind::PUBSUB {
        let members = world.members(kind, each)?;
        if !kind.is_reliable() {
            talkers.extend(members.map(|member| (kind, member)));
        }
    }
    let began = Deliveries::begin(&world);
    for (number, &(kind, member)) in talkers.iter().enumerate() {
        world
            .swarm
            .feed(member, burst(kind, number, messages, 100)?);
    }
    let members = 0..each * Kind::PUBSUB.len();
    let expected = talkers.len() as u64 * messages;
    let resident = began.run(&mut world, findings, members.len() as u64 * expected)?;
    world.check_readers(findings, "members who talk or listen", members, expected);
    check_growth(findings, before, resident);
    world.end(findings);
    Ok(())
}

/// As many readers of each kind.
fn mixed(world: &mut World, each: usize) -> Result<Range<usize>> {
    let mut all = 0..0;
    for kind in Kind::ALL {
        all.end = world.members(kind, each)?.end;
    }
    Ok(all)
}

fn leave(world: &mut World, members: Range<usize>) {
    for member in members {
        world.swarm.cut(member);
    }
}

fn check_growth(findings: &mut Findings, before: u64, resident: u64) {
    findings.hold(
        format!("memory grows by less than {}", mebibytes(GROWTH)),
        resident < before + GROWTH,
        format!("{} to {}", mebibytes(before), mebibytes(resident)),
    );
}

/// Waits for messages, and tells how fast they came.
struct Deliveries {
    messages: u64,
    began: Instant,
    idle: std::time::Duration,
}

impl Deliveries {
    fn begin(world: &World) -> Self {
        Self {
            messages: world.swarm.totals().messages,
            began: Instant::now(),
            idle: world.swarm.idle(),
        }
    }

    /// Runs until `expected` messages came, or none comes any more. Returns the most memory that was seen.
    fn run(self, world: &mut World, findings: &mut Findings, expected: u64) -> Result<u64> {
        let mut most = 0;
        let mut looked = Instant::now();
        let process = &world.server.process;
        world.swarm.run_while_busy(LIMIT, PATIENCE, |swarm| {
            if looked.elapsed().as_millis() >= 50 {
                looked = Instant::now();
                most = process
                    .memory()
                    .map_or(most, |memory| most.max(memory.resident));
            }
            swarm.totals().messages - self.messages >= expected
        })?;
        let time = self.began.elapsed();
        let came = world.swarm.totals().messages - self.messages;
        let busy = 1.0 - (world.swarm.idle() - self.idle).as_secs_f64() / time.as_secs_f64();
        findings.note(format!(
            "{came} messages in {:.2} s, {:.0} a second; the generator was busy for {:.0} % of it",
            time.as_secs_f64(),
            came as f64 / time.as_secs_f64(),
            busy * 100.0
        ));
        // What is sent too much, or an end, comes right behind.
        world.idle(std::time::Duration::from_millis(100))?;
        Ok(most.max(world.resident()?))
    }
}
