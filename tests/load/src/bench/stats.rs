//! Few samples, summed up so that one disturbed round does not decide.

use serde::Serialize;

/// The middle of some samples, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the samples are below, half above.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Summary {
    /// Sums up; nothing without samples.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        Some(Self {
            median: percentile(samples, 50.0)?,
            low: percentile(samples, 0.0)?,
            high: percentile(samples, 100.0)?,
        })
    }
}

/// The value below which `percent` of the samples lie, between two samples in proportion; nothing without samples.
#[must_use]
pub fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50.0), Some(2.0));
        assert_eq!(percentile(&[4.0, 1.0, 2.0, 3.0], 50.0), Some(2.5));
        assert_eq!(percentile(&[7.0], 50.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn percentiles_reach_from_the_smallest_to_the_largest() {
        let samples: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.0), Some(0.0));
        assert_eq!(percentile(&samples, 99.0), Some(99.0));
        assert_eq!(percentile(&samples, 100.0), Some(100.0));
        assert_eq!(percentile(&samples, 250.0), Some(100.0));
        assert_eq!(percentile(&[10.0, 20.0], 25.0), Some(12.5));
    }

    #[test]
    fn a_summary_shows_the_spread() {
        let summary = Summary {
            median: 2.0,
            low: 1.0,
            high: 9.0,
        };
        assert_eq!(Summary::of(&[9.0, 2.0, 1.0]), Some(summary));
        assert_eq!(Summary::of(&[]), None);
    }
}
