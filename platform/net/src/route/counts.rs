//! How both sides of a route do, counted by item.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};
use serde::Serialize;

use super::{Difference, Shadowed, Side};
use crate::measure::SECONDS;

/// Two for each doubling, from a microsecond to a good hour.
const BUCKETS: usize = 64;
/// Differences that are kept to be looked at.
const DIFFERENCES_MAX: usize = 20;

/// Counts of one route since the process began.
pub struct Gauge {
    module: &'static str,
    here: OneSide,
    there: OneSide,
    same: AtomicU64,
    moved: AtomicU64,
    different: AtomicU64,
    shed: AtomicU64,
    differences: Mutex<VecDeque<Difference>>,
    items: Counter<u64>,
    seconds: Histogram<f64>,
    shadows: Counter<u64>,
}

struct OneSide {
    items: AtomicU64,
    failed: AtomicU64,
    /// By how long it took.
    took: [AtomicU64; BUCKETS],
}

/// What was counted of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Asked.
    pub items: u64,
    /// Without an answer, for a reason that is not the asker's.
    pub failed: u64,
    took: [u64; BUCKETS],
}

/// What shadows have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Answers that were the same.
    pub same: u64,
    /// Questions about what changed while both were asked.
    pub moved: u64,
    /// Answers that were not the same.
    pub different: u64,
    /// Questions that were not asked in the shadow, since too many were.
    pub shed: u64,
}

impl OneSide {
    fn new() -> Self {
        Self {
            items: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            took: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn count(&self, (items, failed): (u64, u64), took: Duration) {
        self.items.fetch_add(items, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
        self.took[bucket(took)].fetch_add(items, Relaxed);
    }

    fn counts(&self) -> Counts {
        let took = std::array::from_fn(|n| self.took[n].load(Relaxed));
        Counts { items: self.items.load(Relaxed), failed: self.failed.load(Relaxed), took }
    }
}

impl Gauge {
    /// Of a module's route.
    #[must_use]
    pub fn of(module: &'static str) -> Self {
        let meter = global::meter("banyan");
        let counter =
            |name: &'static str, about: &'static str| meter.u64_counter(name).with_description(about).build();
        let seconds = meter
            .f64_histogram("banyan.route.duration")
            .with_description("What a call by a route took, by module and side")
            .with_unit("s")
            .with_boundaries(SECONDS.to_vec());
        Self {
            module,
            here: OneSide::new(),
            there: OneSide::new(),
            same: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            different: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            differences: Mutex::default(),
            items: counter(
                "banyan.route.items",
                "Items asked by a route, by module, side and whether they were answered",
            ),
            seconds: seconds.build(),
            shadows: counter(
                "banyan.route.shadows",
                "Questions asked in the shadow, by module and what came of it",
            ),
        }
    }

    fn of_side(&self, side: Side) -> &OneSide {
        if side == Side::Here { &self.here } else { &self.there }
    }

    /// So many items of one call, and how many of them failed.
    pub(super) fn count(&self, side: Side, (items, failed): (usize, usize), took: Duration) {
        let [items, failed] = [items, failed].map(|count| count as u64);
        self.of_side(side).count((items, failed), took);
        let [module, side] = [
            KeyValue::new("module", self.module),
            KeyValue::new("side", if side == Side::Here { "here" } else { "there" }),
        ];
        let outcome =
            |outcome: &'static str| [module.clone(), side.clone(), KeyValue::new("outcome", outcome)];
        self.items.add(items - failed, &outcome("answered"));
        self.items.add(failed, &outcome("failed"));
        self.seconds.record(took.as_secs_f64(), &[module, side]);
    }

    pub(super) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
        self.shadow("shed");
    }

    fn shadow(&self, outcome: &'static str) {
        self.shadows.add(1, &[KeyValue::new("module", self.module), KeyValue::new("outcome", outcome)]);
    }

    pub(super) fn compared(&self, operation: &'static str, shadowed: Shadowed) {
        match shadowed {
            Shadowed::Same => {
                self.same.fetch_add(1, Relaxed);
                self.shadow("same");
            }
            Shadowed::Moved => {
                self.moved.fetch_add(1, Relaxed);
                self.shadow("moved");
            }
            Shadowed::Failed => self.shadow("failed"),
            Shadowed::Different(places) => {
                self.different.fetch_add(1, Relaxed);
                self.shadow("different");
                tracing::warn!(
                    module = self.module,
                    operation,
                    ?places,
                    correlation = "",
                    "both sides of a route say different things"
                );
                let mut kept = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
                kept.truncate(DIFFERENCES_MAX - 1);
                kept.push_front(Difference { operation, places });
            }
        }
    }

    /// Of one side, up to now.
    #[must_use]
    pub fn counts(&self, side: Side) -> Counts {
        self.of_side(side).counts()
    }

    /// What shadows have shown up to now.
    #[must_use]
    pub fn shadowed(&self) -> Compared {
        let [same, moved, different, shed] =
            [&self.same, &self.moved, &self.different, &self.shed].map(|count| count.load(Relaxed));
        Compared { same, moved, different, shed }
    }

    /// The last differences, the newest first.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Counts {
    /// Of nothing.
    pub const NONE: Self = Self { items: 0, failed: 0, took: [0; BUCKETS] };

    /// What was counted since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            items: self.items.saturating_sub(earlier.items),
            failed: self.failed.saturating_sub(earlier.failed),
            took: std::array::from_fn(|n| self.took[n].saturating_sub(earlier.took[n])),
        }
    }

    /// The time within which so many of a hundred items were answered, to a half of it; none, where nothing was asked.
    #[must_use]
    pub fn percentile(&self, of_hundred: u64) -> Option<Duration> {
        let rank = (self.items * of_hundred).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.took.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map(upper)
    }

    /// With one call more: for who judges sides that were never asked.
    #[must_use]
    pub fn with(mut self, items: u64, failed: u64, took: Duration) -> Self {
        self.items += items;
        self.failed += failed;
        self.took[bucket(took)] += items;
        self
    }
}

fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(2);
    let doublings = micros.ilog2();
    let half = (micros >> (doublings - 1)) & 1;
    (2 * doublings as usize + half as usize).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper(bucket: usize) -> Duration {
    let base = 1u64 << (bucket / 2);
    Duration::from_micros(if bucket.is_multiple_of(2) { base + base / 2 } else { base * 2 })
}
