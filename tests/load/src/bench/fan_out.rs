//! One message to many: the emulator beside a loop that only writes.

use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use webpubsub_protocol::bytestring::ByteString;
use webpubsub_protocol::frame::{Message, Sender, ServerFrame, json};
use webpubsub_protocol::metadata::Metadata;
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::payload::Payload;

use super::peers::{Measured, Nats};
use super::{Aim, Group, Measure, Row, Sample, Settings, Side};
use crate::kind::{Kind, send_to_group};
use crate::member::Look;
use crate::server::{Process, Server};
use crate::swarm::{Plan, Swarm};
use crate::wire::{opcode, upgrade_request, write_frame};
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
    let mut sides: Vec<(&'static str, Prepare)> = vec![("emulator", emulator)];
    // Peers stand in the rows that have an aim; the others show how the cost grows.
    if !aims.is_empty() {
        if Nats::program().is_some() {
            sides.push(("NATS over WebSocket", nats));
        }
        sides.push(("`ws` on Node.js", node));
    }
    sides.push(("loop of `write`", raw_writer));
    Row {
        id,
        about: format!("a delivery of {FRAME} B to one of {members} members, {messages} per flush"),
        aims,
        sides: sides
            .into_iter()
            .map(|(name, prepare)| Side {
                name,
                round: Box::new(move |settings| {
                    FanOut::measure(&mut prepare(settings, members)?, settings, at_once)
                }),
            })
            .collect(),
    }
}

/// A server with its members and a sender, ready to go.
pub(super) struct FanOut {
    server: Box<dyn Measured>,
    pub(super) swarm: Swarm,
    pub(super) sender: usize,
    pub(super) members: usize,
    /// What the sender sends.
    pub(super) frame: Vec<u8>,
    /// Bytes of what a member gets, without the heads of WebSocket frames.
    delivery: usize,
}

/// Starts a server and connects so many members.
pub(super) type Prepare = fn(&Settings, usize) -> Result<FanOut>;

pub(super) fn emulator(settings: &Settings, members: usize) -> Result<FanOut> {
    let server = Server::start(&settings.program("webpubsub-emulator"), &[])?;
    let mut swarm = Swarm::new()?;
    let mut plan = server.plan(Kind::JSON, &[GROUP]);
    plan.look = Look::Counting;
    let first = swarm.connect_all(server.address, vec![plan; members], LIMIT)?;
    let sender = server.plan(Kind::JSON, &[]);
    let sender = swarm.connect_all(server.address, [sender], LIMIT)?.start;
    // Every member is told that it is connected.
    frames_each(&mut swarm, first, 1)?;

    let text = "x".repeat(FRAME - message(String::new())?.len());
    let mut frame = Vec::new();
    Kind::JSON.write(&mut frame, &send_to_group(GROUP, text, None)?);
    Ok(FanOut {
        server: Box::new(server.process),
        swarm,
        sender,
        members,
        frame,
        delivery: FRAME,
    })
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

pub(super) fn raw_writer(settings: &Settings, members: usize) -> Result<FanOut> {
    let mut command = Command::new(settings.program("raw-writer"));
    relay(command.arg(FRAME.to_string()), members, vec![0; FRAME])
}

pub(super) fn node(settings: &Settings, members: usize) -> Result<FanOut> {
    let mut command = Command::new("node");
    let mut frame = Vec::new();
    write_frame(&mut frame, opcode::TEXT, &[b'x'; FRAME]);
    let command = command
        .arg("bench/fan-out.mjs")
        .current_dir(&settings.scripts);
    relay(command, members, frame)
}

/// A program that sends on whatever the sender sends.
fn relay(command: &mut Command, members: usize, frame: Vec<u8>) -> Result<FanOut> {
    let process = Process::start(command)?;
    let address = process
        .ready
        .parse()
        .context("a server did not say where it listens")?;
    let mut swarm = Swarm::new()?;
    swarm.connect_all(address, vec![plan("/member", Kind::SIMPLE); members], LIMIT)?;
    let sender = plan("/sender", Kind::SIMPLE);
    let sender = swarm.connect_all(address, [sender], LIMIT)?.start;
    Ok(FanOut {
        server: Box::new(process),
        swarm,
        sender,
        members,
        frame,
        delivery: FRAME,
    })
}

fn plan(target: &str, kind: Kind) -> Plan {
    Plan {
        kind,
        request: upgrade_request("localhost", target, None),
        look: Look::Counting,
        receive_buffer: None,
    }
}

fn nats(_settings: &Settings, members: usize) -> Result<FanOut> {
    let server = Nats::start()?;
    let mut swarm = Swarm::new()?;
    let plans = vec![plan("/", Kind::SIMPLE); members + 1];
    let all = swarm.connect_all(server.address, plans, LIMIT)?;
    let sender = all.end - 1;
    let payload = "x".repeat(FRAME - "MSG g 1 180\r\n\r\n".len());
    let delivery = format!("MSG g 1 {}\r\n{payload}\r\n", payload.len());
    for member in all.clone() {
        let subscribe = if member == sender { "" } else { "SUB g 1\r\n" };
        let hello = format!("CONNECT {{\"verbose\":false}}\r\n{subscribe}PING\r\n");
        let mut frame = Vec::new();
        write_frame(&mut frame, opcode::BINARY, hello.as_bytes());
        swarm.send(member, &frame);
    }
    // What the server is, and its answer to the ping.
    frames_each(&mut swarm, all, 2)?;
    let mut frame = Vec::new();
    let publish = format!("PUB g {}\r\n{payload}\r\n", payload.len());
    write_frame(&mut frame, opcode::BINARY, publish.as_bytes());
    Ok(FanOut {
        server: Box::new(server),
        swarm,
        sender,
        members,
        frame,
        delivery: delivery.len(),
    })
}

fn frames_each(swarm: &mut Swarm, members: Range<usize>, count: u64) -> Result<()> {
    let greeted = swarm.run(LIMIT, |swarm| {
        swarm.logs(members.clone()).all(|log| log.frames >= count)
    })?;
    ensure!(greeted, "the members did not all connect");
    Ok(())
}

impl FanOut {
    /// Sends a batch and waits until every member has all of it. Bytes are counted rather than frames: some servers put
    /// several messages into one frame.
    pub(super) fn send(&mut self, batch: &[u8], at_once: usize) -> Result<()> {
        let bytes = (self.members * at_once * self.delivery) as u64;
        let expected = self.swarm.totals().payload + bytes;
        self.swarm.send(self.sender, batch);
        let came = self
            .swarm
            .run(LIMIT, |swarm| swarm.totals().payload >= expected)?;
        ensure!(
            came,
            "{} bytes came in place of {expected}",
            self.swarm.totals().payload
        );
        Ok(())
    }

    /// Sends one batch after the other: each is flushed alone.
    fn measure(&mut self, settings: &Settings, at_once: usize) -> Result<Sample> {
        let batch = self.frame.repeat(at_once);
        // What is allocated once, and where the branches go.
        let warm = Instant::now();
        while warm.elapsed() < settings.pick(Duration::from_millis(100), Duration::from_millis(500))
        {
            self.send(&batch, at_once)?;
        }
        let time = settings.pick(Duration::from_millis(500), Duration::from_secs(2));
        let (idle, cpu) = (self.swarm.idle(), self.server.cpu()?);
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < time {
            self.send(&batch, at_once)?;
            count += self.members * at_once;
        }
        let elapsed = began.elapsed().as_secs_f64();
        let cpu = (self.server.cpu()? - cpu).as_secs_f64();
        let count = count as f64;
        Ok(Sample {
            values: vec![
                (Measure::Rate, count / elapsed),
                (Measure::Cpu, cpu * 1e6 / count),
            ],
            generator_busy: Some(1.0 - (self.swarm.idle() - idle).as_secs_f64() / elapsed),
        })
    }
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
