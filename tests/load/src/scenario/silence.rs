//! Peers that are no longer there, though their sockets are.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kind::{Kind, marked};
use crate::report::Findings;
use crate::rest::Rest;
use crate::world::{GROUP, Settings, World};

/// The silence limit of 2 s is looked at once a second; the rest is for a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(12);

pub(super) fn run(settings: &Settings, findings: &mut Findings) -> Result<()> {
    let count = settings.pick(10, 100);
    let flags = ["--ping-interval", "1", "--silence-limit", "2"];
    let mut world = World::start(settings, &flags)?;
    let healthy = world.members(Kind::JSON, count)?;
    let silent = {
        let plan = world.server.plan(Kind::JSON, &["silent"]);
        world.open(vec![plan; count])?
    };
    for member in silent.clone() {
        world.swarm.ignore_pings(member);
    }
    let blocked = {
        let mut plan = world.server.plan(Kind::JSON, &["blocked"]);
        plan.receive_buffer = Some(4096);
        world.open(vec![plan; count])?
    };
    for member in blocked.clone() {
        world.swarm.stall(member);
    }
    let finished = {
        let plan = world.server.plan(Kind::JSON, &["finished"]);
        world.open(vec![plan; count])?
    };
    // Sockets that never say what they want.
    let mut halfway = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(world.server.address)?;
        stream.write_all(b"GET /client/hubs/load HTTP/1.1\r\nHost:")?;
        halfway.push(stream);
    }

    let mut rest = Rest::connect(&world.server)?;
    // Fills the sockets, but not the 16 MiB that may wait.
    for number in 0..8 {
        rest.send(Some("blocked"), &marked(0, number, 1_000_000))?;
    }
    for member in finished.clone() {
        world.swarm.finish(member);
    }
    for (group, what) in [
        ("finished", "one that hangs up halfway is gone"),
        (
            "silent",
            "one that answers no ping is gone after the silence limit",
        ),
        (
            "blocked",
            "one whose socket is full is gone after the silence limit",
        ),
    ] {
        let began = Instant::now();
        let mut exists = true;
        while exists && began.elapsed() < GONE_WITHIN {
            world.idle(Duration::from_millis(100))?;
            exists = rest.group_exists(group)?;
        }
        let found = format!(
            "after {:.1} s {}",
            began.elapsed().as_secs_f64(),
            if exists {
                "some are there"
            } else {
                "none is left"
            }
        );
        findings.hold(what, !exists, found);
    }
    world.idle(Duration::from_secs(3))?;
    rest.send(Some(GROUP), &marked(0, 0, 100))?;
    let expected = healthy.len() as u64;
    world.swarm.run(Duration::from_secs(5), |swarm| {
        swarm.totals().messages >= expected
    })?;
    let pings: u64 = world.swarm.logs(healthy.clone()).map(|log| log.pings).sum();
    findings.hold("pings are sent", pings > expected, pings);
    world.check_readers(findings, "members that only answer pings", healthy, 1);
    drop(halfway);
    world.end(findings);
    Ok(())
}
