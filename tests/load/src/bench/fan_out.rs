//! One message to many: the emulator beside a loop that only writes.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{Message, Sender, ServerFrame, json};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

use super::{Aim, Group, Measure, Row, Sample, Settings, Side};
use crate::kind::{Kind, send_to_group};
use crate::member::Look;
use crate::server::{Process, Server};
use crate::swarm::{Plan, Swarm};
use crate::wire::upgrade_request;
use crate::world::{GROUP, LIMIT};

/// Bytes of a frame as a member gets it.
const FRAME: usize = 180;

pub(super) fn group(settings: &Settings) -> Group {
    let rate = |bound| Aim::RatioAtLeast {
        measure: Measure::Rate,
        bound,
    };
    let cpu_ratio = |bound| Aim::RatioAtMost {
        measure: Measure::Cpu,
        bound,
    };
    let cpu = |bound| Aim::AtMost {
        measure: Measure::Cpu,
        bound,
    };
    let mut rows = vec![
        row("fan-out-1", 200, 1, vec![rate(0.8), cpu_ratio(1.25)]),
        row("fan-out-32", 200, 32, vec![cpu(0.3)]),
    ];
    let members: &[(&'static str, usize)] = settings.pick(
        &[
            ("members-10", 10),
            ("members-100", 100),
            ("members-1000", 1_000),
        ],
        &[
            ("members-10", 10),
            ("members-100", 100),
            ("members-1000", 1_000),
            ("members-4000", 4_000),
            ("members-10000", 10_000),
        ],
    );
    rows.extend(
        members
            .iter()
            .map(|&(id, count)| row(id, count, 1, Vec::new())),
    );
    Group {
        name: "fan-out",
        title: "Fan-out of the emulator",
        rows,
    }
}

fn row(id: &'static str, members: usize, at_once: usize, aims: Vec<Aim>) -> Row {
    let messages = match at_once {
        1 => "one message".to_owned(),
        many => format!("{many} messages"),
    };
    Row {
        id,
        about: format!("a delivery of {FRAME} B to one of {members} members, {messages} per flush"),
        aims,
        sides: vec![
            Side {
                name: "emulator",
                round: Box::new(move |settings| emulator(settings, members, at_once)),
            },
            Side {
                name: "loop of `write`",
                round: Box::new(move |settings| raw_writer(settings, members, at_once)),
            },
        ],
    }
}

fn emulator(settings: &Settings, members: usize, at_once: usize) -> Result<Sample> {
    let server = Server::start(&settings.program("webpubsub-emulator"), &[])?;
    let mut swarm = Swarm::new()?;
    let mut plan = server.plan(Kind::JSON, &[GROUP]);
    plan.look = Look::Counting;
    let first = swarm.connect_all(server.address, vec![plan; members], LIMIT)?;
    let sender = server.plan(Kind::JSON, &[]);
    let sender = swarm.connect_all(server.address, [sender], LIMIT)?.start;
    // Every member is told that it is connected.
    let greeted = swarm.run(LIMIT, |swarm| {
        swarm.logs(first.clone()).all(|log| log.frames == 1)
    })?;
    ensure!(greeted, "the members did not all connect");

    let text = "x".repeat(FRAME - message(String::new())?.len());
    let mut frame = Vec::new();
    Kind::JSON.write(&mut frame, &send_to_group(GROUP, text, None)?);
    measure(
        settings,
        &mut swarm,
        &server.process,
        sender,
        &frame,
        members,
        at_once,
    )
}

/// The frame that a member gets.
fn message(text: String) -> Result<String> {
    Ok(json::encode_server(&ServerFrame::Message(Message {
        sequence_id: None,
        from: Sender::Group {
            group: GroupName::new(GROUP)?,
            from_user_id: Some(ByteString::from_static("u")),
        },
        payload: Payload::text(text),
        metadata: Metadata::default(),
        stream: None,
    })))
}

fn raw_writer(settings: &Settings, members: usize, at_once: usize) -> Result<Sample> {
    let mut command = Command::new(settings.program("raw-writer"));
    let process = Process::start(command.arg(FRAME.to_string()))?;
    let address = process
        .ready
        .parse()
        .context("the writer did not say where it listens")?;
    let mut swarm = Swarm::new()?;
    let plan = |target: &str| Plan {
        kind: Kind::SIMPLE,
        request: upgrade_request("localhost", target, None),
        look: Look::Counting,
        receive_buffer: None,
    };
    swarm.connect_all(address, vec![plan("/member"); members], LIMIT)?;
    let sender = swarm.connect_all(address, [plan("/sender")], LIMIT)?.start;
    // The writer looks at how long it is, not at what it says.
    measure(
        settings,
        &mut swarm,
        &process,
        sender,
        &[0; FRAME],
        members,
        at_once,
    )
}

/// Sends a batch, waits until every member has all of it, and so on: each batch is flushed alone.
fn measure(
    settings: &Settings,
    swarm: &mut Swarm,
    process: &Process,
    sender: usize,
    frame: &[u8],
    members: usize,
    at_once: usize,
) -> Result<Sample> {
    let batch = frame.repeat(at_once);
    let deliveries = (members * at_once) as u64;
    let send = |swarm: &mut Swarm| -> Result<()> {
        let expected = swarm.totals().frames + deliveries;
        swarm.send(sender, &batch);
        let came = swarm.run(LIMIT, |swarm| swarm.totals().frames >= expected)?;
        ensure!(
            came && swarm.totals().frames == expected,
            "{} frames came in place of {expected}",
            swarm.totals().frames
        );
        Ok(())
    };
    // What is allocated once, and where the branches go.
    let warm = Instant::now();
    while warm.elapsed() < settings.pick(Duration::from_millis(100), Duration::from_millis(500)) {
        send(swarm)?;
    }
    let time = settings.pick(Duration::from_millis(500), Duration::from_secs(2));
    let (frames, idle, cpu) = (swarm.totals().frames, swarm.idle(), process.cpu()?);
    let began = Instant::now();
    while began.elapsed() < time {
        send(swarm)?;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = (process.cpu()? - cpu).as_secs_f64();
    let count = (swarm.totals().frames - frames) as f64;
    Ok(Sample {
        values: vec![
            (Measure::Rate, count / elapsed),
            (Measure::Cpu, cpu * 1e6 / count),
        ],
        generator_busy: Some(1.0 - (swarm.idle() - idle).as_secs_f64() / elapsed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_the_size_that_the_table_names() {
        let overhead = message(String::new()).unwrap().len();
        assert!(overhead < FRAME);
        assert_eq!(message("x".repeat(FRAME - overhead)).unwrap().len(), FRAME);
    }
}
