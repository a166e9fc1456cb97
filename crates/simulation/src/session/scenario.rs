//! What a seed chooses before a run.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use webpubsub_emulator::driven::{ConnectSpec, DrivenSettings};
use webpubsub_protocol::limits::{OUTBOX_BYTES, OUTBOX_FRAMES, RECOVERY_WINDOW};
use webpubsub_protocol::name::GroupName;
use webpubsub_protocol::session::{Backoff, Session, SessionConfig, StreamOptions};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::client::{Client, Pen};
use super::consumers::Consumers;

/// How many groups there are.
pub(super) const GROUPS: usize = 3;

/// The shape of one run.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) settings: DrivenSettings,
    pub(super) groups: Vec<GroupName>,
    /// Of a frame on its way, in milliseconds.
    pub(super) latency: Range<u64>,
    /// Between two actions of one client, in milliseconds.
    pub(super) pause: Range<u64>,
    /// Between two troubles of one client, in milliseconds.
    pub(super) trouble: Range<u64>,
    /// One of so many dials goes wrong.
    pub(super) bad_dials: u32,
    pub(super) restarts: u32,
    /// Recovered sockets die before their replay is complete.
    pub(super) is_cursed: bool,
    pub(super) busy: Duration,
}

impl Scenario {
    pub(super) fn draw(rng: &mut SmallRng, seed: u64) -> (Self, Vec<Client>) {
        let names = ["g0", "g1", "g2"].map(|name| GroupName::new(name).expect("a group name"));
        let frames = [64, 120, OUTBOX_FRAMES, OUTBOX_FRAMES];
        let scenario = Self {
            settings: DrivenSettings {
                outbox_frames: *frames.choose(rng).expect("some"),
                outbox_bytes: OUTBOX_BYTES,
                recovery_window: RECOVERY_WINDOW,
                connected_on_recovery: rng.random_ratio(3, 4),
                has_handler: true,
            },
            groups: names.to_vec(),
            latency: if rng.random() { 0..5 } else { 1..400 },
            pause: if rng.random() { 40..300 } else { 100..2500 },
            trouble: if rng.random() {
                1000..6000
            } else {
                3000..20_000
            },
            bad_dials: *[2, 4, 10].choose(rng).expect("some"),
            restarts: u32::from(rng.random_ratio(1, 4)),
            is_cursed: rng.random_ratio(1, 8),
            busy: Duration::from_secs(rng.random_range(20..90)),
        };
        let clients = rng.random_range(1..4);
        let clients = (0..clients).map(|index| {
            let consumers = Consumers::new(seed.wrapping_mul(8) + index);
            draw_client(rng, &scenario.groups, consumers)
        });
        let clients = clients.collect();
        (scenario, clients)
    }
}

fn draw_client(rng: &mut SmallRng, groups: &[GroupName], consumers: Consumers) -> Client {
    let kinds = [
        Subprotocol::Json,
        Subprotocol::Protobuf,
        Subprotocol::ReliableJson,
        Subprotocol::ReliableJson,
        Subprotocol::ReliableJson,
        Subprotocol::ReliableProtobuf,
        Subprotocol::ReliableProtobuf,
    ];
    let subprotocol = *kinds.choose(rng).expect("some");
    // Everybody may join everything, but not everybody may send everywhere.
    let mut roles = vec![
        "webpubsub.joinLeaveGroup".to_owned(),
        "webpubsub.getGroupState".to_owned(),
        "webpubsub.setGroupState".to_owned(),
    ];
    let publishing = if rng.random_ratio(3, 4) {
        "webpubsub.sendToGroup".to_owned()
    } else {
        format!("webpubsub.sendToGroup.{}", groups[0])
    };
    roles.push(publishing);
    let spec = ConnectSpec {
        roles,
        subprotocol: Some(subprotocol),
        ..ConnectSpec::default()
    };
    let config = draw_config(rng);
    let most_in_flight = config.max_in_flight;
    let mut session = Session::new(config, Arc::new(subprotocol), rng.random());
    let mut from_start = StreamOptions::default();
    from_start.from_start = true;
    session.subscribe_streams(from_start);
    session.subscribe_streams(StreamOptions::default());
    let every = Duration::from_millis(rng.random_range(5..400));
    let pen = match rng.random_range(0..4) {
        0 => Pen::Slow {
            every,
            most: rng.random_range(1..6),
        },
        _ => Pen::Quick,
    };
    Client::new(spec, session, pen, most_in_flight, consumers)
}

fn draw_config(rng: &mut SmallRng) -> SessionConfig {
    let mut config = SessionConfig::default();
    config.retry_initial_connect = rng.random_ratio(3, 4);
    config.auto_reconnect = rng.random_ratio(7, 8);
    if rng.random() {
        config.keep_alive_interval = Duration::from_secs(4);
        config.keep_alive_timeout = Duration::from_secs(11);
    }
    if rng.random_ratio(1, 4) {
        config.reconnect_backoff = Backoff::Fixed(Duration::from_millis(700));
        config.recovery_backoff = Backoff::Fixed(Duration::from_millis(300));
    }
    if rng.random_ratio(1, 3) {
        config.max_in_flight = rng.random_range(1..5);
    }
    if rng.random_ratio(1, 3) {
        config.outbox_frames = rng.random_range(2..20);
    }
    if rng.random_ratio(1, 3) {
        config.sequence_ack_lag = rng.random_range(1..10);
    }
    if rng.random() {
        config.stream_window = rng.random_range(1..6);
    }
    config
}
