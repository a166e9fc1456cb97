//! The crates for applications beside the official JavaScript packages, and beside what lies beneath them.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use webpubsub_protocol::access::{AccessKey, ClientTokenOptions, sign_client_token};
use webpubsub_protocol::cloud_event::signature;

use super::http_load::{AT_ONCE, HttpLoad, accept_everything};
use super::peers::Peer::{self, JavaScript, Ours, Python};
use super::service::Service;
use super::{Aim, Group, Measure, Row, Sample, Settings, Side};
use crate::server::{HUB, Process, Server};

/// The longest that one round may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A key as portals make them; it opens nothing.
const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=";

const BODY: &[u8] = &[b'x'; 100];

pub(super) fn groups(settings: &Settings) -> Vec<Group> {
    let cpu = |bound| Aim::AtMost {
        measure: Measure::Cpu,
        bound,
    };
    let ratio = |bound| Aim::RatioAtMost {
        measure: Measure::Cpu,
        bound,
    };
    let mut groups = vec![
        Group {
            name: "client",
            title: "The real-time client",
            rows: client_rows(settings, cpu),
        },
        Group {
            name: "server",
            title: "The service client and the event handler",
            rows: vec![
                row(
                    settings,
                    "rest",
                    "`sendToAll` of 100 B, 32 at once",
                    rest,
                    &[(Ours, 60_000), (JavaScript, 3_000), (Python, 3_000)],
                    vec![ratio(1.3)],
                ),
                row(
                    settings,
                    "token",
                    "a client access token",
                    token,
                    &[(Ours, 1_000_000), (Python, 30_000), (JavaScript, 6_000)],
                    vec![],
                ),
                row(
                    settings,
                    "webhook",
                    "a user event of 100 B answered, its signature checked by ours only",
                    |settings, peer, _| webhook(settings, peer, "webhook"),
                    &[(Ours, 0), (JavaScript, 0)],
                    vec![ratio(1.12)],
                ),
            ],
        },
    ];
    let mut beneath = |id, name, round: fn(&Settings) -> Result<Sample>| {
        let rows = groups.iter_mut().flat_map(|group| &mut group.rows);
        for row in rows.filter(|row| row.id == id) {
            row.sides.push(Side {
                name,
                round: Box::new(round),
            });
        }
    };
    beneath("rest", "bare reqwest", bare_rest);
    beneath("webhook", "bare axum echo", |settings| {
        webhook(settings, Ours, "echo")
    });
    groups
}

fn client_rows(settings: &Settings, cpu: impl Fn(f64) -> Aim) -> Vec<Row> {
    let clients = settings.pick(100, 1_000);
    let at_most = |measure, bound| Aim::AtMost { measure, bound };
    vec![
        row(
            settings,
            "receive",
            "a message of 100 B received, reliable JSON",
            |settings, peer, count| receive(settings, peer, "reliable-json", count, 100),
            &[(Ours, 1_000_000), (Python, 30_000), (JavaScript, 150_000)],
            vec![cpu(0.55)],
        ),
        row(
            settings,
            "receive-json",
            "a message of 100 B received, plain JSON",
            |settings, peer, count| receive(settings, peer, "json", count, 100),
            &[(Ours, 1_000_000), (JavaScript, 150_000)],
            vec![],
        ),
        row(
            settings,
            "receive-2k",
            "a message of 2 KB received, reliable JSON",
            |settings, peer, count| receive(settings, peer, "reliable-json", count, 2_000),
            &[(Ours, 400_000), (JavaScript, 100_000)],
            vec![],
        ),
        // The official package for protobuf is not in the registry that the other peers come from.
        row(
            settings,
            "receive-protobuf",
            "a message of 100 B received, reliable protobuf",
            |settings, peer, count| receive(settings, peer, "reliable-protobuf", count, 100),
            &[(Ours, 1_000_000)],
            vec![],
        ),
        row(
            settings,
            "send-ack",
            "a send of 100 B with its acknowledgement, 64 at once",
            |settings, peer, count| send(settings, peer, "acknowledged", count),
            &[(Ours, 300_000), (Python, 10_000), (JavaScript, 50_000)],
            vec![cpu(1.4)],
        ),
        row(
            settings,
            "send-forget",
            "a send of 100 B, fire and forget, 64 at once",
            |settings, peer, count| send(settings, peer, "forget", count),
            &[(Ours, 1_000_000), (Python, 20_000), (JavaScript, 80_000)],
            vec![cpu(0.8)],
        ),
        row(
            settings,
            "idle-clients",
            &format!("an idle client of {clients} in one process"),
            move |settings, peer, _| idle(settings, peer, clients),
            &[(Ours, 0), (JavaScript, 0)],
            vec![
                at_most(Measure::Memory, 15.0),
                at_most(Measure::Time, 300.0),
            ],
        ),
    ]
}

/// A row in which each of these peers does the work so often in one round, a tenth of it with `--quick`.
fn row(
    settings: &Settings,
    id: &'static str,
    about: &str,
    round: impl Fn(&Settings, Peer, u64) -> Result<Sample> + Clone + 'static,
    peers: &[(Peer, u64)],
    aims: Vec<Aim>,
) -> Row {
    let here = |peer| peer != Python || settings.python.is_some();
    let sides = peers.iter().filter(|&&(peer, _)| here(peer));
    Row {
        id,
        about: about.to_owned(),
        aims,
        sides: sides
            .map(|&(peer, count)| {
                let round = round.clone();
                Side {
                    name: peer.name(),
                    round: Box::new(move |settings| {
                        round(settings, peer, settings.pick(count / 10, count))
                    }),
                }
            })
            .collect(),
    }
}

/// Lets a peer begin, does `meanwhile`, and waits until it is done.
fn work(
    process: &mut Process,
    count: u64,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Sample> {
    let cpu = process.cpu()?;
    let began = Instant::now();
    process.tell("go")?;
    meanwhile()?;
    let done = process.next_line(LIMIT)?;
    anyhow::ensure!(done == "done", "a peer said `{done}` in place of `done`");
    let (elapsed, cpu) = (began.elapsed(), process.cpu()? - cpu);
    Ok(per_operation(count, elapsed, cpu))
}

fn per_operation(count: u64, elapsed: Duration, cpu: Duration) -> Sample {
    Sample {
        values: vec![
            (Measure::Rate, count as f64 / elapsed.as_secs_f64()),
            (Measure::Cpu, cpu.as_secs_f64() * 1e6 / count as f64),
        ],
        generator_busy: None,
    }
}

fn receive(
    settings: &Settings,
    peer: Peer,
    subprotocol: &str,
    count: u64,
    size: usize,
) -> Result<Sample> {
    let service = Service::start()?;
    let kind = format!("receive-{subprotocol}");
    let mut process = peer.start(settings, &kind, &service.url(), count)?;
    work(&mut process, count, || service.send(count, size))
}

fn send(settings: &Settings, peer: Peer, kind: &str, count: u64) -> Result<Sample> {
    let service = Service::start()?;
    let mut process = peer.start(settings, kind, &service.url(), count)?;
    work(&mut process, count, || service.wait(count, LIMIT))
}

fn idle(settings: &Settings, peer: Peer, count: u64) -> Result<Sample> {
    let server = Server::start(&settings.program("webpubsub-emulator"), &[])?;
    let connection = server.connection();
    let (endpoint, key) = (connection.endpoint(), connection.access_key());
    let options = ClientTokenOptions::default().user_id("u");
    let token = sign_client_token(endpoint, HUB, key, &options, SystemTime::now());
    let mut process = peer.start(settings, "idle", token.url(), count)?;
    let before = process.memory()?;
    let began = Instant::now();
    process.tell("go")?;
    process.next_line(LIMIT)?;
    let elapsed = began.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    let after = process.memory()?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / 1024.0 / count as f64;
    Ok(Sample {
        values: vec![
            (Measure::Memory, each(before.resident, after.resident)),
            (Measure::Heap, each(before.anonymous, after.anonymous)),
            (Measure::Time, elapsed.as_secs_f64() * 1e3),
        ],
        generator_busy: None,
    })
}

fn rest(settings: &Settings, peer: Peer, count: u64) -> Result<Sample> {
    let target = format!(
        "Endpoint=http://{};AccessKey={KEY};Version=1.0;",
        accept_everything()?
    );
    let mut process = peer.start(settings, "rest", &target, count)?;
    work(&mut process, count, || Ok(()))
}

fn bare_rest(settings: &Settings) -> Result<Sample> {
    let target = format!(
        "http://{}/api/hubs/{HUB}/:send?api-version=2024-12-01",
        accept_everything()?
    );
    let count = settings.pick(6_000, 60_000);
    let mut process = Ours.start(settings, "bare-rest", &target, count)?;
    work(&mut process, count, || Ok(()))
}

fn token(settings: &Settings, peer: Peer, count: u64) -> Result<Sample> {
    let target = format!("Endpoint=http://localhost;AccessKey={KEY};Version=1.0;");
    let mut process = peer.start(settings, "token", &target, count)?;
    work(&mut process, count, || Ok(()))
}

fn webhook(settings: &Settings, peer: Peer, kind: &str) -> Result<Sample> {
    let process = peer.start(settings, kind, KEY, 0)?;
    let address: SocketAddr = process
        .ready
        .parse()
        .context("a peer did not say where it listens")?;
    let mut load = HttpLoad::connect(address)?;
    let request = event();
    let mut rounds = 0;
    let mut drive = |time: Duration| -> Result<Duration> {
        let began = Instant::now();
        rounds = 0;
        while began.elapsed() < time {
            load.round(&request, BODY)?;
            rounds += 1;
        }
        Ok(began.elapsed())
    };
    drive(settings.pick(Duration::from_millis(100), Duration::from_millis(500)))?;
    let cpu = process.cpu()?;
    let elapsed = drive(settings.pick(Duration::from_millis(500), Duration::from_secs(2)))?;
    let cpu = process.cpu()? - cpu;
    Ok(per_operation(rounds * AT_ONCE as u64, elapsed, cpu))
}

/// The request for a user event, as the service sends it.
fn event() -> Vec<u8> {
    let signature = signature::sign(&[AccessKey::new(KEY)], "c-1");
    let mut request = format!(
        "POST /api/webpubsub/hubs/{HUB}/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nWebHook-Request-Origin: localhost\r\nce-awpsversion: 1.0\r\n\
         ce-specversion: 1.0\r\nce-type: azure.webpubsub.user.echo\r\nce-source: /hubs/{HUB}/client/c-1\r\n\
         ce-id: 1\r\nce-time: 2026-01-01T00:00:00Z\r\nce-signature: {signature}\r\nce-userId: ana\r\n\
         ce-connectionId: c-1\r\nce-hub: {HUB}\r\nce-eventName: echo\r\n\r\n",
        BODY.len()
    )
    .into_bytes();
    request.extend(BODY);
    request
}
