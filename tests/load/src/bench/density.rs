//! What connections cost that do nothing, and how fast they come.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Aim, Group, Measure, Row, Sample, Settings, Side};
use crate::kind::Kind;
use crate::server::Server;
use crate::swarm::Swarm;
use crate::world::{GROUP, LIMIT, burst_from};

const LARGE: usize = 256 << 10;

pub(super) fn group(settings: &Settings) -> Group {
    let many = settings.pick(2_000, 10_000);
    let at_most = |measure, bound| Aim::AtMost { measure, bound };
    Group {
        name: "density",
        title: "Connections of the emulator",
        rows: vec![
            ours(
                "start",
                "the emulator's start until it is ready",
                start,
                vec![at_most(Measure::Time, 10.0)],
            ),
            ours(
                "idle-1000",
                "an idle connection of 1,000",
                |settings| idle(settings, 1_000),
                vec![],
            ),
            ours(
                "idle-many",
                &format!("an idle connection of {many}"),
                move |settings| idle(settings, many),
                vec![
                    at_most(Measure::Memory, 10.0),
                    at_most(Measure::Time, many as f64 / 5.0),
                ],
            ),
            ours(
                "after-large",
                "memory 10 s after a broadcast of 256 KiB to 1,000 members",
                after_large,
                vec![at_most(Measure::Share, 110.0)],
            ),
        ],
    }
}

fn ours(
    id: &'static str,
    about: &str,
    round: impl FnMut(&Settings) -> Result<Sample> + 'static,
    aims: Vec<Aim>,
) -> Row {
    Row {
        id,
        about: about.to_owned(),
        aims,
        sides: vec![Side {
            name: "emulator",
            round: Box::new(round),
        }],
    }
}

fn emulator(settings: &Settings) -> Result<Server> {
    Server::start(&settings.program("webpubsub-emulator"), &[])
}

fn start(settings: &Settings) -> Result<Sample> {
    let server = emulator(settings)?;
    let memory = server.process.memory()?;
    Ok(Sample {
        values: vec![
            (Measure::Time, server.process.started_in.as_secs_f64() * 1e3),
            (Measure::Memory, memory.resident as f64 / 1024.0),
            (Measure::Heap, memory.anonymous as f64 / 1024.0),
        ],
        generator_busy: None,
    })
}

fn idle(settings: &Settings, count: usize) -> Result<Sample> {
    let server = emulator(settings)?;
    let mut swarm = Swarm::new()?;
    let plan = server.plan(Kind::JSON, &[]);
    // What the first connections need once is no cost of each.
    swarm.connect_all(server.address, vec![plan.clone(); 10], LIMIT)?;
    let (before, cpu) = (server.process.memory()?, server.process.cpu()?);
    let (idle, began) = (swarm.idle(), Instant::now());
    swarm.connect_all(server.address, vec![plan; count], LIMIT)?;
    let elapsed = began.elapsed().as_secs_f64();
    let busy = 1.0 - (swarm.idle() - idle).as_secs_f64() / elapsed;
    let cpu = (server.process.cpu()? - cpu).as_secs_f64();
    swarm.run(Duration::from_secs(1), |_| false)?;
    let after = server.process.memory()?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / 1024.0 / count as f64;
    Ok(Sample {
        values: vec![
            (Measure::Rate, count as f64 / elapsed),
            (Measure::Cpu, cpu * 1e6 / count as f64),
            (Measure::Memory, each(before.resident, after.resident)),
            (Measure::Heap, each(before.anonymous, after.anonymous)),
            (Measure::Time, elapsed * 1e3),
        ],
        generator_busy: Some(busy),
    })
}

fn after_large(settings: &Settings) -> Result<Sample> {
    let count = settings.pick(200, 1_000);
    let server = emulator(settings)?;
    let mut swarm = Swarm::new()?;
    let plan = server.plan(Kind::JSON, &[GROUP]);
    swarm.connect_all(server.address, vec![plan; count], LIMIT)?;
    let sender = server.plan(Kind::JSON, &[]);
    let sender = swarm.connect_all(server.address, [sender], LIMIT)?.start;
    let mut before = 0.0;
    for (number, size) in [(0, 100), (1, LARGE)] {
        before = server.process.memory()?.resident as f64;
        swarm.feed(sender, burst_from(Kind::JSON, 0, number, 1, size)?);
        let expected = count as u64 * (number + 1);
        let came = swarm.run(LIMIT, |swarm| swarm.totals().messages >= expected)?;
        ensure!(came, "the broadcast did not reach all");
    }
    swarm.run(
        settings.pick(Duration::from_secs(2), Duration::from_secs(10)),
        |_| false,
    )?;
    let after = server.process.memory()?.resident as f64;
    Ok(Sample {
        values: vec![(Measure::Share, after * 100.0 / before)],
        generator_busy: None,
    })
}
