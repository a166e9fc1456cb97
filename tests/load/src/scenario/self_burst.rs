//! A client that sends much at once and reads all the time is served, however many answers that makes.

use anyhow::Result;
use webpubsub_protocol::frame::ClientFrame;

use crate::kind::{Kind, send_to_group};
use crate::member::{Log, More};
use crate::report::Findings;
use crate::world::{GROUP, LIMIT, PATIENCE, Settings, World, burst};

const REQUESTS: u64 = 5_000;

pub(super) fn run(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let mut world = World::start(settings, &[])?;
    for kind in Kind::PUBSUB {
        pings(&mut world, kind, findings)?;
        acknowledged_sends(&mut world, kind, findings)?;
        echoes(&mut world, kind, findings)?;
    }
    world.end(findings);
    Ok(())
}

fn pings(world: &mut World, kind: Kind, findings: &mut Findings) -> Result<()> {
    let client = world.outsiders(kind, 1)?.start;
    let mut frames = Vec::new();
    for _ in 0..REQUESTS {
        kind.write(&mut frames, &ClientFrame::Ping);
    }
    world.swarm.send(client, &frames);
    wait(world, client, REQUESTS, |log| log.pongs)?;
    check(
        world,
        findings,
        client,
        &format!("pings over {kind}"),
        |log| log.pongs,
    );
    Ok(())
}

/// Each asks for an acknowledgement, and nobody is in the group.
fn acknowledged_sends(world: &mut World, kind: Kind, findings: &mut Findings) -> Result<()> {
    let client = world.outsiders(kind, 1)?.start;
    let mut frames = Vec::new();
    for id in 1..=REQUESTS {
        kind.write(
            &mut frames,
            &send_to_group("nobody", "hi".to_owned(), Some(id))?,
        );
    }
    world.swarm.send(client, &frames);
    wait(world, client, REQUESTS, |log| log.acks)?;
    check(
        world,
        findings,
        client,
        &format!("sends over {kind}"),
        |log| log.acks,
    );
    Ok(())
}

/// The client is in the group that it sends to. If it is reliable, it acknowledges behind all that it sends.
fn echoes(world: &mut World, kind: Kind, findings: &mut Findings) -> Result<()> {
    let plan = world.server.plan(kind, &[GROUP]);
    let client = world.open([plan])?.start;
    let mut source = burst(kind, 0, REQUESTS, 100)?;
    let mut frames = Vec::new();
    while source(&mut frames) == More::Yes {}
    world.swarm.send(client, &frames);
    wait(world, client, REQUESTS, |log| log.messages)?;
    let who = format!("a client of kind {kind} that hears itself");
    world.check_readers(findings, &who, client..client + 1, REQUESTS);
    world.swarm.cut(client);
    Ok(())
}

fn wait(world: &mut World, client: usize, expected: u64, count: fn(&Log) -> u64) -> Result<()> {
    world.swarm.run_while_busy(LIMIT, PATIENCE, |swarm| {
        let log = swarm.log(client);
        count(log) >= expected || log.ended.is_some()
    })?;
    Ok(())
}

fn check(
    world: &mut World,
    findings: &mut Findings,
    client: usize,
    what: &str,
    count: fn(&Log) -> u64,
) {
    let log = world.swarm.log(client);
    let answers = count(log);
    findings.hold(
        format!("{REQUESTS} {what} are answered, and the connection stays"),
        answers == REQUESTS && log.close.is_none() && log.ended.is_none(),
        format!(
            "{answers} answers, close {:?}, end {:?}",
            log.close, log.ended
        ),
    );
    world.swarm.cut(client);
}
