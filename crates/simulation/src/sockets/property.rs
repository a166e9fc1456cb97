//! Whatever happens in whatever order, a client that reads is not closed, and no connection holds more than it may.

use std::time::Duration;

use proptest::prelude::*;
use webpubsub_emulator::driven::DrivenSettings;
use webpubsub_protocol::limits::RECOVERY_WINDOW;

use super::scenario::Scenario;
use super::trouble::Trouble;
use super::world::World;
use crate::Run as _;
use crate::trace::Trace;

/// Lines that a failure shows.
const TAIL: usize = 40;

fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// Clients, servers and how much they say. Limits are low, so that they are reached.
fn scenario() -> impl Strategy<Value = Scenario> {
    let sizes = (
        prop::sample::select(vec![64, 128]),
        prop::sample::select(vec![64, 256]),
    );
    let many = (1..6_usize, 1..4_usize, 0..3_usize);
    let message = prop::sample::select(vec![10, 100, 4000]);
    let step = prop::sample::select(vec![50, 100, 250]);
    (sizes, many, message, step).prop_map(
        |((frames, kilobytes), (peers, publishers, callers), message, step)| Scenario {
            settings: DrivenSettings {
                outbox_frames: frames,
                outbox_bytes: kilobytes * 1024,
                recovery_window: RECOVERY_WINDOW,
                connected_on_recovery: true,
                has_handler: true,
            },
            peers,
            publishers,
            callers,
            step: Duration::from_millis(step),
            busy: Duration::ZERO,
            trouble: 1,
            bursts: 1,
            burst: 1,
            message,
        },
    )
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let peer = 0..6_usize;
    prop_oneof![
        4 => (peer.clone(), 1..300_u64)
            .prop_map(|(peer, messages)| Trouble::Burst { peer, messages }),
        2 => (peer.clone(), 1..200_u64).prop_map(|(peer, events)| Trouble::Events { peer, events }),
        2 => (0..3_usize, 1..100_u64)
            .prop_map(|(caller, messages)| Trouble::Calls { caller, messages }),
        3 => (peer.clone(), milliseconds(100..20_000))
            .prop_map(|(peer, lasts)| Trouble::Pause { peer, lasts }),
        2 => (peer.clone(), milliseconds(50..4000), 1..5000_usize)
            .prop_map(|(peer, every, most)| Trouble::ReadSlowly { peer, every, most }),
        1 => peer.clone().prop_map(|peer| Trouble::ReadOn { peer }),
        1 => (peer.clone(), milliseconds(0..40_000))
            .prop_map(|(peer, away)| Trouble::Cut { peer, away }),
        1 => (peer.clone(), milliseconds(0..40_000))
            .prop_map(|(peer, away)| Trouble::Silence { peer, away }),
        1 => peer.clone().prop_map(|peer| Trouble::Leave { peer }),
        1 => peer.prop_map(|peer| Trouble::Close { peer }),
        1 => milliseconds(100..20_000).prop_map(|lasts| Trouble::HandlerPauses { lasts }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn who_reads_is_never_closed_and_nobody_holds_more_than_documented(
        scenario in scenario(),
        troubles in prop::collection::vec((milliseconds(0..3000), trouble()), 1..40),
        seed in any::<u64>(),
    ) {
        let mut at = Duration::from_secs(2);
        let script: Vec<_> = troubles
            .into_iter()
            .map(|(after, trouble)| {
                at += after;
                (at, trouble)
            })
            .collect();
        let busy = at + Duration::from_secs(5);
        let mut world = World::scripted(Scenario { busy, ..scenario }, script, seed, Trace::of(TAIL));
        if let Err(finding) = world.run() {
            let at = world.now();
            let tail = world.into_trace().into_lines().join("\n");
            prop_assert!(false, "after {at:?}: {finding:#?}\n{tail}");
        }
    }
}
