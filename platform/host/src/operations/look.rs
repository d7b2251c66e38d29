//! How groups stand: slots held, keys parked, how far behind. For who asks, and every few seconds for the metrics.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{Counters, Source};
use banyan_kernel::Timestamp;
use banyan_store::{Position, Store, StoreError, sqlx};
use opentelemetry::{
    KeyValue, global,
    metrics::{Gauge, Meter},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Here;

const PARKED: &str = "select group_name, count(distinct key) from dead_letter group by group_name";
const HELD: &str = "select group_name, count(*) filter (where holder = $1) from slot group by group_name";

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// What a module's database says of its groups.
#[derive(Default)]
pub(super) struct Standing {
    /// Slots that this process holds, by group.
    pub(super) held: BTreeMap<String, u64>,
    /// Keys that wait behind a dead letter, by group; none where there are none.
    pub(super) parked: BTreeMap<String, u64>,
}

pub(super) async fn standing(store: &Store, instance: Uuid) -> Result<Standing, StoreError> {
    let parked: Vec<(String, i64)> = sqlx::query_as(PARKED).fetch_all(store.pool()).await?;
    let held: Vec<(String, i64)> = sqlx::query_as(HELD).bind(instance).fetch_all(store.pool()).await?;
    let natural = |counted: Vec<(String, i64)>| {
        counted.into_iter().map(|(group, count)| (group, u64::try_from(count).unwrap_or(0))).collect()
    };
    Ok(Standing { held: natural(held), parked: natural(parked) })
}

/// How old the oldest event is that a group has not applied of the slots in hand; nought when it has applied all.
pub(super) async fn lag_s(
    source: &dyn Source,
    standing: Vec<(u16, Position)>,
    now: Timestamp,
) -> Result<f64, StoreError> {
    let mut together = BTreeMap::<Position, Vec<u16>>::new();
    for (slot, position) in standing {
        together.entry(position).or_default().push(slot);
    }
    let mut age = 0.0_f64;
    for (position, slots) in together {
        let next = source.page(position, &slots, 1).await?.events.pop();
        age = next.map_or(age, |(_, event)| age.max((now - event.time).as_seconds_f64()));
    }
    Ok(age)
}

/// Looks every few seconds until `stop`, and hands what it sees to the metrics: nothing is asked of the database when those are fetched.
pub async fn observe(here: Arc<Here>, stop: CancellationToken) {
    count(here.counters().clone());
    while !stop.is_cancelled() {
        record(&here).await;
        // Elapsed means: look again.
        let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
    }
}

async fn record(here: &Here) {
    for pool in here.pools() {
        let module = [KeyValue::new("module", pool.module)];
        gauge("banyan.pool.open", "Open connections").record(pool.open, &module);
        gauge("banyan.pool.busy", "Connections at work").record(pool.busy, &module);
    }
    for standing in here.standing().await {
        for (group, held) in standing.held {
            let parked = standing.parked.get(&group).copied().unwrap_or(0);
            let group = [KeyValue::new("group", group)];
            gauge("banyan.bus.parked", "Keys that wait behind a dead letter").record(parked, &group);
            gauge("banyan.slots.held", "Slots that this process holds").record(held, &group);
        }
    }
    for (group, lag_s) in here.lags().await {
        let (meter, what) = (meter(), "Age of the oldest event that a group has not applied");
        let lag = meter.f64_gauge("banyan.bus.lag").with_unit("s").with_description(what).build();
        lag.record(lag_s, &[KeyValue::new("group", group)]);
    }
}

/// Counters are read when they are fetched: they are in memory.
fn count(counters: BTreeMap<&'static str, Arc<Counters>>) {
    use std::sync::atomic::Ordering::Relaxed;
    meter()
        .u64_observable_counter("banyan.bus.events")
        .with_description("Events heard, by group and by what became of them")
        .with_callback(move |observer| {
            for (group, counters) in &counters {
                for (outcome, counter) in [
                    ("applied", &counters.applied),
                    ("duplicate", &counters.duplicates),
                    ("skipped", &counters.skipped),
                    ("gap", &counters.gaps),
                    ("poisoned", &counters.poisoned),
                    ("queued", &counters.queued),
                ] {
                    let labels = [KeyValue::new("group", *group), KeyValue::new("outcome", outcome)];
                    observer.observe(counter.load(Relaxed), &labels);
                }
            }
        })
        .build();
}

fn meter() -> Meter {
    global::meter("banyan")
}

/// An instrument of this name; asked for again it is the same.
fn gauge(name: &'static str, what: &'static str) -> Gauge<u64> {
    meter().u64_gauge(name).with_description(what).build()
}
