//! How long a message takes from the sender to a member while the server works at half of what it can do.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::fan_out::{self, FanOut, Prepare};
use super::{Group, Measure, Row, Sample, Settings, Side, stats};

const MEMBERS: usize = 200;

pub(super) fn group(_settings: &Settings) -> Group {
    let sides: [(&'static str, Prepare); 3] = [
        ("emulator", fan_out::emulator),
        ("`ws` on Node.js", fan_out::node),
        ("loop of `write`", fan_out::raw_writer),
    ];
    Group {
        name: "latency",
        title: "Latency of the emulator",
        rows: vec![Row {
            id: "latency-200",
            about: format!(
                "a delivery of 180 B to one of {MEMBERS} members, at half of the server's highest rate"
            ),
            aims: Vec::new(),
            sides: sides
                .into_iter()
                .map(|(name, prepare)| Side {
                    name,
                    round: Box::new(move |settings| {
                        measure(&mut prepare(settings, MEMBERS)?, settings)
                    }),
                })
                .collect(),
        }],
    }
}

fn measure(fan_out: &mut FanOut, settings: &Settings) -> Result<Sample> {
    let frame = fan_out.frame.clone();
    let interval = shortest_interval(fan_out, &frame, settings)? * 2;
    let time = settings.pick(Duration::from_millis(500), Duration::from_secs(3));

    let first = fan_out.swarm.log(0).frames;
    let (idle, began) = (fan_out.swarm.idle(), Instant::now());
    fan_out.swarm.record_arrivals();
    let mut sent = Vec::new();
    while began.elapsed() < time {
        let due = began + interval * u32::try_from(sent.len())?;
        // Waiting for sockets is exact to the millisecond only, and rounds up.
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            let wait = left.saturating_sub(Duration::from_millis(1));
            fan_out.swarm.run(wait, |_| Instant::now() >= due)?;
        }
        sent.push(Instant::now());
        fan_out.swarm.send(fan_out.sender, &frame);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let busy = 1.0 - (fan_out.swarm.idle() - idle).as_secs_f64() / elapsed;
    let last = first + sent.len() as u64;
    let members = fan_out.members;
    fan_out.swarm.run(Duration::from_secs(10), |swarm| {
        swarm.logs(0..members).all(|log| log.frames >= last)
    })?;

    let latencies: Vec<f64> = fan_out
        .swarm
        .take_arrivals()
        .iter()
        .filter_map(|arrival| {
            let number = usize::try_from(arrival.frame.checked_sub(first)?).ok()?;
            let sent = sent.get(number)?;
            Some(arrival.at.duration_since(*sent).as_secs_f64() * 1e6)
        })
        .collect();
    ensure!(
        latencies.len() == sent.len() * members,
        "{} messages came in place of {}",
        latencies.len(),
        sent.len() * members
    );
    let percentile = |percent| stats::percentile(&latencies, percent).unwrap_or_default();
    Ok(Sample {
        values: vec![
            (Measure::Rate, latencies.len() as f64 / elapsed),
            (Measure::Median, percentile(50.0)),
            (Measure::Percentile99, percentile(99.0)),
        ],
        generator_busy: Some(busy),
    })
}

/// The time from one message to the next when each is sent as soon as all members have the one before.
fn shortest_interval(fan_out: &mut FanOut, frame: &[u8], settings: &Settings) -> Result<Duration> {
    let time = settings.pick(Duration::from_millis(100), Duration::from_millis(500));
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < time {
        fan_out.send(frame, 1)?;
        rounds += 1;
    }
    Ok(began.elapsed() / rounds)
}
