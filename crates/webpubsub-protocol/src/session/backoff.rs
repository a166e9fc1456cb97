//! How long to wait before the next try.

use std::time::Duration;

/// Delays between tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backoff {
    /// Exponential with full jitter: before retry *n* (from 0) a random time between zero and
    /// `initial` · 2ⁿ, but at most `max`. Spreads a crowd of clients that lost their service at the
    /// same moment.
    Exponential {
        /// Upper bound of the first delay.
        initial: Duration,
        /// Upper bound of all delays.
        max: Duration,
    },
    /// Always the same delay, as the official client waits.
    Fixed(Duration),
}

impl Backoff {
    /// The delay before retry number `retry`, which counts from 0.
    pub(super) fn delay(self, retry: u32, random: &mut Random) -> Duration {
        match self {
            Self::Fixed(delay) => delay,
            Self::Exponential { initial, max } => {
                let factor = 1_u32.checked_shl(retry).unwrap_or(u32::MAX);
                random.up_to(initial.saturating_mul(factor).min(max))
            }
        }
    }
}

/// SplitMix64: the same numbers from the same seed, in every version and on every machine. For
/// delays and stream ids, not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A random time from zero to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.next()) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(nanos))
    }

    /// A UUID, version 4.
    pub(super) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            (low >> 48) & 0x3FFF | 0x8000,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPONENTIAL: Backoff = Backoff::Exponential {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(30),
    };

    #[test]
    fn exponential_delays_grow_to_their_bound_and_use_its_whole_range() {
        let mut random = Random::new(1);
        for (retry, bound) in [
            (0, 1),
            (1, 2),
            (4, 16),
            (5, 30),
            (31, 30),
            (32, 30),
            (u32::MAX, 30),
        ] {
            let bound = Duration::from_secs(bound);
            let delays: Vec<_> = (0..1000)
                .map(|_| EXPONENTIAL.delay(retry, &mut random))
                .collect();
            assert!(delays.iter().all(|delay| *delay <= bound), "retry {retry}");
            assert!(
                delays.iter().any(|delay| *delay < bound / 10),
                "retry {retry}"
            );
            assert!(
                delays.iter().any(|delay| *delay > bound / 10 * 9),
                "retry {retry}"
            );
        }
    }

    #[test]
    fn fixed_delays_do_not_vary() {
        let fixed = Backoff::Fixed(Duration::from_secs(1));
        assert_eq!(fixed.delay(9, &mut Random::new(3)), Duration::from_secs(1));
    }

    #[test]
    fn uuids_are_of_version_4_and_follow_the_seed() {
        let (first, again) = (Random::new(7).uuid(), Random::new(7).uuid());
        assert_eq!(first, again);
        assert_ne!(first, Random::new(8).uuid());
        let groups: Vec<_> = first.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(first[14..].starts_with('4') && "89ab".contains(&first[19..20]));
    }
}
