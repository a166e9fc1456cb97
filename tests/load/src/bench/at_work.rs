//! What the emulator does besides fan-out: REST calls in a hub with many connections, groups and users.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Aim, Group, Measure, Row, Sample, Settings, Side};
use crate::kind::Kind;
use crate::member::Look;
use crate::rest::Rest;
use crate::server::{HUB, Server};
use crate::swarm::{Plan, Swarm};
use crate::world::{GROUP, LIMIT};

const API: &str = "api-version=2024-12-01";

/// Groups of one connection in the rows with many groups.
const GROUPS_EACH: usize = 100;

pub(super) fn group(settings: &Settings) -> Group {
    let many = settings.pick(1_000, 10_000);
    let groups = settings.pick(10_000, 100_000);
    let filtered = 1_000;
    Group {
        name: "at-work",
        title: "The emulator at work",
        rows: vec![
            row(
                "send-to-user",
                format!("`sendToUser` by REST to one of {many} users"),
                ("emulator", move |settings| {
                    Load::start(settings, users(many))?.user(settings)
                }),
                ("with one user", |settings| {
                    Load::start(settings, users(1))?.user(settings)
                }),
            ),
            row(
                "many-groups",
                format!("`sendToGroup` by REST to one of {groups} groups"),
                ("emulator", move |settings| {
                    Load::start(settings, in_groups(groups))?.one_group(settings)
                }),
                ("with one group", |settings| {
                    Load::start(settings, in_groups(1))?.one_group(settings)
                }),
            ),
            row(
                "filter",
                format!("`sendToAll` by REST with a filter that none of {filtered} users passes"),
                ("emulator", move |settings| {
                    Load::start(settings, users(filtered))?.filter(settings)
                }),
                ("with one user", |settings| {
                    Load::start(settings, users(1))?.filter(settings)
                }),
            ),
        ],
    }
}

fn row(
    id: &'static str,
    about: String,
    whole: (
        &'static str,
        impl FnMut(&Settings) -> Result<Sample> + 'static,
    ),
    base: (
        &'static str,
        impl FnMut(&Settings) -> Result<Sample> + 'static,
    ),
) -> Row {
    // What does not depend on numbers costs the same with many as with one.
    let aims = match id {
        "filter" => Vec::new(),
        _ => vec![Aim::RatioAtMost {
            measure: Measure::Cpu,
            bound: 1.2,
        }],
    };
    Row {
        id,
        about,
        aims,
        sides: vec![
            Side {
                name: whole.0,
                round: Box::new(whole.1),
            },
            Side {
                name: base.0,
                round: Box::new(base.1),
            },
        ],
    }
}

type Plans = Box<dyn Fn(&Server) -> Vec<Plan>>;

/// So many connections, each of a user of its own.
fn users(count: usize) -> Plans {
    Box::new(move |server| {
        (0..count)
            .map(|number| server.plan_of(HUB, &format!("u-{number}"), Kind::JSON, &[GROUP]))
            .collect()
    })
}

/// Connections that have so many groups together, [`GROUPS_EACH`] at most.
fn in_groups(count: usize) -> Plans {
    Box::new(move |server| {
        let names: Vec<_> = (0..count).map(|number| format!("g-{number}")).collect();
        names
            .chunks(GROUPS_EACH)
            .map(|names| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                server.plan(Kind::JSON, &names)
            })
            .collect()
    })
}

/// An emulator with connections, and one that calls it.
struct Load {
    server: Server,
    swarm: Swarm,
    rest: Rest,
}

impl Load {
    fn start(settings: &Settings, plans: Plans) -> Result<Self> {
        let server = Server::start(&settings.program("webpubsub-emulator"), &[])?;
        let mut swarm = Swarm::new()?;
        let plans = plans(&server).into_iter().map(|plan| Plan {
            look: Look::Counting,
            ..plan
        });
        let members = swarm.connect_all(server.address, plans, LIMIT)?;
        let connected = swarm.run(LIMIT, |swarm| swarm.totals().frames >= members.len() as u64)?;
        ensure!(connected, "the members did not all connect");
        let rest = Rest::connect(&server)?;
        Ok(Self {
            server,
            swarm,
            rest,
        })
    }

    fn user(self, settings: &Settings) -> Result<Sample> {
        self.calls(
            settings,
            &format!("/api/hubs/{HUB}/users/u-0/:send?{API}"),
            1,
        )
    }

    fn one_group(self, settings: &Settings) -> Result<Sample> {
        self.calls(
            settings,
            &format!("/api/hubs/{HUB}/groups/g-0/:send?{API}"),
            1,
        )
    }

    fn filter(self, settings: &Settings) -> Result<Sample> {
        let filter = "userId%20eq%20%27nobody%27%20and%20%27g%27%20in%20groups";
        self.calls(
            settings,
            &format!("/api/hubs/{HUB}/:send?filter={filter}&{API}"),
            0,
        )
    }

    /// Calls one after the other, each of which causes so many deliveries.
    fn calls(mut self, settings: &Settings, target: &str, deliveries: u64) -> Result<Sample> {
        let mut run = |time: Duration| -> Result<u64> {
            let began = Instant::now();
            let mut count = 0;
            while began.elapsed() < time {
                let answer = self.rest.call("POST", target, b"hello")?;
                ensure!(
                    answer.status == 202,
                    "a send was answered with status {}",
                    answer.status
                );
                count += 1;
            }
            Ok(count)
        };
        run(settings.pick(Duration::from_millis(50), Duration::from_millis(300)))?;
        let (cpu, began) = (self.server.process.cpu()?, Instant::now());
        let count = run(settings.pick(Duration::from_millis(300), Duration::from_secs(1)))?;
        let (elapsed, cpu) = (began.elapsed(), self.server.process.cpu()? - cpu);
        let before = self.swarm.totals().frames;
        self.swarm.run(LIMIT, |swarm| {
            swarm.totals().frames >= before.max(count * deliveries)
        })?;
        Ok(Sample {
            values: vec![
                (Measure::Rate, count as f64 / elapsed.as_secs_f64()),
                (Measure::Cpu, cpu.as_secs_f64() * 1e6 / count as f64),
            ],
            generator_busy: None,
        })
    }
}
