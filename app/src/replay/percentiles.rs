//! Durations counted so that their percentiles are exact to a thousandth.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest that is told apart from a longer one.
const LONGEST_US: u64 = 3_600_000_000;

/// Durations, counted.
pub(super) struct Histogram(hdrhistogram::Histogram<u64>);

/// What so many durations come to, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub p99_ms: f64,
    /// All but one of a thousand.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self(hdrhistogram::Histogram::new_with_max(LONGEST_US, 3).expect("the bounds are constant and valid"))
    }

    /// Counts one; what is longer than an hour counts as an hour.
    pub(super) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US));
    }

    /// None of none.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let ms = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| Percentiles {
            count: self.0.len(),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_one_to_a_thousand_milliseconds() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentiles(), None);
        for ms in 1..=1_000 {
            histogram.record(Duration::from_millis(ms));
        }
        let seen = histogram.percentiles().unwrap();
        assert_eq!(seen.count, 1_000);
        let expected =
            [(seen.p50_ms, 500.0), (seen.p90_ms, 900.0), (seen.p99_ms, 990.0), (seen.p999_ms, 999.0)];
        for (ms, expected) in expected {
            assert!((ms - expected).abs() <= expected / 1_000.0, "{ms} for {expected}");
        }
    }

    #[test]
    fn nothing_is_too_short_or_too_long_to_be_counted() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        let seen = histogram.percentiles().unwrap();
        assert_eq!(seen.count, 2);
        assert!(seen.p50_ms < 0.01 && seen.max_ms > 3_500_000.0, "{seen:?}");
    }
}
