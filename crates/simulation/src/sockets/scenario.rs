//! What a seed chooses before a run.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use webpubsub_emulator::driven::DrivenSettings;
use webpubsub_protocol::limits::{OUTBOX_BYTES, OUTBOX_FRAMES, RECOVERY_WINDOW};
use webpubsub_protocol::subprotocol::Subprotocol;

use super::pipe::Shape;

/// One of so many seeds has a crowd of members.
const CROWDS: u64 = 50;

/// The shape of one run.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) settings: DrivenSettings,
    pub(crate) peers: usize,
    /// Of them, the first ones publish.
    pub(crate) publishers: usize,
    /// REST callers.
    pub(crate) callers: usize,
    /// How finely time passes.
    pub(crate) step: Duration,
    /// How long there is trouble.
    pub(crate) busy: Duration,
    /// One of so many seconds of a peer brings trouble.
    pub(crate) trouble: u32,
    /// One of so many seconds of a publisher brings a burst.
    pub(crate) bursts: u32,
    /// Messages of the largest burst.
    pub(crate) burst: u64,
    /// Bytes of the largest message.
    pub(crate) message: usize,
}

impl Scenario {
    pub(crate) fn draw(seed: u64, rng: &mut SmallRng) -> Self {
        let is_large = rng.random_ratio(1, 4);
        let frames = [64, 64, 128, OUTBOX_FRAMES];
        let bytes = [64 * 1024, 256 * 1024, OUTBOX_BYTES];
        let settings = DrivenSettings {
            outbox_frames: *frames.choose(rng).expect("some"),
            outbox_bytes: *bytes.choose(rng).expect("some"),
            recovery_window: RECOVERY_WINDOW,
            connected_on_recovery: true,
            has_handler: true,
        };
        let steps = [20, 50, 100, 250];
        let scenario = Self {
            settings,
            peers: rng.random_range(2..10),
            publishers: rng.random_range(1..4),
            callers: rng.random_range(0..3),
            step: Duration::from_millis(*steps.choose(rng).expect("some")),
            busy: Duration::from_secs(rng.random_range(15..40)),
            trouble: *[5, 15, 40].choose(rng).expect("some"),
            bursts: *[4, 10].choose(rng).expect("some"),
            burst: if is_large {
                30
            } else {
                *[10, 50, 200].choose(rng).expect("some")
            },
            message: if is_large { 4000 } else { 100 },
        };
        if seed % CROWDS != CROWDS - 1 {
            return scenario;
        }
        Self {
            peers: rng.random_range(500..3000),
            step: Duration::from_millis(500),
            busy: Duration::from_secs(15),
            trouble: 60,
            bursts: 8,
            burst: 20,
            message: 100,
            ..scenario
        }
    }

    /// What the line of a new socket is like.
    pub(crate) fn line(rng: &mut SmallRng) -> Shape {
        Shape {
            room: *[100, 1000, 4096, 65_536].choose(rng).expect("some"),
            piece: *[7, 100, 1460, 65_536].choose(rng).expect("some"),
        }
    }
}

/// What a new client speaks.
pub(crate) fn subprotocol(rng: &mut SmallRng) -> Option<Subprotocol> {
    let all = [
        None,
        Some(Subprotocol::Json),
        Some(Subprotocol::Json),
        Some(Subprotocol::Protobuf),
        Some(Subprotocol::ReliableJson),
        Some(Subprotocol::ReliableJson),
        Some(Subprotocol::ReliableProtobuf),
    ];
    all.choose(rng).copied().flatten()
}
