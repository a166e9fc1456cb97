//! What a seed chooses before a run.

use std::ops::Range;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use webpubsub_emulator::driven::{ConnectSpec, DrivenSettings};
use webpubsub_protocol::limits::{OUTBOX_BYTES, OUTBOX_FRAMES, RECOVERY_WINDOW};
use webpubsub_protocol::name::{GroupName, UserId};
use webpubsub_protocol::subprotocol::Subprotocol;

use crate::client::{AckPolicy, Client};

/// The shape of one run.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) settings: DrivenSettings,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) users: Vec<UserId>,
    pub(crate) clients: Vec<Client>,
    /// Of a frame on its way, in milliseconds.
    pub(crate) latency: Range<u64>,
    /// Between two actions of one client, in milliseconds.
    pub(crate) pause: Range<u64>,
    /// One of so many actions of a client is trouble with its line.
    pub(crate) trouble: u32,
    pub(crate) restarts: bool,
    /// How long clients and servers are busy.
    pub(crate) busy: Duration,
}

impl Scenario {
    pub(crate) fn draw(rng: &mut SmallRng) -> Self {
        let groups: Vec<_> = ["g0", "g1", "g2"].map(group).to_vec();
        let users: Vec<_> = ["ann", "bob"].map(user).to_vec();
        let clients = (0..rng.random_range(2..7))
            .map(|_| draw_client(rng, &groups, &users))
            .collect();
        let frames = [64, 64, 64, 80, 120, OUTBOX_FRAMES];
        Self {
            settings: DrivenSettings {
                outbox_frames: *frames.choose(rng).expect("some"),
                outbox_bytes: OUTBOX_BYTES,
                recovery_window: RECOVERY_WINDOW,
                connected_on_recovery: rng.random_ratio(3, 4),
                has_handler: rng.random_ratio(3, 4),
            },
            groups,
            users,
            clients,
            latency: if rng.random() { 0..5 } else { 1..400 },
            pause: if rng.random() { 50..400 } else { 200..3000 },
            trouble: *[6, 12, 30].choose(rng).expect("some"),
            restarts: rng.random_ratio(1, 6),
            busy: Duration::from_secs(rng.random_range(20..90)),
        }
    }
}

fn draw_client(rng: &mut SmallRng, groups: &[GroupName], users: &[UserId]) -> Client {
    let kinds = [
        None,
        Some(Subprotocol::Json),
        Some(Subprotocol::Protobuf),
        Some(Subprotocol::ReliableJson),
        Some(Subprotocol::ReliableJson),
        Some(Subprotocol::ReliableProtobuf),
        Some(Subprotocol::ReliableProtobuf),
    ];
    let all = [
        "webpubsub.joinLeaveGroup",
        "webpubsub.sendToGroup",
        "webpubsub.getGroupState",
        "webpubsub.setGroupState",
    ];
    let some = [
        "webpubsub.joinLeaveGroup.g0",
        "webpubsub.sendToGroup.g0",
        "webpubsub.getGroupState.g0",
    ];
    let roles: &[&str] = if rng.random_ratio(4, 5) { &all } else { &some };
    let subprotocol = *kinds.choose(rng).expect("some");
    let publishes = subprotocol.is_none() && rng.random();
    let spec = ConnectSpec {
        user: users
            .choose(rng)
            .filter(|_| rng.random_ratio(3, 4))
            .cloned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        groups: groups
            .iter()
            .filter(|_| rng.random_ratio(1, 2))
            .cloned()
            .collect(),
        subprotocol,
        raw_group: publishes.then(|| (groups[0].clone(), rng.random())),
    };
    let late = Duration::from_millis(rng.random_range(100..3000));
    let acks = match rng.random_range(0..10) {
        0..4 => AckPolicy::AtOnce,
        4..7 => AckPolicy::Late(late),
        7..9 => AckPolicy::Untidy(late),
        _ => AckPolicy::Never,
    };
    Client::new(spec, acks)
}

fn group(name: &'static str) -> GroupName {
    GroupName::new(name).expect("a group name")
}

fn user(name: &'static str) -> UserId {
    UserId::new(name).expect("a user id")
}
