//! Memory stays what the connections need, whatever was sent.

use std::time::Duration;

use anyhow::Result;
use webpubsub_protocol::frame::{AckId, ClientFrame};
use webpubsub_protocol::name::GroupName;

use crate::kind::{Kind, send_to_group};
use crate::report::{Findings, mebibytes};
use crate::wire::{opcode, write_frame};
use crate::world::{GROUP, LIMIT, PATIENCE, Settings, World, burst_from};

/// What the allocator may keep besides.
const SLACK: u64 = 4 << 20;

/// Each connection says something small in a frame of 1 MB. What the service keeps of it is small.
pub(super) fn padded_frames(settings: &Settings, findings: &mut Findings) -> Result<()> {
    const PADDED: usize = 1_000_000;
    let count = settings.pick(60, 300);
    let mut world = World::start(settings, &[])?;
    let clients = world.outsiders(Kind::JSON, count)?;
    // One round first, so that what the service keeps for large frames as such is there.
    let frames = ["joinGroup", "setGroupState", "sendToGroup"];
    let text = |world: &mut World, kind: &str, member: usize, id: u64| -> Result<()> {
        let rest = match kind {
            "setGroupState" => r#","state":{"mood":"fine"}"#,
            "sendToGroup" => r#","dataType":"text","data":"@0.0;"#,
            _ => "",
        };
        let quote = if kind == "sendToGroup" { "\"" } else { "" };
        let mut frame =
            format!(r#"{{"type":"{kind}","group":"room-{member}","ackId":{id}{rest}{quote}"#)
                .into_bytes();
        frame.resize(PADDED - 1, b' ');
        frame.push(b'}');
        let mut out = Vec::new();
        write_frame(&mut out, opcode::TEXT, &frame);
        world.swarm.send(member, &out);
        Ok(())
    };
    let mut before = world.resident()?;
    for (number, kind) in frames.into_iter().enumerate() {
        for member in clients.clone() {
            let acks = world.swarm.totals().acks;
            text(&mut world, kind, member, number as u64 + 1)?;
            world
                .swarm
                .run_while_busy(LIMIT, PATIENCE, |swarm| swarm.totals().acks > acks)?;
        }
        let acks: u64 = world.swarm.logs(clients.clone()).map(|log| log.acks).sum();
        let expected = count as u64 * (number as u64 + 1);
        findings.hold(
            format!("each {kind} is done"),
            acks == expected,
            format!("{acks} acknowledged"),
        );
        // A tenth of what was sent: a connection may keep a buffer, but not the frame.
        let most = before + (count * PADDED) as u64 / 10 + SLACK;
        let resident = world.resident_below(most, Duration::from_secs(10))?;
        findings.hold(
            format!("{count} times {kind} of 1 MB leave little behind"),
            resident <= most,
            format!("{} to {}", mebibytes(before), mebibytes(resident)),
        );
        before = resident;
    }
    world.end(findings);
    Ok(())
}

/// After a broadcast of large messages and some rest the memory is what it was.
pub(super) fn large_broadcast(settings: &Settings, findings: &mut Findings) -> Result<()> {
    const LARGE: usize = 256 << 10;
    let count = settings.pick(200, 1_000);
    let mut world = World::start(settings, &[])?;
    let readers = world.members(Kind::JSON, count)?;
    let sender = world.outsiders(Kind::JSON, 1)?.start;
    // Small messages first: what a connection needs to be used at all is no growth.
    let mut sent = 0;
    for (messages, size) in [(20, 100), (3, LARGE)] {
        let before = world.resident()?;
        world
            .swarm
            .feed(sender, burst_from(Kind::JSON, 0, sent, messages, size)?);
        sent += messages;
        let expected = count as u64 * sent;
        world
            .swarm
            .run_while_busy(LIMIT, PATIENCE, |swarm| swarm.totals().messages >= expected)?;
        world.check_readers(findings, &format!("{count} members"), readers.clone(), sent);
        if size == LARGE {
            let most = before + before / 10 + SLACK;
            let resident = world.resident_below(most, Duration::from_secs(10))?;
            findings.hold(
                "10 s later the memory is within 10 % and 4 MiB of what it was",
                resident <= most,
                format!("{} to {}", mebibytes(before), mebibytes(resident)),
            );
        }
    }
    world.end(findings);
    Ok(())
}

/// A hub that nobody uses any more costs nothing.
pub(super) fn many_hubs(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let count = settings.pick(500, 5_000);
    let mut world = World::start(settings, &[])?;
    let visit = |world: &mut World, round: &str| -> Result<()> {
        for number in 0..count {
            let plan =
                world
                    .server
                    .plan_for(&format!("hub_{round}_{number}"), Kind::JSON, &[GROUP]);
            let client = world.open([plan])?.start;
            world.swarm.cut(client);
        }
        Ok(())
    };
    visit(&mut world, "first")?;
    world.idle(Duration::from_secs(1))?;
    let before = world.resident()?;
    visit(&mut world, "second")?;
    let most = before + before / 10 + SLACK / 4;
    let resident = world.resident_below(most, Duration::from_secs(10))?;
    findings.hold(
        format!("{count} hubs that were used once are forgotten"),
        resident <= most,
        format!("{} to {}", mebibytes(before), mebibytes(resident)),
    );
    world.end(findings);
    Ok(())
}

/// Rounds of clients that come, join, talk and are cut off.
pub(super) fn churn(settings: &Settings, findings: &mut Findings) -> Result<()> {
    const GROUPS: u64 = 10;
    let (rounds, count) = settings.pick((3, 300), (5, 2_000));
    let mut world = World::start(settings, &[])?;
    let mut after_first = None;
    for round in 0..rounds {
        let acks = world.swarm.totals().acks;
        let clients = world.outsiders(Kind::JSON, count)?;
        for client in clients.clone() {
            let mut frames = Vec::new();
            for number in 0..GROUPS {
                // Some share their groups, some have their own.
                let owner = if number % 2 == 0 { 0 } else { client };
                let group = format!("room-{owner}-{number}");
                let join = ClientFrame::JoinGroup {
                    group: GroupName::new(group.clone())?,
                    ack_id: Some(AckId(2 * number)),
                };
                Kind::JSON.write(&mut frames, &join);
                let send = send_to_group(&group, "hi".to_owned(), Some(2 * number + 1))?;
                if number % 2 == 1 {
                    Kind::JSON.write(&mut frames, &send);
                }
            }
            world.swarm.send(client, &frames);
        }
        let expected = acks + count as u64 * (GROUPS + GROUPS / 2);
        world
            .swarm
            .run_while_busy(LIMIT, PATIENCE, |swarm| swarm.totals().acks >= expected)?;
        let done = world.swarm.totals().acks - acks;
        findings.hold(
            format!("round {}: all joins and sends are done", round + 1),
            world.swarm.totals().acks == expected,
            format!("{done} acknowledged"),
        );
        for client in clients {
            world.swarm.cut(client);
        }
        match after_first {
            None => {
                world.idle(Duration::from_secs(1))?;
                after_first = Some(world.resident()?);
            }
            Some(first) if round + 1 == rounds => {
                let most = first + first / 10 + SLACK;
                let resident = world.resident_below(most, Duration::from_secs(5))?;
                findings.hold(
                    "memory after the last round is that after the first",
                    resident <= most,
                    format!("{} to {}", mebibytes(first), mebibytes(resident)),
                );
            }
            Some(_) => {}
        }
    }
    world.end(findings);
    Ok(())
}
