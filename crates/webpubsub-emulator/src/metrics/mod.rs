//! What is measured, as the text that Prometheus scrapes.
//!
//! What can be read from the hubs is read when somebody asks: connections, groups, queues. Only what leaves no trace is
//! counted as it happens. Names and units follow OpenTelemetry, in the spelling of Prometheus.

mod counts;
mod text;

use std::collections::BTreeMap;

use crate::hub::Hub;
use crate::service::Service;

pub(crate) use counts::{HubCounters, Latency, RestCounters};
use text::{Kind, Metrics};

/// The type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a client that negotiates no subprotocol is labelled.
const SIMPLE: &str = "none";

/// A measure of a hub: its name, what it says, and how it is read.
type Measure<T> = (&'static str, &'static str, fn(&T) -> u64);

/// Everything that is measured.
pub(crate) fn render(service: &Service) -> String {
    let mut metrics = Metrics::default();
    let hubs: Vec<Sample> = service
        .all_hubs()
        .iter()
        .map(|hub| Sample::of(hub))
        .collect();
    connections(&mut metrics, &hubs);
    for (name, help, read) in GAUGES {
        metrics.family(name, Kind::Gauge, help);
        for hub in &hubs {
            metrics.value(name, &[("hub", &hub.name)], read(hub));
        }
    }
    for (name, help, read) in COUNTERS {
        metrics.family(name, Kind::Counter, help);
        for hub in &hubs {
            metrics.value(name, &[("hub", &hub.name)], read(hub));
        }
    }
    directions(&mut metrics, &hubs);
    events(&mut metrics, service);
    rest(&mut metrics, service);
    metrics.into_text()
}

const GAUGES: [Measure<Sample>; 8] = [
    ("webpubsub_users", "Users with a connection", |hub| {
        hub.users
    }),
    ("webpubsub_groups", "Groups with a member", |hub| hub.groups),
    (
        "webpubsub_connecting",
        "Clients that wait for their connect event",
        |hub| hub.connecting,
    ),
    (
        "webpubsub_queue_frames",
        "Frames that wait for a socket",
        |hub| hub.queue.0,
    ),
    (
        "webpubsub_queue_bytes",
        "Bytes that wait for a socket",
        |hub| hub.queue.1,
    ),
    (
        "webpubsub_replay_frames",
        "Messages that reliable clients have not acknowledged",
        |hub| hub.replay.0,
    ),
    (
        "webpubsub_replay_bytes",
        "Bytes that reliable clients have not acknowledged",
        |hub| hub.replay.1,
    ),
    (
        "webpubsub_slow_clients",
        "Clients that take nothing now",
        |hub| hub.slow,
    ),
];

const COUNTERS: [Measure<Sample>; 3] = [
    (
        "webpubsub_acks_total",
        "Acks that clients were sent",
        |hub| hub.acks,
    ),
    (
        "webpubsub_recoveries_total",
        "Connections that got another socket",
        |hub| hub.recoveries,
    ),
    (
        "webpubsub_slow_closes_total",
        "Clients that were closed as slow",
        |hub| hub.slow_closes,
    ),
];

/// What is read of a hub at once.
#[derive(Debug, Default)]
struct Sample {
    name: String,
    by_protocol: BTreeMap<String, u64>,
    users: u64,
    groups: u64,
    connecting: u64,
    /// Frames, and their bytes.
    queue: (u64, u64),
    replay: (u64, u64),
    slow: u64,
    acks: u64,
    recoveries: u64,
    slow_closes: u64,
    frames: [u64; 2],
    bytes: [u64; 2],
}

impl Sample {
    fn of(hub: &Hub) -> Self {
        let counters = hub.counters();
        let mut sample = hub.read(|state, _| {
            let info = state.info(hub.name());
            let mut sample = Self {
                name: hub.name().to_string(),
                users: info.users as u64,
                groups: info.groups as u64,
                connecting: info.connecting as u64,
                ..Self::default()
            };
            state.each_outbox(|protocol, is_attached, held| {
                let protocol = protocol.unwrap_or(SIMPLE).to_ascii_lowercase();
                *sample.by_protocol.entry(protocol).or_default() += 1;
                sample.queue.0 += held.queue.frames as u64;
                sample.queue.1 += held.queue.bytes as u64;
                sample.replay.0 += held.replay.frames as u64;
                sample.replay.1 += held.replay.bytes as u64;
                sample.slow += u64::from(is_attached && !held.reads);
            });
            sample
        });
        sample.acks = counters.acks.get();
        sample.recoveries = counters.recoveries.get();
        sample.slow_closes = counters.slow_closes.get();
        sample.frames = [counters.frames_in.get(), counters.frames_out.get()];
        sample.bytes = [counters.bytes_in.get(), counters.bytes_out.get()];
        sample
    }
}

fn connections(metrics: &mut Metrics, hubs: &[Sample]) {
    let name = "webpubsub_connections";
    metrics.family(
        name,
        Kind::Gauge,
        "Connections, by the subprotocol that they negotiated",
    );
    for hub in hubs {
        for (protocol, count) in &hub.by_protocol {
            let labels = [("hub", hub.name.as_str()), ("protocol", protocol.as_str())];
            metrics.value(name, &labels, *count);
        }
    }
}

/// What goes both ways.
fn directions(metrics: &mut Metrics, hubs: &[Sample]) {
    type Both = fn(&Sample) -> [u64; 2];
    const FAMILIES: [(&str, &str, Both); 2] = [
        (
            "webpubsub_frames_total",
            "Frames from clients and to them",
            |hub| hub.frames,
        ),
        (
            "webpubsub_frame_bytes_total",
            "Payload bytes of these frames",
            |hub| hub.bytes,
        ),
    ];
    for (name, help, read) in FAMILIES {
        metrics.family(name, Kind::Counter, help);
        for hub in hubs {
            for (direction, count) in ["in", "out"].into_iter().zip(read(hub)) {
                metrics.value(name, &[("hub", &hub.name), ("direction", direction)], count);
            }
        }
    }
}

fn events(metrics: &mut Metrics, service: &Service) {
    let handlers = service.handlers().measured();
    let name = "webpubsub_event_failures_total";
    metrics.family(name, Kind::Counter, "Events whose handler failed");
    for (hub, failures, _) in &handlers {
        metrics.value(name, &[("hub", hub.as_str())], *failures);
    }
    let name = "webpubsub_event_duration_seconds";
    metrics.family(
        name,
        Kind::Histogram,
        "How long events took, with their retries",
    );
    for (hub, _, latency) in &handlers {
        metrics.histogram(name, &[("hub", hub.as_str())], latency);
    }
}

fn rest(metrics: &mut Metrics, service: &Service) {
    let name = "webpubsub_rest_requests_total";
    metrics.family(
        name,
        Kind::Counter,
        "REST calls, by their operation and the status of the answer",
    );
    for ((operation, status), count) in service.rest_counters().all() {
        let labels = [("operation", operation), ("status", &status.to_string())];
        metrics.value(name, &labels, count);
    }
}
