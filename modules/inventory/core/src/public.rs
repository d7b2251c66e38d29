//! Public: how much of a product the public is told there is. A read model of this module's own events: it says the time of the
//! last one that it has applied, and stands still when nobody applies them.
//!
//! Its copies add up what was told, and no row of them would know a repeat: position and effect commit together, of the group
//! that feeds the live copy as of a rebuild, so each event is applied once.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use banyan_bus::{Applied, CopyOf, Judged, ReadModel};
use banyan_kernel::{Answer, Envelope, Sku, Timestamp};
use banyan_store::{Locks, Position, Store, StoreError, Write};
use inventory_api::{
    Availability, GoodsReceived, InventoryReleased, InventoryReserved, StockAdjusted, StockChange, Told,
    refusals,
};
use serde::Deserialize;
use tokio::time::Instant;

/// With what came in before anything was told of it, in a copy of its own.
const READ: &str = "select sku, sum(available)::int8, max(as_of) from public_stock where sku = any($1) \
     and copy in (-1, (select live from read_model where name = 'inventory.public')) group by sku order by sku";
/// Sums commute: in whatever order the events of different orders come, the count ends up the same.
const APPLY: &str = "insert into public_stock as p (copy, sku, available, as_of) \
     select $4, sku, change, at from unnest($1::text[], $2::int8[], $3::timestamptz[]) as t(sku, change, at) \
     on conflict (copy, sku) do update set available = p.available + excluded.available, \
     as_of = greatest(p.as_of, excluded.as_of)";
const CLEAR: &str = "delete from public_stock where ctid = any(array(select ctid from public_stock where copy = $1 limit $2))";
/// What was told and is not in the count: its slot has not come to it, or it could not be applied.
const BEHIND: &str = "select count(*) from unnest($1::int2[], $2::int8[], $3::int8[]) as t(slot, epoch, xid) \
     left join slot s on s.group_name = 'inventory.public' and s.slot = t.slot where t.epoch > 0 and (s.slot is null \
     or (s.source_epoch, s.source_xid) < (t.epoch, t.xid::text::xid8) or exists (select from dead_letter d \
     where d.group_name = 'inventory.public' and d.source_epoch = t.epoch and d.source_xid = t.xid::text::xid8))";

/// The independent fold: where a part of what was told ends; what it comes to, summed by the database.
const PART: &str = "select epoch, xid::text::int8, seq from outbox where (epoch, xid, seq) > ($1, $2::text::xid8, $3) \
     and (epoch, xid, seq) <= ($4, $5::text::xid8, $6) order by epoch, xid, seq offset $7 limit 1";
const FOLD: &str = "select l->>'sku', sum(case when type = 'InventoryReserved' then -1 else 1 end * (l->>'quantity')::int8)::int8, \
     max(at) from outbox, jsonb_array_elements(payload->'lines') l \
     where (epoch, xid, seq) > ($1, $2::text::xid8, $3) and (epoch, xid, seq) <= ($4, $5::text::xid8, $6) \
     and type in ('InventoryReserved', 'InventoryReleased', 'GoodsReceived', 'StockAdjusted') group by 1";
const COPY: &str = "select sku, available, as_of from public_stock where copy = $1";

/// Events of a part.
const PART_EVENTS: i64 = 5_000;
/// How long a reader waits for what it asks to be told. Who asks from another process hears that it is not there yet, and not that
/// nobody answers: this is well below an attempt of theirs.
const BEHIND_MAX: Duration = Duration::from_millis(1_500);
/// Between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// The read model.
pub struct PublicStock(Store);

impl PublicStock {
    /// Its name, and its group's.
    pub const NAME: &'static str = "inventory.public";

    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

#[derive(Deserialize)]
struct Lines {
    lines: Vec<StockChange>,
}

/// How many there are, and as of when.
type Count = (i64, Timestamp);

#[async_trait]
impl ReadModel for PublicStock {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn source(&self) -> &'static str {
        inventory_api::NAME
    }

    fn store(&self) -> &Store {
        &self.0
    }

    /// Rows are locked as they are changed, in SKU order.
    fn locks(&self, _: &[Envelope]) -> Locks {
        Locks::none()
    }

    async fn apply(
        &self,
        write: &mut Write,
        copy: CopyOf,
        batch: &[Envelope],
    ) -> Result<Vec<Applied>, StoreError> {
        let mut changes: BTreeMap<Sku, Count> = BTreeMap::new();
        let applied = batch.iter().map(|event| fold(&mut changes, event)).collect();
        if !changes.is_empty() {
            sqlx::query(APPLY)
                .bind(changes.keys().map(Sku::as_str).collect::<Vec<_>>())
                .bind(changes.values().map(|(change, _)| *change).collect::<Vec<_>>())
                .bind(changes.values().map(|(_, at)| *at).collect::<Vec<_>>())
                .bind(copy.number())
                .execute(write.connection())
                .await?;
        }
        Ok(applied)
    }

    async fn clear(&self, write: &mut Write, copy: CopyOf, limit: u16) -> Result<u64, StoreError> {
        let query = sqlx::query(CLEAR).bind(copy.number()).bind(i64::from(limit));
        Ok(query.execute(write.connection()).await?.rows_affected())
    }

    /// All in one: products are few, and what was told of them is summed part by part, each in a short statement.
    async fn judge(&self, copy: CopyOf, at: Position, _: &str) -> Result<Judged, StoreError> {
        let folded = fold_again(&self.0, at).await?;
        let rows: Vec<(String, i64, Timestamp)> =
            sqlx::query_as(COPY).bind(copy.number()).fetch_all(self.0.pool()).await?;
        let counted: BTreeMap<String, Count> =
            rows.into_iter().map(|(sku, available, as_of)| (sku, (available, as_of))).collect();
        let mut skus: Vec<&String> = folded.keys().chain(counted.keys()).collect();
        skus.sort();
        skus.dedup();
        let differs = skus.iter().filter(|sku| folded.get(**sku) != counted.get(**sku));
        let says = |count: Option<&Count>| {
            count.map_or("nothing".to_owned(), |(available, as_of)| format!("{available} as of {as_of}"))
        };
        let named = differs.map(|sku| {
            let (counted, folded) = (says(counted.get(*sku)), says(folded.get(*sku)));
            format!("{sku}: the count says {counted}, and the events say {folded}")
        });
        Ok(Judged { next: None, keys: skus.len() as u64, differences: named.collect() })
    }
}

/// What everything that was told up to a position comes to, by product.
async fn fold_again(store: &Store, at: Position) -> Result<BTreeMap<String, Count>, StoreError> {
    let mut folded: BTreeMap<String, Count> = BTreeMap::new();
    let mut after = Position::START;
    loop {
        let part: Option<(i64, i64, i64)> = sqlx::query_as(PART)
            .bind(after.epoch)
            .bind(after.xid.to_string())
            .bind(after.seq)
            .bind(at.epoch)
            .bind(at.xid.to_string())
            .bind(at.seq)
            .bind(PART_EVENTS - 1)
            .fetch_optional(store.pool())
            .await?;
        let end = part.map_or(at, |(epoch, xid, seq)| Position { epoch, xid, seq });
        let sums: Vec<(String, i64, Timestamp)> = sqlx::query_as(FOLD)
            .bind(after.epoch)
            .bind(after.xid.to_string())
            .bind(after.seq)
            .bind(end.epoch)
            .bind(end.xid.to_string())
            .bind(end.seq)
            .fetch_all(store.pool())
            .await?;
        for (sku, change, as_of) in sums {
            let sum = folded.entry(sku).or_insert((0, as_of));
            *sum = (sum.0 + change, sum.1.max(as_of));
        }
        if part.is_none() {
            return Ok(folded);
        }
        after = end;
    }
}

fn fold(changes: &mut BTreeMap<Sku, Count>, event: &Envelope) -> Applied {
    let sign = match event.kind.as_str() {
        InventoryReserved::KIND => -1,
        InventoryReleased::KIND | GoodsReceived::KIND | StockAdjusted::KIND => 1,
        _ => return Applied::Skipped,
    };
    let lines: Lines = match serde_json::from_value(event.data.clone()) {
        Ok(lines) => lines,
        Err(error) => return Applied::Poison(format!("the event cannot be read: {error}")),
    };
    for StockChange { sku, quantity } in lines.lines {
        let (change, at) = changes.entry(sku).or_insert((0, event.time));
        *change += sign * quantity;
        *at = event.time.max(*at);
    }
    Applied::Done
}

/// What the public is told of these SKUs, once that is at least what is asked for; one never received is left out.
pub(crate) async fn read(
    store: &Store,
    skus: &[Sku],
    at_least: &[Told],
) -> Result<Answer<Vec<Availability>>, StoreError> {
    if !reached(store, at_least).await? {
        let detail = "the count has not come to what you ask to be told; ask again";
        return Ok(Answer::rejected(refusals::BEHIND, detail));
    }
    let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<(String, i64, Timestamp)> =
        sqlx::query_as(READ).bind(names).fetch_all(store.pool()).await?;
    let told = |(sku, available, as_of): (String, i64, Timestamp)| {
        // It may be behind, and then below nought for a moment; nobody is told so.
        Some(Availability { sku: sku.parse().ok()?, available: available.max(0), as_of: Some(as_of) })
    };
    Ok(Answer::Done(rows.into_iter().filter_map(told).collect()))
}

/// Waits, for a bounded time, until the count has at least what is asked for.
async fn reached(store: &Store, at_least: &[Told]) -> Result<bool, StoreError> {
    let deadline = Instant::now() + BEHIND_MAX;
    let mut wait = LOOKS.0;
    while !at_least.is_empty() && behind(store, at_least).await? > 0 {
        if Instant::now() + wait > deadline {
            return Ok(false);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOKS.1);
    }
    Ok(true)
}

async fn behind(store: &Store, at_least: &[Told]) -> Result<i64, StoreError> {
    let behind = sqlx::query_scalar(BEHIND)
        .bind(at_least.iter().map(|told| told.slot).collect::<Vec<_>>())
        .bind(at_least.iter().map(|told| told.epoch).collect::<Vec<_>>())
        .bind(at_least.iter().map(|told| told.xid).collect::<Vec<_>>())
        .fetch_one(store.pool())
        .await?;
    Ok(behind)
}
