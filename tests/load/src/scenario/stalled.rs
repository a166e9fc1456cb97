//! Who does not read is closed with 1008; nobody else notices.

use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use webpubsub_protocol::frame::ClientFrame;
use webpubsub_protocol::name::GroupName;

use crate::kind::{Kind, marked};
use crate::member::Log;
use crate::report::{Findings, mebibytes};
use crate::rest::Rest;
use crate::world::{GROUP, LIMIT, PATIENCE, Settings, World, burst_from};

/// What the service says to a client that does not read. For a reliable one either limit may be reached first.
const REASONS: [&str; 2] = [
    "The outbound message queue is full.",
    "The reliable message buffer is full.",
];

/// A receive buffer that is soon full.
const SMALL: usize = 4096;

const MESSAGE_BYTES: usize = 4096;

/// Messages between two looks at whether those that do not read are gone.
const AT_ONCE: u64 = 200;

pub(super) fn among_healthy(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let (healthy, stalled) = settings.pick((40, 5), (200, 20));
    let mut world = World::start(settings, &["--max-outbox-frames", "300"])?;
    let mut readers = 0..0;
    for kind in Kind::ALL {
        readers.end = world.members(kind, healthy / 5)?.end;
    }
    let mut plans = Vec::new();
    for kind in Kind::ALL {
        let mut plan = world.server.plan(kind, &[GROUP, "stalled"]);
        plan.receive_buffer = Some(SMALL);
        plans.extend(vec![plan; stalled]);
    }
    let stalled = world.open(plans)?;
    for member in stalled.clone() {
        world.swarm.stall(member);
    }
    let sender = world.outsiders(Kind::JSON, 1)?.start;

    // Sends until the service has given up on all that do not read.
    let mut rest = Rest::connect(&world.server)?;
    let began = Instant::now();
    let (mut sent, mut given_up) = (0, false);
    while !given_up && began.elapsed() < LIMIT {
        let source = burst_from(Kind::JSON, 0, sent, AT_ONCE, MESSAGE_BYTES)?;
        world.swarm.feed(sender, source);
        sent += AT_ONCE;
        let expected = sent * readers.len() as u64;
        if !world
            .swarm
            .run_while_busy(LIMIT, PATIENCE, |swarm| swarm.totals().messages >= expected)?
        {
            break;
        }
        given_up = !rest.group_exists("stalled")?;
    }
    findings.hold(
        "those that do not read are given up",
        given_up,
        format!("after {sent} messages of {MESSAGE_BYTES} bytes"),
    );

    // Half of them read again: what was under way, then the close.
    let (patient, gone) = halves(&stalled);
    for member in patient.clone() {
        world.swarm.resume(member);
    }
    let over = |log: &Log| log.close.is_some() || log.ended.is_some();
    world
        .swarm
        .run(LIMIT / 4, |swarm| swarm.logs(patient.clone()).all(over))?;
    let told = |log: &&Log| {
        let close = log.close.as_ref();
        close.is_some_and(|(code, reason)| *code == 1008 && REASONS.contains(&reason.as_str()))
    };
    let count = world.swarm.logs(patient.clone()).filter(told).count();
    let mut found = format!("{count} of {}", patient.len());
    if let Some(log) = world.swarm.logs(patient.clone()).find(|log| !told(log)) {
        found += &format!("; one saw close {:?}, end {:?}", log.close, log.ended);
    }
    let what = "one that reads again finds close 1008 with the reason";
    findings.hold(what, count == patient.len(), found);

    // The others never read: the service hangs up on them, and what they find then is the end of the transport.
    world.idle(Duration::from_secs(6))?;
    for member in gone.clone() {
        world.swarm.resume(member);
    }
    world
        .swarm
        .run(LIMIT / 4, |swarm| swarm.logs(gone.clone()).all(over))?;
    let count = world
        .swarm
        .logs(gone.clone())
        .filter(|log| over(log))
        .count();
    let what = "one that never reads is hung up on";
    findings.hold(
        what,
        count == gone.len(),
        format!("{count} of {}", gone.len()),
    );

    world.check_readers(findings, "healthy members beside them", readers, sent);
    world.end(findings);
    Ok(())
}

fn halves(range: &std::ops::Range<usize>) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let middle = range.start + range.len() / 2;
    (range.start..middle, middle..range.end)
}

pub(super) fn with_group_state(settings: &Settings, findings: &mut Findings) -> Result<()> {
    // Each of them keeps megabytes in buffers of the system.
    let count = settings.pick(300, 1_000);
    let mut world = World::start(settings, &["--max-outbox-frames", "100"])?;
    let mut plan = world.server.plan(Kind::JSON, &[GROUP]);
    plan.receive_buffer = Some(SMALL);
    let members = world.open(vec![plan; count])?;

    let group = GroupName::new(GROUP)?;
    let subscribe = ClientFrame::SubscribeGroupState {
        group: group.clone(),
        ack_id: Some(webpubsub_protocol::frame::AckId(1)),
    };
    let set = ClientFrame::SetGroupState {
        group,
        ack_id: Some(webpubsub_protocol::frame::AckId(2)),
        state: Some(vec![("mood".to_owned(), "fine".to_owned())]),
    };
    // Few at a time: each state goes to all.
    for frame in [set, subscribe] {
        let mut text = Vec::new();
        Kind::JSON.write(&mut text, &frame);
        for member in members.clone() {
            let acks = world.swarm.totals().acks;
            world.swarm.send(member, &text);
            if member % 20 == 19 {
                world
                    .swarm
                    .run_while_busy(LIMIT, PATIENCE, |swarm| swarm.totals().acks > acks)?;
            }
        }
    }
    let all = |swarm: &mut crate::swarm::Swarm| swarm.totals().acks >= 2 * count as u64;
    let ready = world.swarm.run_while_busy(LIMIT, PATIENCE, all)?;
    let acks = world.swarm.totals().acks;
    findings.hold(
        "all set and subscribe",
        ready,
        format!("{acks} acknowledgements"),
    );

    for member in members.clone() {
        world.swarm.stall(member);
    }
    let before = world.resident()?;
    let mut rest = Rest::connect(&world.server)?;
    let (sender, outcome) = mpsc::channel();
    thread::spawn(move || {
        let began = Instant::now();
        let mut number = 0;
        let outcome = loop {
            if let Err(error) = rest.send(Some(GROUP), &marked(0, number, 32 << 10)) {
                break Err(error);
            }
            number += 1;
            match rest.group_exists(GROUP) {
                Ok(true) if began.elapsed() < LIMIT => {}
                Ok(exists) => break Ok((number, exists)),
                Err(error) => break Err(error),
            }
        };
        sender.send(outcome).ok();
    });
    let mut most = before;
    let outcome = loop {
        match outcome.try_recv() {
            Ok(outcome) => break outcome,
            Err(TryRecvError::Disconnected) => anyhow::bail!("the thread that sends panicked"),
            Err(TryRecvError::Empty) => {
                world.idle(Duration::from_millis(50))?;
                most = most.max(world.resident().unwrap_or(0));
            }
        }
    };
    let (holds, found) = match outcome {
        Ok((sent, exists)) => (!exists, format!("after {sent} messages of 32 KiB")),
        Err(error) => (false, format!("a call failed: {error:#}")),
    };
    findings.hold(
        "all are given up, and the process survives it",
        holds,
        format!(
            "{found}; memory {} to {}",
            mebibytes(before),
            mebibytes(most)
        ),
    );
    world.idle(Duration::from_secs(6))?;
    for member in members.clone() {
        world.swarm.resume(member);
    }
    world.swarm.run(LIMIT / 4, |swarm| {
        swarm
            .logs(members.clone())
            .all(|log| log.close.is_some() || log.ended.is_some())
    })?;
    let ended = |log: &&Log| log.close.is_some() || log.ended.is_some();
    let ended = world.swarm.logs(members).filter(ended).count();
    findings.hold(
        "all are hung up on",
        ended == count,
        format!("{ended} of {count}"),
    );
    world.end(findings);
    Ok(())
}
