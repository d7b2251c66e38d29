//! The bus: what groups did, how far behind they are, what is parked, and who holds how many slots.

use std::{collections::BTreeMap, sync::Arc};

use banyan_bus::{Counters, Source};
use banyan_kernel::Timestamp;
use banyan_store::{Position, Store, StoreError};
use opentelemetry::{KeyValue, global};
use uuid::Uuid;

use super::{gauge, natural, seconds};

const PARKED: &str = "select group_name, count(distinct key) from dead_letter group by group_name";
const HELD: &str = "select group_name, count(*) filter (where holder = $1) from slot group by group_name";

/// Counters are read when they are fetched: they are in memory.
pub(super) fn count(counters: BTreeMap<&'static str, Arc<Counters>>) {
    use std::sync::atomic::Ordering::Relaxed;
    global::meter("banyan")
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

pub(super) async fn look(store: &Store, instance: Uuid) -> Result<(), StoreError> {
    let parked: Vec<(String, i64)> = sqlx::query_as(PARKED).fetch_all(store.pool()).await?;
    let parked: BTreeMap<String, i64> = parked.into_iter().collect();
    let held: Vec<(String, i64)> = sqlx::query_as(HELD).bind(instance).fetch_all(store.pool()).await?;
    for (group, held) in held {
        let count = parked.get(&group).copied().unwrap_or(0);
        let group = [KeyValue::new("group", group)];
        gauge("banyan.bus.parked", "Keys that wait behind a dead letter").record(natural(count), &group);
        gauge("banyan.slots.held", "Slots that this process holds").record(natural(held), &group);
    }
    Ok(())
}

/// How old the oldest event is that a group has not applied of the slots in hand; nought when it has applied all.
pub(super) async fn lag(
    group: &'static str,
    source: &dyn Source,
    standing: Vec<(u16, Position)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut together = BTreeMap::<Position, Vec<u16>>::new();
    for (slot, position) in standing {
        together.entry(position).or_default().push(slot);
    }
    let mut age = 0.0_f64;
    for (position, slots) in together {
        let next = source.page(position, &slots, 1).await?.events.pop();
        age = next.map_or(age, |(_, event)| age.max((now - event.time).as_seconds_f64()));
    }
    let group = [KeyValue::new("group", group)];
    seconds("banyan.bus.lag", "Age of the oldest event that a group has not applied").record(age, &group);
    Ok(())
}
